"""Three small membership benchmarks that say whether a method can see what it claims to see.

`near_copies`: the synthetic images are the members with a little noise. `texture_shift`: members
and synthetic images, independent of each other, share a texture that non-members lack.
`independent_draws`: every image is a draw from one population, so nothing can be found.

A method that declares `uses_synthetic: nearest` finds the members on the first; another one is at
chance there and finds them on the second; every method is at chance on the third.

    kappa = planted_kappa("table2/1288_medhastra", "near_copies", tmp_path)

runs a recipe as `gansfp train` does (its fit, its sign, its decision rule) and measures the test
images; `overrides` make it small, and may change epochs, image size, weights and decision rule.
"""

from __future__ import annotations

import copy
import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf
from scipy.ndimage import gaussian_filter
from torch import Tensor, nn

from gansfp import build
from gansfp.commands.train import build_method
from gansfp.data.benchmark import Benchmark
from gansfp.data.index import COLUMNS, Index
from gansfp.data.store import ImageStore
from gansfp.features.backbones import Backbone, BackboneSpec
from gansfp.methods.base import Estimator
from gansfp.runtime import learned
from gansfp.runtime.run import Run
from gansfp.runtime.scoring import predict_run
from gansfp.tables import read_table

Kind = Literal["near_copies", "texture_shift", "independent_draws"]

CONF = Path(__file__).parents[2] / "conf"
LABELLED, TEST, SYNTHETIC = 40, 60, 100
"""Images used, and as many not used; synthetic images of the train and of the test set each."""

CHANCE = 3 / np.sqrt(2 * TEST)
"""Three standard errors of kappa at chance on a balanced test set."""

FOUND = 0.8


@dataclass(frozen=True)
class Planted:
    """A planted benchmark.

    Attributes:
        benchmark: Without groups; its test images carry no label.
        truth: 1 = used, of `benchmark.candidates("test")`.
    """

    benchmark: Benchmark
    truth: np.ndarray


def planted_benchmark(kind: Kind, seed: int = 0, size: int = 64) -> Planted:
    """Draw a benchmark of 80 labelled, 120 test and 200 synthetic images in a second."""
    rng = np.random.default_rng([seed, size])
    shifted = kind == "texture_shift"
    members = _population(LABELLED + TEST, size, rng, texture=shifted)
    others = _population(LABELLED + TEST, size, rng, texture=False)
    if kind == "near_copies":
        source = np.concatenate([rng.permutation(len(members)) for _ in range(2)])
        synthetic = members[source] + rng.normal(0, 3, (2 * SYNTHETIC, size, size))
    else:
        synthetic = _population(2 * SYNTHETIC, size, rng, texture=shifted)
    order = rng.permutation(2 * TEST)
    test = np.concatenate([members[LABELLED:], others[LABELLED:]])[order]
    parts: list[tuple[str, str, str | None, np.ndarray]] = [
        ("train", "generated", None, synthetic[:SYNTHETIC]),
        ("train", "real_used", "used", members[:LABELLED]),
        ("train", "real_not_used", "not_used", others[:LABELLED]),
        ("test", "generated", None, synthetic[SYNTHETIC:]),
        ("test", "real_unknown", None, test),
    ]
    return Planted(_benchmark(parts), (order < TEST).astype(np.int64))


def planted_kappa(
    experiment: str,
    kind: Kind,
    folder: Path,
    overrides: tuple[str, ...] = (),
    seed: int = 0,
    own_cut: bool = True,
) -> float:
    """Run a recipe on a planted benchmark and give the kappa of its test decisions.

    Without `own_cut` the decision rule is the task's, the best kappa on the labelled images, for
    recipes whose cut only means something with the network that it was published for.
    """
    config = composed(experiment, *overrides)
    if not own_cut:
        rule = {"_target_": "gansfp.decisions.BestKappa", "in_sample": True}
        config.decision = OmegaConf.create(rule)
    planted = planted_benchmark(kind, seed)
    data = build.instantiate(config.data)
    data.__dict__["benchmark"] = planted.benchmark
    torch.manual_seed(seed)
    method = build_method(config, data)
    run = Run(folder)
    if isinstance(method, Estimator):
        method.fit(data)
    else:
        trainer = learned.make_trainer(config.trainer, folder, first=method.own_callbacks())
        learned.fit(trainer, method, data)
    predict_run(config, run, data, method)
    decision = read_table(run.predictions("test"))["decision"].to_numpy()
    return float(2 * np.mean(decision == planted.truth) - 1)  # the test set is balanced


