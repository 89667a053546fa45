"""The Siamese method: scores by definition, learning, checkpoints."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import pytest
import torch
from lightning.pytorch.callbacks import EarlyStopping
from torch import nn

from gansfp.data.pairs import ClassPairs
from gansfp.decisions import best_kappa_threshold
from gansfp.errors import UserError
from gansfp.evaluation.metrics import membership_metrics
from gansfp.methods.siamese.module import SiameseModule

Data = Any
SIZE = 46  # the smallest for four stages


def _stripes(rng: np.random.Generator, n: int, vertical: bool) -> np.ndarray:
    """Noisy stripes of random phase and period."""
    phase, period = rng.uniform(0, 9, (n, 1, 1)), rng.uniform(4, 7, (n, 1, 1))
    wave = np.sin(2 * np.pi * (np.arange(SIZE)[None, None] / period + phase))
    images = 128 + 60 * np.broadcast_to(wave, (n, SIZE, SIZE))
    images = images if vertical else images.transpose(0, 2, 1)
    return np.clip(images + 20 * rng.normal(size=images.shape), 0, 255).astype(np.uint8)


@pytest.fixture
def stripes(datamodule: Callable[..., Data]) -> Data:
    """Attribution with two subsets, vertical and horizontal stripes."""
    rng = np.random.default_rng(0)
    parts = []
    for label, vertical in (("t1", True), ("t2", False)):
        parts.append(("train", "real", label, _stripes(rng, 24, vertical), None))
        parts.append(("train", "generated", label, _stripes(rng, 24, vertical), None))
    for vertical in (True, False):
        parts.append(("test", "generated_unknown", None, _stripes(rng, 30, vertical), None))
    sampling = ClassPairs(batch_size=16, steps_per_epoch=6)
    return datamodule("attribution", parts, ("t1", "t2"), fold=None, sampling=sampling)


@pytest.fixture
def reals(datamodule: Callable[..., Data]) -> Data:
    """Membership: used images and synthetic ones have vertical stripes, the others horizontal."""
    rng = np.random.default_rng(0)
    parts = [
        ("train", "generated", None, _stripes(rng, 24, True), None),
        ("train", "real_used", "used", _stripes(rng, 12, True), None),
        ("train", "real_not_used", "not_used", _stripes(rng, 12, False), None),
        ("test", "generated", None, _stripes(rng, 12, True), None),
        ("test", "real_unknown", None, _stripes(rng, 8, True), None),
    ]
    sampling = ClassPairs(batch_size=16, steps_per_epoch=6)
    return datamodule("membership", parts, fold=None, sampling=sampling)


def _trainer(**options: Any) -> L.Trainer:
    return L.Trainer(
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        num_sanity_val_steps=0,
        **{"enable_checkpointing": False, "max_epochs": 3, **options},
    )


def _module(data: Data, **options: Any) -> SiameseModule:
    torch.manual_seed(0)
    return SiameseModule(
        task=data.benchmark.task,
        image_size=SIZE,
        classes=list(data.benchmark.classes) or None,
        **{"lr": 1e-3, "channels": [4, 8, 8, 8], "embedding": 32, **options},
    )


def _scores(module: SiameseModule, data: Data, rows: np.ndarray) -> np.ndarray:
    data.predict_rows = module.predict_rows(data, rows)
    outputs = torch.cat(_trainer().predict(module, data))
    return module.scores(outputs, data.predict_rows, data, rows)


def _embed(module: SiameseModule, data: Data, rows: np.ndarray) -> np.ndarray:
    with torch.inference_mode():
        return module.eval()(torch.from_numpy(data.benchmark.images(rows))).double().numpy()


class _Zero(nn.Module):
    def forward(self, left: torch.Tensor, right: torch.Tensor, same: torch.Tensor) -> torch.Tensor:
        return 0 * left.sum()


@pytest.mark.parametrize("loss", ["contrastive", "zero"])
def test_learns_by_its_loss_and_not_without(stripes: Data, loss: str) -> None:
    # Phases and periods are random: an untrained network tells the stripes apart a little, no more.
    truth = np.repeat([0, 1], 30)
    accuracies = []
    for seed in range(3):
        module = _module(stripes)
        torch.manual_seed(seed)
        module.network.apply(
            lambda m: m.reset_parameters() if hasattr(m, "reset_parameters") else None
        )
        if loss == "zero":
            module.loss = _Zero()
        _trainer(max_epochs=12).fit(module, stripes)
        got = _scores(module, stripes, stripes.benchmark.candidates("test"))
        accuracies.append((got.argmax(axis=1) == truth).mean())
    if loss == "contrastive":
        assert min(accuracies) > 0.9
    else:
        assert np.mean(accuracies) < 0.75


@pytest.mark.parametrize("inference", ["centroid", "average"])
def test_attribution_scores_by_definition(stripes: Data, inference: str) -> None:
    module = _module(stripes, inference=inference)
    rows = stripes.benchmark.candidates("test")[::7]
    got = _scores(module, stripes, rows)
    queries, columns = _embed(module, stripes, rows), []
    for label in ("t1", "t2"):
        real = _embed(module, stripes, stripes.benchmark.rows("train", "real", label))
        if inference == "centroid":
            columns.append(np.linalg.norm(queries - real.mean(axis=0), axis=1))
        else:
            columns.append(np.linalg.norm(queries[:, None] - real[None], axis=2).mean(axis=1))
    weights = np.exp(-np.stack(columns, axis=1))
    np.testing.assert_allclose(got, weights / weights.sum(1, keepdims=True), atol=1e-6)


@pytest.mark.parametrize("inference", ["centroid", "average"])
def test_membership_scores_by_definition(reals: Data, inference: str) -> None:
    module = _module(reals, inference=inference)
    rows = reals.benchmark.candidates("test")
    queries, made = _embed(module, reals, rows), _embed(module, reals, reals.generated_rows)
    if inference == "centroid":
        expected = -np.linalg.norm(queries - made.mean(axis=0), axis=1)
    else:
        expected = -np.linalg.norm(queries[:, None] - made[None], axis=2).mean(axis=1)
    np.testing.assert_allclose(_scores(module, reals, rows), expected, atol=1e-6)
    assert module.uses_synthetic == "mean"
    assert module.higher_is_member


def test_membership_learns_what_used_images_share(reals: Data) -> None:
    module = _module(reals)
    _trainer(max_epochs=12).fit(module, reals)
    scores = _scores(module, reals, reals.benchmark.candidates("train"))
    used = reals.benchmark.targets(reals.benchmark.candidates("train")) == 1
    assert scores[used].min() > scores[~used].max()


def test_checkpoint_gives_equal_outputs(stripes: Data, tmp_path: Path) -> None:
    module = _module(stripes)
    trainer = _trainer(max_epochs=1, default_root_dir=tmp_path, enable_checkpointing=True)
    trainer.fit(module, stripes)
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    loaded = SiameseModule.load_from_checkpoint(tmp_path / "last.ckpt", weights_only=True)
    rows = stripes.benchmark.candidates("test")
    np.testing.assert_array_equal(_embed(loaded, stripes, rows), _embed(module, stripes, rows))
    np.testing.assert_array_equal(_scores(loaded, stripes, rows), _scores(module, stripes, rows))
    assert dict(loaded.hparams) == dict(module.hparams)
    assert loaded.hparams["classes"] == ["t1", "t2"]


def test_held_out_reals_enter_no_centroid(stripes: Data) -> None:
    module = _module(stripes)
    rows = stripes.benchmark.candidates("test")
    real = stripes.benchmark.rows("train", "real")
    assert np.isin(real, module.predict_rows(stripes, rows)).all()
    stripes.__dict__["fit_rows"] = np.setdiff1d(stripes.fit_rows, real[:5])
    needed = module.predict_rows(stripes, rows)
    assert not np.isin(real[:5], needed).any()
    before = _scores(module, stripes, rows)
    stripes.benchmark.store.pixels[real[:5]] = 0
    np.testing.assert_array_equal(_scores(module, stripes, rows), before)


def test_legacy_scaling_trains_on_0_to_255(stripes: Data) -> None:
    inputs = {}
    batch = {
        "real_image": torch.full((2, SIZE, SIZE), 255, dtype=torch.uint8),
        "generated_image": torch.full((2, SIZE, SIZE), 51, dtype=torch.uint8),
        "image": torch.full((2, SIZE, SIZE), 255, dtype=torch.uint8),
        "same": torch.tensor([1, 0]),
    }
    for legacy in (False, True):
        module = _module(stripes, legacy_scaling=legacy)
        module.log = lambda *args, **kwargs: None
        seen: list[float] = []
        module.network.register_forward_pre_hook(
            lambda _, args, seen=seen: seen.extend([args[0].max().item(), args[0].min().item()])
        )
        module.training_step(batch, 0)
        module.predict_step(batch, 0)
        inputs[legacy] = seen
    np.testing.assert_allclose(inputs[False], [1, 0.2, 1, 1])
    np.testing.assert_allclose(inputs[True], [255, 51, 1, 1])


def test_training_loss_is_that_of_the_pairs(stripes: Data) -> None:
    module = _module(stripes, margin=0.7)
    logged = {}
    module.log = lambda name, value, **kwargs: logged.update({name: value})
    rows = torch.arange(6)
    images = stripes.benchmark.store.gather(rows, "cpu")
    same = torch.tensor([1, 0, 1])
    loss = module.training_step(
        {"real_image": images[:3], "generated_image": images[3:], "same": same}, 0
    )
    left, right = (_embed(module, stripes, np.arange(*r)) for r in ((0, 3), (3, 6)))
    d = np.linalg.norm(left - right, axis=1)
    expected = np.mean([d[0] ** 2, max(0, 0.7 - d[1]) ** 2, d[2] ** 2])
    np.testing.assert_allclose(loss.item(), expected, rtol=1e-4, atol=1e-7)
    assert logged["train/loss"] is loss


def test_mistakes_name_the_key(stripes: Data) -> None:
    with pytest.raises(UserError, match="inference=nearest: choose centroid or average"):
        SiameseModule(image_size=64, inference="nearest")
    with pytest.raises(UserError, match="image_size=None"):
        SiameseModule()
    module = SiameseModule(task="attribution", image_size=SIZE, classes=["t1", "t2", "t3"])
    with pytest.raises(UserError, match="not those that the method was trained"):
        module.predict_rows(stripes, np.array([0]))


class TestValidation:
    """Where a fold is held out, each epoch logs the task's metrics on it."""

    @pytest.fixture
    def held_out(self, request: pytest.FixtureRequest) -> Callable[[str], Data]:
        def build(name: str) -> Data:
            data = request.getfixturevalue(name)
            data._fold = 1
            return data

        return build

    def test_membership_metrics_are_those_of_the_scores(self, held_out) -> None:
        data = held_out("reals")
        module = _module(data)
        trainer = _trainer(max_epochs=2)
        trainer.fit(module, data)
        logged = {k: float(v) for k, v in trainer.callback_metrics.items() if k.startswith("val/")}
        rows = data.holdout_rows
        score, truth = _scores(module, data, rows), data.benchmark.targets(rows)
        decision = (score >= best_kappa_threshold(score, truth)).astype(int)
        expected = membership_metrics(truth, decision, score)
        assert 0 < len(rows) < 24
        for name in ("kappa", "accuracy", "f1", "auroc", "tpr_at_10fpr"):
            assert logged[f"val/{name}"] == pytest.approx(expected[name], abs=1e-6), name
        assert module.monitor["membership"] in logged
        assert module.mode == "max"

    def test_attribution_metrics_are_those_of_the_scores(self, held_out) -> None:
        data = held_out("stripes")
        module = _module(data)
        trainer = _trainer(max_epochs=2)
        trainer.fit(module, data)
        rows = data.holdout_rows
        right = _scores(module, data, rows).argmax(axis=1) == data.benchmark.targets(rows)
        logged = trainer.callback_metrics
        assert float(logged[module.monitor["attribution"]]) == pytest.approx(right.mean())
        assert "val/kappa" not in logged

    def test_a_low_score_may_mean_used(self, held_out, monkeypatch: pytest.MonkeyPatch) -> None:
        data = held_out("reals")
        found = {}
        for higher in (True, False):
            module = _module(data)
            module.higher_is_member = higher
            trainer = _trainer(max_epochs=1)
            trainer.fit(module, data)
            found[higher] = float(trainer.callback_metrics["val/auroc"])
        assert found[True] == pytest.approx(1 - found[False])

    def test_it_changes_no_weight(self, held_out) -> None:
        data = held_out("reals")
        states = []
        for limit in (1.0, 0):
            module = _module(data)
            _trainer(limit_val_batches=limit).fit(module, data)
            states.append(module.state_dict())
        assert states[0].keys() == states[1].keys()
        assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])

    def test_without_a_fold_nothing_is_validated(self, reals: Data) -> None:
        trainer = _trainer(max_epochs=1)
        trainer.fit(_module(reals), reals)
        assert not [name for name in trainer.callback_metrics if name.startswith("val/")]

    def test_early_stopping_can_watch_it(self, held_out) -> None:
        data = held_out("reals")
        module = _module(data, lr=0.0)
        stop = EarlyStopping(module.monitor["membership"], mode=module.mode, patience=2)
        trainer = _trainer(max_epochs=20, callbacks=[stop])
        trainer.fit(module, data)
        assert trainer.current_epoch == 3
