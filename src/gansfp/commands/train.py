"""`gansfp train`: fit a method, predict, evaluate; one run folder."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lightning as L

from gansfp import build
from gansfp.ensembles.ensemble import Ensemble
from gansfp.ensembles.members import pin_recipes
from gansfp.errors import UserError
from gansfp.evaluation.result import objective_of
from gansfp.methods.base import BenchmarkModule, Estimator
from gansfp.runtime import learned, settings
from gansfp.runtime.run import Run, open_run
from gansfp.runtime.scoring import predict_run
from gansfp.trackers.session import tracked

if TYPE_CHECKING:
    from lightning.pytorch.loggers.logger import Logger
    from omegaconf import DictConfig

    from gansfp.data.datamodule import BenchmarkDataModule

log = logging.getLogger(__name__)


def run(config: DictConfig) -> float | None:
    """Run one experiment, or skip it where its result is there already.

    Args:
        config: `conf/train.yaml`, composed and checked.

    Returns:
        The objective (the official metric unless `objective` names another), or None on the
        processes of a distributed fit that do not predict.
    """
    settings.prepare()
    settings.refuse_ddp_sweep(config)
    settings.name_experiment(config)
    pin_recipes(config)
    build.trust(config.trust)
    build.check_targets(config)
    folder = Run.of(config)
    if settings.in_child_process():
        _fit(config, folder, *_build(config), [])
        return None
    if folder.result is not None and not config.force:
        log.info("finished before, skipped: %s", folder.folder)
        return objective_of(folder.result, config.objective)
    with open_run(folder, config), tracked(config, folder) as session:
        data, method = _build(config)
        if not _fit(config, folder, data, method, session.loggers):
            return None
        predict_run(config, folder, data, method)
        result = _evaluate(config, folder, data)
        folder.finish(result)
        session.log_outcome(result)
    log.info("%s\nresults in %s", _summary(result), folder.folder)
    return objective_of(result, config.objective)


def _build(config: DictConfig) -> tuple[BenchmarkDataModule, BenchmarkModule | Estimator]:
    L.seed_everything(config.seed, workers=True, verbose=False)
    data: BenchmarkDataModule = build.instantiate(config.data)
    data.prepare_data()
    data.setup("fit")
    return data, build_method(config, data)


def build_method(config: DictConfig, data: BenchmarkDataModule) -> BenchmarkModule | Estimator:
    """Build the method of a configuration, with what it wants to know of the benchmark filled in.

    Raises:
        UserError: The method does not fit the interface.
    """
    benchmark = data.benchmark
    facts = {
        "task": benchmark.task,
        "image_size": _side(benchmark.image_size),
        "classes": list(benchmark.classes),
    }
    method = build.instantiate(config.method, **build.accepted(config.method, facts))
    if not isinstance(method, (BenchmarkModule, Estimator)):
        raise UserError(
            f"method._target_={config.method['_target_']}: a method derives from "
            "gansfp.methods.base.BenchmarkModule or Estimator"
        )
    return method


def _side(size: tuple[int, int]) -> int | list[int]:
    height, width = size
    return height if height == width else [height, width]


def _fit(
    config: DictConfig,
    run_folder: Run,
    data: BenchmarkDataModule,
    method: BenchmarkModule | Estimator,
    loggers: list[Logger],
) -> bool:
    """Fit the method; True on the process that goes on to predict."""
    if isinstance(method, Ensemble):
        method.gather(config, run_folder)
    if isinstance(method, Estimator):
        method.fit(data).save(run_folder.folder / "model")
        return True
    trainer = learned.make_trainer(
        config.trainer,
        run_folder.folder,
        callbacks=config.callbacks,
        loggers=loggers,
        first=method.own_callbacks(),
    )
    learned.fit(trainer, method, data)
    return learned.leave_group(trainer)


def _evaluate(config: DictConfig, folder: Run, data: BenchmarkDataModule) -> dict[str, Any]:
    evaluator = build.instantiate(config.evaluator)
    truth = Path(config.truth) if config.truth else None
    result: dict[str, Any] = evaluator.evaluate_run(
        folder, data, truth, config.seed, **_full_control(config, data)
    )
    return result


def _full_control(config: DictConfig, data: BenchmarkDataModule) -> dict[str, Any]:
    """Fit the method on shuffled labels where `evaluator.controls=full` asks for it.

    Raises:
        UserError: The method is an ensemble, whose voters are fitted already.
    """
    if config.evaluator.get("controls") != "full":
        return {}
    if build.resolve(config.method["_target_"]) is Ensemble:
        raise UserError("evaluator.controls=full: fits a method anew, take it for the voters")
    from gansfp.runtime.shuffled import shuffled_control

    return {"shuffled": shuffled_control(config, data.benchmark, build_method)}


def _summary(result: dict[str, Any]) -> str:
    """Say the official metric with its interval, and whether it may be believed."""
    where = "test" if result["test"] else "validation"
    measured = result[where]
    if measured is None:
        return "no truth and no held-out image: predictions only"
    value, low, high = measured["metrics"][result["official"]]
    text = f"{where} {result['official']} {value:.3f} [{low:.3f}, {high:.3f}], n = {measured['n']}"
    return f"{text}, INVALID: {result['invalid_reason']}" if result["valid"] is False else text
