from __future__ import annotations

import numpy as np
from sklearn.metrics import roc_auc_score

from gansfp.data.sources.base import RealImages
from gansfp.forge.card import leak_facts


def source(count=12):
    pixels = np.random.default_rng(0).integers(0, 256, (count, 8, 8)).astype(np.uint8)
    names = tuple(f"image_{k}" for k in range(count))
    return RealImages(pixels, names, names, names)


def test_near_copies_of_members_are_told_from_the_rest():
    real = source()
    members = np.arange(6)
    copies = real.pixels[:3].copy()
    copies[:, 0, 0] ^= 7
    fresh = np.random.default_rng(1).integers(0, 256, (5, 8, 8)).astype(np.uint8)
    samples = np.concatenate([copies, fresh])
    facts = leak_facts(real, members, samples, copies=4)
    assert facts["near_copies_of_members"] == 3 / 8
    assert facts["near_copies_of_others"] == 0
    assert facts["exact_copies_dropped"] == 4
    assert facts["expected"] == 0.5
    distance = np.linalg.norm(
        real.pixels[:, None].astype(float) - samples[None].astype(float), axis=(2, 3)
    ).min(axis=1)
    assert facts["auc_nearest"] == round(roc_auc_score(np.arange(12) < 6, -distance), 4)
    low, high = facts["auc_interval"]
    assert low < facts["auc_nearest"] < high


def test_without_others_there_is_no_auc():
    real = source(4)
    assert leak_facts(real, np.arange(4), real.pixels, 0)["auc_nearest"] is None