def composed(experiment: str, *overrides: str) -> DictConfig:
    """Compose the configuration of a recipe: a copy of one's own."""
    return copy.deepcopy(_composed(experiment, *overrides))


@cache
def _composed(experiment: str, *overrides: str) -> DictConfig:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("train", overrides=[f"experiment={experiment}", *overrides])


class SmallNet(nn.Module):
    """Two random convolutions with timm's face: what stands for a pretrained network in tests."""

    def __init__(self, seed: int = 0, dim: int = 256) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.body = nn.Sequential(
                nn.Conv2d(3, 32, 5, stride=2), nn.ReLU(), nn.Conv2d(32, dim, 3, stride=2), nn.ReLU()
            )
        self.num_features = dim
        self.feature_info = [{"num_chs": 32}, {"num_chs": dim}, {"num_chs": dim}]

    def forward_intermediates(self, images: Tensor, indices: list[int], **_: Any) -> list[Tensor]:
        """Maps after the layers from the first ReLU on."""
        return [self.body[: 2 + k](images) for k in indices]

    def forward_features(self, images: Tensor) -> Tensor:
        """Feature maps, shape (B, dim, h, w)."""
        return self.body(images)

    def forward(self, images: Tensor) -> Tensor:
        """Pooled features, shape (B, dim)."""
        return self.forward_features(images).mean(dim=(2, 3))


def small_backbone(spec: BackboneSpec, size: int = 64) -> Backbone:
    """Stand for `BackboneSpec.load`: `monkeypatch.setattr(BackboneSpec, "load", ...)`."""
    net = SmallNet(spec.seed).eval().requires_grad_(False)
    half = (0.5, 0.5, 0.5)
    return Backbone(
        net, spec.name, "small", net.num_features, size, half, half, torch.device("cpu")
    )


def _population(n: int, size: int, rng: np.random.Generator, *, texture: bool) -> np.ndarray:
    """Draw smooth random fields under fine noise; grey levels, shape (n, size, size).

    With `texture`, the noise comes in stripes of the same power, so that brightness and contrast
    give nothing away.
    """
    smooth = gaussian_filter(rng.standard_normal((n, size, size)), (0, size / 10, size / 10))
    smooth *= 6 / smooth.std()
    noise = rng.standard_normal((n, size, size))
    if texture:
        noise = gaussian_filter(noise, (0, 0, 2))
        noise /= noise.std()
    return np.clip(128 + smooth + 30 * noise, 0, 255)


def _benchmark(parts: list[tuple[str, str, str | None, np.ndarray]]) -> Benchmark:
    pixels = np.concatenate([np.rint(np.clip(part[3], 0, 255)).astype(np.uint8) for part in parts])
    rows: list[tuple[Any, ...]] = []
    for split, role, label, images in parts:
        for number in range(len(images)):
            sample, image = f"{split}/{role}/{role}_{number + 1}.png", pixels[len(rows)]
            digest = hashlib.sha256(image.tobytes()).hexdigest()
            rows.append(
                (sample, sample, split, role, label, sample, *image.shape[::-1], "L", digest)
            )
    frame = pd.DataFrame(rows, columns=[*COLUMNS])
    frame["label"] = pd.Series([row[4] for row in rows], dtype=object)
    return Benchmark("membership", Index(frame), ImageStore(pixels))
