"""The rate of a fit: images are counted, warm-up and what lies between epochs are not timed."""

from __future__ import annotations

import runpy
import time
from pathlib import Path

import lightning as L
import numpy as np
import pandas as pd
import pytest
import torch
from torch.utils.data import DataLoader

from gansfp.callbacks.throughput import THROUGHPUT, Throughput, images_in
from gansfp.runtime.files import read_json

PAUSE = 0.02


class Slow(L.LightningModule):
    """Takes PAUSE a step, and ten times as long to validate."""

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(4, 1)

    def training_step(self, batch, _):
        time.sleep(PAUSE)
        return self.layer(batch["image"].flatten(1)).mean()

    def validation_step(self, batch, _):
        time.sleep(10 * PAUSE)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)

    def train_dataloader(self):
        batch = {"image": torch.zeros(3, 2, 2), "other_image": torch.zeros(3, 5, 2, 2)}
        return DataLoader([batch] * 6, batch_size=None)

    def val_dataloader(self):
        return DataLoader([{"image": torch.zeros(3, 2, 2)}], batch_size=None)


def test_the_rate_is_that_of_the_steps(tmp_path):
    trainer = L.Trainer(
        accelerator="cpu", max_epochs=3, default_root_dir=tmp_path, callbacks=[Throughput(skip=4)],
        logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, num_sanity_val_steps=0,
    )  # fmt: skip
    trainer.fit(Slow())
    rate = read_json(tmp_path / THROUGHPUT)
    # Of 18 steps 3 are warm-up, and the first of each epoch starts the clock.
    assert rate["steps"] == 18 - 3 - 3
    assert rate["images_per_step"] == 18
    assert rate["world_size"] == 1
    assert rate["steps_per_second"] <= 1 / PAUSE
    assert rate["steps_per_second"] > 0
    expected = 18 * rate["steps_per_second"]
    assert rate["images_per_second"] == pytest.approx(expected)


def test_views_count_and_rows_do_not():
    batch = {
        "row": torch.zeros(4), "image": torch.zeros(4, 8, 8), "image_2": torch.zeros(4, 8, 8),
        "key_image": torch.zeros(4, 3, 8, 8), "step": 3,
    }  # fmt: skip
    assert images_in(batch) == 4 + 4 + 12


def test_efficiency_is_against_the_smallest_count():
    path = Path(__file__).parents[3] / "benchmarks" / "scaling.py"
    rows_of = runpy.run_path(str(path))["rows_of"]

    def measured(rate, score):
        scores = pd.DataFrame({"score": np.array([score, 1.0])})
        return {"images_per_second": rate, "metric": 0.75, "scores": scores}

    runs = {1: measured(100.0, 0.5), 4: measured(360.0, 0.25)}
    one, four = rows_of("x", runs, [runs[1], measured(99.0, 0.1)])
    assert (one["efficiency"], four["efficiency"]) == (1.0, 0.9)
    assert four["largest_score_difference"] == 0.25
    assert four["seed_score_difference"] == pytest.approx(0.4)
    assert four["seed_spread"] == 0.0
