"""A fit that was killed ends with the weights of one that was not."""

from __future__ import annotations

import random
from pathlib import Path

import lightning as L
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gansfp.data.batches import PlanLoader, ShuffledRows
from gansfp.runtime.checkpoints import (
    AtomicCheckpointIO,
    ResumeCheckpoint,
    last_checkpoint,
    resume_from,
)


class Killed(Exception):
    pass


class Net(L.LightningModule):
    """Dropout and Python's own generators make the weights depend on every RNG state."""

    def __init__(self, kill_at: int | None = None) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(1, 8), nn.Dropout(0.5), nn.Linear(8, 1))
        self.kill_at = kill_at
        self.seen: list[tuple[int, ...]] = []

    def training_step(self, batch: dict[str, Tensor], _: int) -> Tensor:
        if self.global_step == self.kill_at:
            raise Killed
        self.seen.append(tuple(batch["row"].tolist()))
        noise = random.random() + np.random.rand()
        x = batch["row"].float()[:, None] / 10
        return (self.layers(x) - noise).square().mean()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.parameters(), lr=0.01)


def run(folder: Path, kill_at: int | None = None) -> Net:
    L.seed_everything(5, verbose=False)
    net = Net(kill_at)
    rows = np.arange(22, dtype=np.int64)
    loader = PlanLoader(ShuffledRows(rows, rows, 4, seed=3))
    trainer = L.Trainer(
        max_epochs=4,
        accelerator="cpu",
        default_root_dir=folder,
        callbacks=[ResumeCheckpoint(every_n_steps=1, every_seconds=0)],
        plugins=[AtomicCheckpointIO()],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(net, loader, ckpt_path=resume_from(folder), weights_only=True)
    return net


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Net:
    return run(tmp_path_factory.mktemp("undisturbed"))


# 5 steps an epoch: the first and second step, the middle, both sides of a border, the last step.
@pytest.mark.parametrize("kill_at", [1, 2, 7, 10, 11, 19])
def test_resumed_weights_are_the_same_to_the_bit(
    tmp_path: Path, undisturbed: Net, kill_at: int
) -> None:
    with pytest.raises(Killed):
        run(tmp_path, kill_at)
    resumed = run(tmp_path)
    assert resumed.seen == undisturbed.seen[kill_at:]
    for ours, theirs in zip(resumed.parameters(), undisturbed.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_twice_killed_is_the_same_too(tmp_path: Path, undisturbed: Net) -> None:
    for kill_at in (3, 13):
        with pytest.raises(Killed):
            run(tmp_path, kill_at)
    resumed = run(tmp_path)
    assert all(map(torch.equal, resumed.parameters(), undisturbed.parameters()))


def test_a_write_that_dies_leaves_the_older_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = last_checkpoint(tmp_path)
    AtomicCheckpointIO().save_checkpoint({"a": torch.ones(3)}, path)

    def half_a_write(value: object, stream: object) -> None:
        stream.write(b"half")  # type: ignore[attr-defined]
        raise Killed

    monkeypatch.setattr(torch, "save", half_a_write)
    with pytest.raises(Killed):
        AtomicCheckpointIO().save_checkpoint({"a": torch.zeros(3)}, path)
    assert torch.equal(torch.load(path, weights_only=True)["a"], torch.ones(3))


def test_saving_follows_steps_and_clock(tmp_path: Path) -> None:
    callback = ResumeCheckpoint(every_n_steps=10, every_seconds=1e9)
    saved: list[int] = []

    class Trainer:
        global_step = 0
        default_root_dir = str(tmp_path)
        strategy = type("S", (), {"broadcast": staticmethod(lambda value: value)})

        def save_checkpoint(self, _: Path) -> None:
            saved.append(self.global_step)

    trainer = Trainer()
    for trainer.global_step in range(1, 25):
        callback.on_train_batch_end(trainer)  # type: ignore[arg-type]
    assert saved == []
    callback.every_seconds = 0
    for trainer.global_step in range(25, 45):
        callback.on_train_batch_end(trainer)  # type: ignore[arg-type]
    assert saved == [30, 40]


def test_only_the_own_folder_is_looked_at(tmp_path: Path) -> None:
    assert resume_from(tmp_path) is None
