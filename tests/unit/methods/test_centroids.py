"""Distance to centroids against scikit-learn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.cluster import KMeans

from gansfp.errors import UserError
from gansfp.methods.centroids.estimator import CentroidDistance

Data = Any


def test_it_is_k_means_of_the_synthetic_images(membership: Data, tmp_path: Path) -> None:
    rows = membership.benchmark.candidates("test")
    pixels = {
        name: (membership.benchmark.images(r).reshape(len(r), -1) / 255).astype(np.float32)
        for name, r in (("real", rows), ("made", membership.generated_rows))
    }
    model = KMeans(3, n_init=10, random_state=42).fit(pixels["made"].astype(np.float64))
    expected = -model.transform(pixels["real"].astype(np.float64)).min(axis=1)
    method = CentroidDistance(clusters=3).fit(membership)
    np.testing.assert_allclose(method.predict(membership, rows), expected, atol=1e-6)
    method.save(tmp_path / "model")
    loaded = CentroidDistance.load(tmp_path / "model")
    np.testing.assert_array_equal(
        loaded.predict(membership, rows), method.predict(membership, rows)
    )


def test_no_label_enters(membership: Data) -> None:
    rows = membership.benchmark.candidates("train")
    before = CentroidDistance(clusters=3).fit(membership).predict(membership, rows)
    membership.benchmark.index.frame["label"] = None
    after = CentroidDistance(clusters=3).fit(membership).predict(membership, rows)
    np.testing.assert_array_equal(before, after)


def test_more_centres_than_images_are_the_images(membership: Data) -> None:
    method = CentroidDistance(clusters=100).fit(membership)
    made = membership.generated_rows[:1]
    assert method.predict(membership, made)[0] == pytest.approx(0, abs=1e-6)


def test_attribution_is_refused(attribution: Data) -> None:
    with pytest.raises(UserError, match="task=membership"):
        CentroidDistance().fit(attribution)
