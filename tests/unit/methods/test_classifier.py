"""The fine-tuned classifier: outputs by definition, the best epoch, resuming, reading back."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import lightning as L
import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from scipy.special import softmax
from sklearn.svm import SVC
from torch import nn

from gansfp.callbacks.keep_best import KeepBest
from gansfp.data.pairs import Images
from gansfp.errors import UserError
from gansfp.features import backbones
from gansfp.methods.classifier.inference import among, similarity
from gansfp.methods.classifier.module import ClassifierModule
from gansfp.methods.probe.svm import LinearSVM
from gansfp.runtime import learned
from gansfp.runtime.checkpoints import ResumeCheckpoint

CLASSES = ["t1", "t2", "t3"]


class Tiny(nn.Sequential):
    """One convolution in the place of a timm model."""

    pretrained_cfg: ClassVar = {"input_size": (3, 8, 8), "mean": (0.5,) * 3, "std": (0.5,) * 3}
    num_features = 6

    def __init__(self) -> None:
        super().__init__(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())

    def reset_classifier(self, num_classes: int) -> None:
        assert num_classes == 0


@pytest.fixture(autouse=True)
def _tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    def build(name: str, weights: str, seed: int = 0) -> nn.Module:
        torch.manual_seed(seed if weights == "none" else 99)
        return Tiny()

    monkeypatch.setattr(backbones, "build_model", build)


@pytest.fixture
def levels(datamodule) -> Any:
    """Three subsets of textures: rows, columns, plain noise; 40 training images each."""
    rng = np.random.default_rng(0)

    def draw(n: int, kind: int) -> np.ndarray:
        images = 128 + 25 * rng.normal(size=(n, 8, 8))
        stripes = 50 * (np.arange(8) % 2 * 2 - 1)
        if kind < 2:
            images += stripes if kind else stripes[:, None]
        return np.clip(images, 0, 255)

    parts = []
    for kind, name in enumerate(CLASSES):
        parts.append(("train", "real", name, draw(20, kind), None))
        parts.append(("train", "generated", name, draw(40, kind), None))
    parts += [("test", "generated_unknown", None, draw(10, kind), None) for kind in range(3)]

    def make(**settings: Any) -> Any:
        sampling = Images(16, real_class=settings.pop("real_class", False))
        return datamodule("attribution", parts, CLASSES, sampling=sampling, **settings)

    return make


def module(**settings: Any) -> ClassifierModule:
    torch.manual_seed(0)
    backbone = {"name": "tiny", "weights": "none"}
    return ClassifierModule("attribution", CLASSES, backbone, **{"lr": 1e-2, **settings})


def fit(
    classifier: ClassifierModule, data: Any, folder: Path, epochs: int = 4, **settings: Any
) -> L.Trainer:
    trainer = L.Trainer(
        max_epochs=epochs, accelerator="cpu", logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, use_distributed_sampler=False,
        num_sanity_val_steps=0, default_root_dir=folder,
        callbacks=[*classifier.own_callbacks(), ResumeCheckpoint(1, 0.0)], **settings,
    )  # fmt: skip
    trainer.fit(classifier, datamodule=data)
    return trainer


def test_loss_is_the_smoothed_cross_entropy_of_the_logits() -> None:
    classifier = module(label_smoothing=0.1, real_class=True)
    classifier.log = lambda *_, **__: None
    images = torch.randint(0, 256, (5, 12, 12), dtype=torch.uint8)
    label = torch.tensor([0, 1, 2, 3, 3])
    loss = classifier.training_step({"image": images, "label": label}, 0)
    logits = classifier(images).detach().numpy()
    logp = np.log(softmax(logits.astype(np.float64), axis=1))
    wanted = -np.mean([0.9 * row[k] + 0.1 * row.mean() for row, k in zip(logp, label, strict=True)])
    assert loss.item() == pytest.approx(wanted, rel=1e-5)


def test_bytes_and_unit_floats_are_the_same_input() -> None:
    images = torch.randint(0, 256, (3, 12, 12), dtype=torch.uint8)
    torch.testing.assert_close(module()(images), module()(images.float() / 255))


def test_the_real_class_is_no_answer() -> None:
    logits = np.array([[1.0, 2.0, 0.0, 9.0], [0.0, -1.0, -2.0, 5.0]])
    np.testing.assert_allclose(among(logits, 3), softmax(logits[:, :3], axis=1))


def test_similarities_by_hand() -> None:
    queries = np.array([[2.0, 0.0], [0.0, 3.0]])
    sets = [np.array([[1.0, 0.0], [0.0, 5.0]]), np.array([[-4.0, 0.0]])]
    half = np.sqrt(0.5)
    np.testing.assert_allclose(similarity(queries, sets, "nearest"), [[1, -1], [1, 0]], atol=1e-12)
    np.testing.assert_allclose(
        similarity(queries, sets, "centroid"), [[half, -1], [half, 0]], atol=1e-12
    )


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_the_first_of_most_votes_is_what_libsvm_predicts(classes: int) -> None:
    rng = np.random.default_rng(classes)
    targets = rng.integers(classes, size=150)
    features = rng.normal(size=(150, 4)) + targets[:, None] * [0.5, 0, 0.3, 0]
    machine = LinearSVM.fit(features, targets, classes, c=0.7)
    new = rng.normal(size=(500, 4)) * 2
    shares = machine.votes(new)
    wanted = SVC(kernel="linear", C=0.7).fit(features, targets).predict(new)
    np.testing.assert_array_equal(shares.argmax(axis=1), wanted)
    np.testing.assert_allclose(shares.sum(axis=1), 1)


def test_it_learns_textures_and_ends_with_its_best_epoch(levels, tmp_path: Path) -> None:
    data, classifier = levels(folds=4, fold=0), module()
    trainer = fit(classifier, data, tmp_path, epochs=6)
    keep = next(c for c in trainer.callbacks if isinstance(c, KeepBest))
    again = trainer.validate(classifier, datamodule=data, verbose=False)[0]["val/accuracy"]
    assert again == pytest.approx(keep.best)
    assert keep.best > 0.8
    saved = torch.load(tmp_path / "checkpoints/last.ckpt", weights_only=True)["state_dict"]
    for name, tensor in classifier.state_dict().items():
        assert torch.equal(tensor, saved[name])


class Planned(L.Callback):
    """Sets the metric of each epoch, before KeepBest looks."""

    def __init__(self, values: list[float]) -> None:
        self.values = values
        self.heads: list[torch.Tensor] = []

    def on_validation_end(self, trainer: L.Trainer, pl_module: Any) -> None:
        value = self.values[trainer.current_epoch]
        trainer.callback_metrics["val/accuracy"].fill_(value)
        self.heads.append(pl_module.network.head.weight.detach().clone())


@pytest.mark.parametrize(("values", "kept"), [([0.2, 0.7, 0.7, 0.1], 1), ([0.1, 0.2, 0.3, 0.4], 3)])
def test_the_first_of_the_best_epochs_is_kept(levels, tmp_path, values, kept) -> None:
    classifier, planned = module(), Planned(values)
    trainer = L.Trainer(
        max_epochs=4, accelerator="cpu", logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, use_distributed_sampler=False,
        num_sanity_val_steps=0, default_root_dir=tmp_path,
        callbacks=[planned, KeepBest("val/accuracy")],
    )  # fmt: skip
    trainer.fit(classifier, datamodule=levels(folds=4, fold=0))
    assert torch.equal(classifier.network.head.weight, planned.heads[kept])


def test_best_without_a_held_out_fold_is_refused(levels, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"method\.keep=best needs images"):
        fit(module(), levels(fold=None), tmp_path, epochs=1)
    fit(module(keep="last"), levels(fold=None), tmp_path, epochs=1)


class StopAt(L.Callback):
    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
        if trainer.global_step == self.step:
            raise RuntimeError("killed")


@pytest.mark.parametrize("step", [7, 12])
def test_a_killed_fit_ends_with_the_same_best_epoch(levels, tmp_path: Path, step: int) -> None:
    def run(folder: Path, *extra: L.Callback) -> ClassifierModule:
        classifier = module(schedule="one_cycle", dropout=0.2)
        torch.manual_seed(1)
        trainer = L.Trainer(
            max_epochs=3, accelerator="cpu", logger=False, enable_checkpointing=False,
            enable_progress_bar=False, enable_model_summary=False, use_distributed_sampler=False,
            num_sanity_val_steps=0, default_root_dir=folder,
            callbacks=[*classifier.own_callbacks(), ResumeCheckpoint(1, 0.0), *extra],
        )  # fmt: skip
        learned.fit(trainer, classifier, levels(folds=4, fold=0))
        return classifier

    whole = run(tmp_path / "whole").state_dict()
    with pytest.raises(RuntimeError, match="killed"):
        run(tmp_path / "killed", StopAt(step))
    for name, tensor in run(tmp_path / "killed").state_dict().items():
        assert torch.equal(tensor, whole[name]), name


@pytest.mark.parametrize("inference", ["head", "centroid", "nearest", "svm"])
def test_scores_are_what_the_outputs_give(levels, tmp_path: Path, inference: str) -> None:
    data, classifier = levels(folds=4, fold=0), module(inference=inference)
    fit(classifier, data, tmp_path, epochs=2)
    rows = data.benchmark.candidates("test")[::3]
    config = OmegaConf.create({"accelerator": "cpu", "precision": "32-true"})
    found = learned.predict(classifier, data, rows, config)
    classifier.eval()
    images = torch.from_numpy(data.benchmark.images(rows))
    real = [
        torch.from_numpy(data.benchmark.images(data.benchmark.rows("train", "real", name)))
        for name in CLASSES
    ]
    with torch.inference_mode():
        logits = classifier(images).double().numpy()
        queries = classifier.network.features(images).double().numpy()
        sets = [classifier.network.features(group).double().numpy() for group in real]
    if inference == "head":
        wanted = softmax(logits, axis=1)
    elif inference == "svm":
        targets = np.repeat([0, 1, 2], 20)
        machine = SVC(kernel="linear").fit(np.concatenate(sets), targets)
        assert (found.argmax(1) == machine.predict(queries)).all()
        return
    else:
        wanted = softmax(similarity(queries, sets, inference), axis=1)
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_membership_scores_are_log_odds(membership) -> None:
    torch.manual_seed(0)
    classifier = ClassifierModule("membership", None, {"name": "tiny", "weights": "none"})
    outputs = torch.tensor([[1.0, 3.0], [0.5, -1.0]])
    rows = membership.benchmark.candidates("test")[:2]
    np.testing.assert_allclose(classifier.scores(outputs, rows, membership, rows), [2.0, -1.5])


def test_a_fitted_one_is_read_back_without_pretrained_weights(
    levels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    backbone = {"name": "tiny", "weights": "imagenet"}
    classifier = ClassifierModule("attribution", CLASSES, backbone)
    before = classifier.network.backbone[0].weight.clone()
    fit(classifier, levels(folds=4, fold=0), tmp_path, epochs=1)
    assert not torch.equal(before, classifier.network.backbone[0].weight)
    asked: list[str] = []
    build = backbones.build_model
    monkeypatch.setattr(
        backbones, "build_model", lambda n, w, s=0: asked.append(w) or build(n, w, s)
    )
    fresh = ClassifierModule("attribution", CLASSES, backbone)
    loaded = learned.load_module(fresh, tmp_path)
    images = torch.randint(0, 256, (3, 8, 8), dtype=torch.uint8)
    torch.testing.assert_close(loaded.eval()(images), classifier.eval()(images))
    assert set(asked) == {"none"}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"inference": "vote"}, "method.inference=vote"),
        ({"keep": "first"}, "method.keep=first"),
        ({"reference": "all"}, "method.reference=all"),
    ],
)
def test_impossible_values(settings: dict[str, str], said: str) -> None:
    with pytest.raises(UserError, match=said):
        module(**settings)


def test_a_benchmark_with_other_classes_is_refused(attribution) -> None:
    classifier = ClassifierModule("attribution", ["a", "b", "c"], {"weights": "none"})
    rows = attribution.benchmark.candidates("test")[:1]
    with pytest.raises(UserError, match="classes"):
        classifier.scores(torch.zeros(1, 3), rows, attribution, rows)
