"""The control of a whole pipeline: fitted again on shuffled labels, it must find nothing."""

from __future__ import annotations

import logging
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from gansfp import build
from gansfp.data.index import Index
from gansfp.data.layout import LABEL_OF_ROLE
from gansfp.evaluation.controls import shuffled_labels
from gansfp.evaluation.permutation import Blocks
from gansfp.evaluation.ranking import auroc
from gansfp.methods.base import Estimator
from gansfp.runtime import learned
from gansfp.runtime.scoring import IN_SAMPLE, LABEL, labelled_table

if TYPE_CHECKING:
    from collections.abc import Callable

    from omegaconf import DictConfig

    from gansfp.data.benchmark import Benchmark
    from gansfp.data.datamodule import BenchmarkDataModule
    from gansfp.evaluation.result import Control
    from gansfp.methods.base import BenchmarkModule

    Build = Callable[[DictConfig, BenchmarkDataModule], BenchmarkModule | Estimator]

log = logging.getLogger(__name__)

REFITS = 20


def shuffled_control(
    config: DictConfig, benchmark: Benchmark, build_method: Build, refits: int = REFITS
) -> Control | None:
    """Fit the method again and again on shuffled labels of the labelled images, patients whole.

    What is measured is the area under the ROC curve on the labelled images that set sign and
    threshold, against the shuffled labels: where an image's own label gets into its score, it is
    above 1/2. Each shuffle is followed by its opposite, used and unused exchanged: a score that
    reads no label then has a mean of exactly 1/2 over both, whatever the shuffle. No test image is
    scored.

    Args:
        config: Of the run; its method and data are built anew for each refit.
        benchmark: A membership benchmark.
        build_method: Builds the method of a configuration for a datamodule.
        refits: Number of refits, even.

    Returns:
        The mean area with its interval; None where the method keeps no labelled image apart from
        those that it is fitted on.
    """
    areas = []
    config = _quiet(config)
    labelled = benchmark.candidates("train")
    blocks = Blocks.of(benchmark.targets(labelled), benchmark.groups(labelled))
    shuffles = np.concatenate(list(blocks.permuted(refits // 2, config.seed)))
    pairs = np.stack([shuffles, 1 - shuffles], axis=1).reshape(-1, len(labelled))
    for number, labels in enumerate(pairs):
        data: BenchmarkDataModule = build.instantiate(config.data)
        data.__dict__["benchmark"] = relabelled(benchmark, labels)
        method = build_method(config, data)
        with tempfile.TemporaryDirectory() as folder:
            _fit(config, data, method, Path(folder))
            table = labelled_table(config, data, method)
        known = table[~table[IN_SAMPLE].astype(bool)]
        if known[LABEL].nunique() < 2:
            return None
        areas.append(auroc(known[LABEL].to_numpy(), known["raw_score"].to_numpy(np.float64)))
        log.info("shuffled labels, refit %d of %d: AUROC %.3f", number + 1, refits, areas[-1])
    return shuffled_labels(np.array(areas))


def relabelled(benchmark: Benchmark, used: np.ndarray) -> Benchmark:
    """Give the labelled images other labels; rows and pixels stay.

    Args:
        benchmark: A membership benchmark.
        used: 1 = used, of each of `benchmark.candidates("train")`, shape (n,).
    """
    rows, frame = benchmark.candidates("train"), benchmark.index.frame.copy()
    role = np.where(used == 1, "real_used", "real_not_used")
    for column, values in (("role", role), ("label", [LABEL_OF_ROLE[name] for name in role])):
        known = frame[column].to_numpy(dtype=object).copy()
        known[rows] = values
        frame[column] = pd.Series(known, index=frame.index, dtype=object)
    return replace(benchmark, index=Index(frame))


def _quiet(config: DictConfig) -> DictConfig:
    """One device, no progress bar, folds that are neither read nor written."""
    quiet: DictConfig = config.copy()
    quiet.trainer.devices, quiet.trainer.num_nodes, quiet.trainer.strategy = 1, 1, "auto"
    quiet.trainer.enable_progress_bar = False
    quiet.data.folds_file = None
    return quiet


def _fit(
    config: DictConfig, data: BenchmarkDataModule, method: BenchmarkModule | Estimator, folder: Path
) -> None:
    if isinstance(method, Estimator):
        method.fit(data)
        return
    trainer = learned.make_trainer(config.trainer, folder, first=method.own_callbacks())
    learned.fit(trainer, method, data)
