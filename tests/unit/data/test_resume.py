"""Batches after a crash in a real Trainer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint

from gansfp.data.batches import PlanLoader, ShuffledRows

STEPS, EPOCHS = 5, 4


class Recorder(L.LightningModule):
    """Notes every batch; raises in the training step of its own choice."""

    def __init__(self, crash_at: int | None = None) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = torch.nn.Linear(1, 1)
        self.crash_at = crash_at
        self.seen: list[tuple[int, int, list[int]]] = []

    def training_step(self, batch: dict[str, torch.Tensor], batch_idx: int) -> torch.Tensor:
        if self.global_step == self.crash_at:
            raise RuntimeError("killed")
        self.seen.append((self.current_epoch, batch_idx, batch["row"].tolist()))
        return self.layer(batch["label"].float().unsqueeze(1)).square().mean()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=1e-3)


def fit(
    folder: Path, crash_at: int | None, every: int, resume: bool, **options: Any
) -> tuple[Recorder, L.Trainer]:
    plan = ShuffledRows(np.arange(22), np.arange(22) % 2, 4, seed=3)
    assert len(plan) == STEPS
    module = Recorder(crash_at)
    saving = ModelCheckpoint(folder, save_last=True, every_n_train_steps=every, save_top_k=0)
    if every == 0:
        saving = ModelCheckpoint(
            folder, save_last=True, save_on_train_epoch_end=True, every_n_epochs=1
        )
    trainer = L.Trainer(
        **({"max_epochs": EPOCHS} | options), accelerator="cpu", logger=False, callbacks=[saving],
        enable_progress_bar=False, enable_model_summary=False, use_distributed_sampler=False,
        num_sanity_val_steps=0,
    )  # fmt: skip
    trainer.fit(module, PlanLoader(plan), ckpt_path=folder / "last.ckpt" if resume else None)
    return module, trainer


def replay(folder: Path, crash_at: int, every: int, **options: Any) -> list[Any]:
    """Crash, resume, and give the batches that count: up to the checkpoint, then from it on."""
    with pytest.raises(RuntimeError, match="killed"):
        fit(folder, crash_at, every, resume=False, **options)
    saved = torch.load(folder / "last.ckpt", weights_only=True)["global_step"]
    resumed, trainer = fit(folder, None, every, resume=True, **options)
    whole, _ = fit(folder / "whole", None, every, resume=False, **options)
    assert trainer.global_step == len(whole.seen)
    assert resumed.seen == whole.seen[saved:]
    torch.testing.assert_close(resumed.layer.weight, whole.layer.weight, rtol=0, atol=0)
    return whole.seen


BY_STEPS = [
    (8, 2),  # the checkpoint lies inside epoch 1, the crash right behind it
    (9, 4),  # the crash comes one step after the checkpoint
    (13, 3),  # inside epoch 2
    (11, 5),  # on the border between two epochs
    (10, 5),  # the same, and the crash in the very first step after it
]
AT_EPOCH_ENDS = [(12, 0), (10, 0)]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("crash_at", "every", "options"),
    [
        *((*case, {"max_epochs": EPOCHS}) for case in BY_STEPS + AT_EPOCH_ENDS),
        # Not at epoch ends here: Lightning 2.6 counts one stray step when it resumes from such a
        # checkpoint under max_steps.
        *((*case, {"max_steps": 17, "max_epochs": -1}) for case in BY_STEPS),
    ],
)
def test_a_resumed_fit_sees_the_batches_of_an_undisturbed_one(
    tmp_path: Path, crash_at: int, every: int, options: dict[str, int]
) -> None:
    seen = replay(tmp_path, crash_at, every, **options)
    plan = ShuffledRows(np.arange(22), np.arange(22) % 2, 4, seed=3)
    for epoch, step, rows in seen:
        assert rows == plan.batch(epoch, step)["row"].tolist()
    assert [(e, s) for e, s, _ in seen][:7] == [*((0, k) for k in range(STEPS)), (1, 0), (1, 1)]
