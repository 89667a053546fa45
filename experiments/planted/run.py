"""Kappa of every membership recipe on the planted benchmarks, learned ones also without their loss.

python experiments/planted/run.py [RECIPE...]

Adds rows to results.csv beside this file; a recipe that has rows there already is left out.
"""

from __future__ import annotations

import csv
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1] / "tests" / "helpers"))

import planted  # noqa: E402
import torch  # noqa: E402
from small import small_model  # noqa: E402

from gansfp.features import backbones  # noqa: E402
from gansfp.features.backbones import BackboneSpec  # noqa: E402

QUIET = ("trainer.accelerator=cpu", "trainer.enable_progress_bar=false")
COLUMNS = ("recipe", "settings", "cut", "loss", "near_copies", "texture_shift", "independent_draws")

OWN, BEST = "its own", "best kappa"
"""BEST: on the labelled images, where the published cut is a similarity in another network."""

PLAN: list[tuple[str, tuple[str, ...], str]] = [
    ("table2/1160_twins", (), OWN),
    ("table2/1160_twins", ("data.sampling.steps_per_epoch=6",), OWN),
    ("table2/1803_canet", ("data.sampling.steps_per_epoch=6",), BEST),
    ("table2/1107_infonce", ("trainer.max_epochs=3",), BEST),
    ("table2/1107_infonce", (), BEST),
    ("table2/1875_moco", ("trainer.max_epochs=3", "method.queue=512"), BEST),
    ("table2/1169_moco_efficientnet", ("trainer.max_epochs=3", "method.queue=512"), BEST),
    ("table2/1140_moco_vit", ("trainer.max_epochs=3", "method.queue=512"), BEST),
    ("table2/1874_experts", ("trainer.max_epochs=3", "method.queue=512"), BEST),
    ("table2/1355_cnn_ssim", (), OWN),
    ("table2/1696_siamese", (), OWN),
    ("table2/1811_transfer", (), OWN),
    ("table2/1811_transfer", ("method.lr=1e-2",), OWN),
    ("table2/1881_resnet_autoencoder", ("trainer.max_epochs=3", "method.size=32"), OWN),
    ("table2/1880_conv_autoencoder", ("trainer.max_epochs=10", "method.size=32"), OWN),
    ("table2/1878_vit_autoencoder", ("trainer.max_epochs=10", "method.size=64"), OWN),
    ("table2/nn_dclgan", ("trainer.max_epochs=10", "method.width=8"), OWN),
    (
        "table2/nn_dual_dclgan",
        ("trainer.max_epochs=10", "method.width=8", "data.sampling.batch_size=16"),
        OWN,
    ),
    ("earlier/2023_relation_network", ("trainer.max_epochs=20", "method.size=64"), OWN),
]

CLASSICAL = [
    *(f"table2/{name}" for name in ("1288_medhastra", "1288_medhastra_threshold", "1330_cosine",
      "1355_map_ssim", "1359_max", "1359_sigmoid", "1359_top3", "1359_chosen", "1359_mean",
      "1359_perceptron", "1427_jaccard", "1776_centroids", "1776_centroids_lbp",
      "1778_cluster_vote", "1779_kmeans", "1803_retrieval", "1880_spectral",
      "1881_linear_forest")),
    *(f"earlier/2023_{name}" for name in ("texture_cdf", "vcmi_ssim_max", "vcmi_ssim_mean_sd",
      "vcmi_ssim_retrieval")),
]  # fmt: skip
ANY_CUT = {f"table2/1359_{name}" for name in ("max", "sigmoid", "top3", "chosen", "mean")}


def main() -> None:
    """Fill in what is missing."""
    BackboneSpec.load = planted.small_backbone  # type: ignore[method-assign,assignment]
    backbones.build_model = small_model
    place = HERE / "results.csv"
    rows = list(csv.DictReader(place.open())) if place.exists() else []
    done = {(row["recipe"], row["settings"], row["loss"]) for row in rows}
    build = planted.build_method
    plan = [(*line, ("yes", "zero")) for line in PLAN]
    plan += [(name, (), BEST if name in ANY_CUT else OWN, ("none",)) for name in CLASSICAL]
    for recipe, words, cut, losses in plan:
        if len(sys.argv) > 1 and recipe not in sys.argv[1:]:
            continue
        for loss in losses:
            if (recipe, " ".join(words), loss) in done:
                continue
            planted.build_method = without_loss(build) if loss == "zero" else build
            row = dict(zip(COLUMNS, (recipe, " ".join(words), cut, loss), strict=False))
            for kind in COLUMNS[4:] if loss != "zero" else COLUMNS[4:6]:
                row[kind] = measured(recipe, kind, words, cut)
            rows.append(row)
            with place.open("w", newline="") as file:
                writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
                writer.writeheader()
                writer.writerows(rows)


def measured(recipe: str, kind: Any, words: tuple[str, ...], cut: str) -> str:
    """Run a recipe; its kappa, two digits."""
    start = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        kappa = planted.planted_kappa(
            recipe, kind, Path(folder), (*QUIET, *words), own_cut=cut == OWN
        )
    print(f"{recipe} {words} {kind} {kappa:.2f} ({time.process_time() - start:.0f} s)", flush=True)
    return f"{kappa:.2f}"


def without_loss(build: Any) -> Any:
    """Build methods whose losses are 0 times what they are."""

    def built(*words: Any) -> Any:
        method = build(*words)
        step = method.training_step

        def training_step(batch: dict[str, torch.Tensor], batch_idx: int) -> torch.Tensor:
            return 0 * step(batch, batch_idx)

        if method.automatic_optimization:
            method.training_step = training_step
        else:  # both losses of a translation become constants
            method.training_step = lambda batch, batch_idx: None
        return method

    return built


if __name__ == "__main__":
    main()
