"""Every recipe without a trained network on the planted benchmarks, with its own hyperparameters.

Small networks stand for the pretrained ones. Where a recipe cuts at a similarity that only means
something with its own network, the cut is the task's default, the best kappa on labelled images.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from planted import CHANCE, FOUND, Kind, composed, planted_kappa, small_backbone

from gansfp import build
from gansfp.features.backbones import BackboneSpec

NEAREST = (
    "table2/1288_medhastra",
    "table2/1288_medhastra_threshold",
    "table2/1330_cosine",
    "table2/1355_map_ssim",
    "table2/1359_max",
    "table2/1359_sigmoid",
    "table2/1359_top3",
    "table2/1359_chosen",
    "table2/1427_jaccard",
    "table2/1803_retrieval",
    "table2/1881_linear_forest",
    "earlier/2023_vcmi_ssim_max",
    "earlier/2023_vcmi_ssim_mean_sd",
    "earlier/2023_vcmi_ssim_retrieval",
    "beyond/copy_ssim",
)
OTHERS = (
    "table2/1359_mean",
    "table2/1359_perceptron",
    "table2/1776_centroids",
    "table2/1776_centroids_lbp",
    "table2/1778_cluster_vote",
    "table2/1779_kmeans",
    "table2/1880_spectral",
    "earlier/2023_texture_cdf",
)
ANY_CUT = {f"table2/1359_{name}" for name in ("max", "sigmoid", "top3", "chosen", "mean")}
"""Recipes whose published cut is a similarity in the space of their own network."""

PARTLY = {"table2/1776_centroids"}
"""Ten centres of 100 copied members: a tenth of each centre is a member itself."""


def kappa(recipe: str, kind: Kind, folder: Path) -> float:
    return planted_kappa(recipe, kind, folder, own_cut=recipe not in ANY_CUT)


@pytest.fixture(autouse=True)
def _small_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BackboneSpec, "load", small_backbone)


@pytest.mark.parametrize("recipe", NEAREST)
def test_copies_are_found_by_what_looks_at_the_nearest(recipe: str, tmp_path: Path) -> None:
    assert kappa(recipe, "near_copies", tmp_path) > FOUND


@pytest.mark.parametrize("recipe", [name for name in OTHERS if name not in PARTLY])
def test_copies_are_not_found_by_others(recipe: str, tmp_path: Path) -> None:
    assert abs(kappa(recipe, "near_copies", tmp_path)) < CHANCE


@pytest.mark.parametrize("recipe", sorted(PARTLY))
def test_copies_are_partly_found_through_small_clusters(recipe: str, tmp_path: Path) -> None:
    assert CHANCE < kappa(recipe, "near_copies", tmp_path) < 0.6


@pytest.mark.parametrize("recipe", OTHERS)
def test_a_shift_is_found_by_others(recipe: str, tmp_path: Path) -> None:
    assert kappa(recipe, "texture_shift", tmp_path) > FOUND


@pytest.mark.parametrize("recipe", [*NEAREST, *OTHERS])
def test_independent_draws_are_at_chance(recipe: str, tmp_path: Path) -> None:
    assert abs(kappa(recipe, "independent_draws", tmp_path)) < CHANCE


@pytest.mark.parametrize("recipe", [*NEAREST, *OTHERS])
def test_the_kind_of_a_method_is_what_it_declares(recipe: str) -> None:
    config = composed(recipe)
    method = build.instantiate(config.method)
    assert (method.uses_synthetic == "nearest") == (recipe in NEAREST)
