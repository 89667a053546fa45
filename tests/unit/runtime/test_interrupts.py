"""Signals end a block as `Interrupted`, also through Lightning's own handling."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import lightning as L
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gansfp.data.batches import PlanLoader, RowPlan
from gansfp.runtime import learned
from gansfp.runtime.checkpoints import AtomicCheckpointIO
from gansfp.runtime.interrupts import Interrupted, interruptible, is_interrupt, undisturbed

BOTH = [signal.SIGINT, signal.SIGTERM]


class Net(L.LightningModule):
    """Receives a signal in the middle of its fit."""

    def __init__(self, signum: int) -> None:
        super().__init__()
        self.layer = nn.Linear(1, 1)
        self.signum = signum
        self.steps = 0

    def training_step(self, batch: dict[str, Tensor], index: int) -> Tensor:
        self.steps += 1
        if index == 2:
            os.kill(os.getpid(), self.signum)
        return self.layer(batch["row"].float()[:, None]).square().mean()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=1e-6)


class Data(L.LightningDataModule):
    def train_dataloader(self) -> PlanLoader:
        return PlanLoader(RowPlan(np.arange(40), 4))


def trainer(folder: Path) -> L.Trainer:
    return L.Trainer(
        max_epochs=1, accelerator="cpu", default_root_dir=folder, logger=False,
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip


@pytest.fixture(autouse=True)
def _same_handlers_afterwards():
    theirs = signal.getsignal(signal.SIGINT)  # a test run in the background ignores it
    signal.signal(signal.SIGINT, signal.default_int_handler)
    before = [signal.getsignal(signum) for signum in BOTH]
    yield
    after = [signal.getsignal(signum) for signum in BOTH]
    for signum, handler in zip(BOTH, (theirs, before[1]), strict=True):
        signal.signal(signum, handler)
    assert after == before


@pytest.mark.parametrize("signum", BOTH)
def test_a_signal_ends_the_block_at_once(signum: int) -> None:
    with pytest.raises(Interrupted) as caught, interruptible():
        os.kill(os.getpid(), signum)
    assert caught.value.exit_status == 128 + signum


@pytest.mark.parametrize("signum", BOTH)
def test_a_signal_ends_a_fit(tmp_path: Path, signum: int) -> None:
    net = Net(signum)
    with pytest.raises(Interrupted) as caught, interruptible():
        learned.fit(trainer(tmp_path), net, Data())
    assert caught.value.exit_status == 128 + signum
    assert net.steps == 3


def test_a_fit_that_returns_although_it_was_stopped_is_an_interrupt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quiet = trainer(tmp_path)
    monkeypatch.setattr(quiet, "fit", lambda *_, **__: None)
    learned.fit(quiet, Net(0), Data())
    monkeypatch.setattr(type(quiet), "interrupted", True)
    with pytest.raises(KeyboardInterrupt):
        learned.fit(quiet, Net(0), Data())


def test_a_job_managers_own_handler_stays_in_charge() -> None:
    seen: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda signum, _: seen.append(signum))
    try:
        with interruptible():
            os.kill(os.getpid(), signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert seen == [signal.SIGTERM]


def test_what_runs_in_the_background_goes_on_ignoring_ctrl_c() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with interruptible():
            os.kill(os.getpid(), signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)


def test_last_writes_are_not_disturbed() -> None:
    done = False
    with undisturbed():
        for signum in BOTH:
            os.kill(os.getpid(), signum)
        done = True
    assert done


def test_other_threads_may_enter() -> None:
    entered: list[bool] = []

    def work() -> None:
        with interruptible(), undisturbed():
            entered.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert entered == [True]


@pytest.mark.parametrize("signum", BOTH)
def test_a_checkpoint_is_written_to_its_end_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, signum: int
) -> None:
    save = torch.save

    def slow(value: object, stream: object) -> None:
        os.kill(os.getpid(), signum)
        os.kill(os.getpid(), signum)
        save(value, stream)

    monkeypatch.setattr(torch, "save", slow)
    path = tmp_path / "last.ckpt"
    with pytest.raises(Interrupted) as caught, interruptible():
        AtomicCheckpointIO().save_checkpoint({"a": torch.ones(3)}, path)
    assert caught.value.exit_status == 128 + signum
    assert torch.equal(torch.load(path, weights_only=True)["a"], torch.ones(3))
    assert [file.name for file in tmp_path.iterdir()] == ["last.ckpt"]


def test_a_librarys_error_over_an_interrupt_is_one_too() -> None:
    class Writer:  # as torch's zip writer does
        def __enter__(self) -> None: ...
        def __exit__(self, *_: object) -> None:
            raise RuntimeError("unexpected pos 64 vs 104080")

    with pytest.raises(Interrupted), interruptible(), Writer():
        os.kill(os.getpid(), signal.SIGINT)
    with pytest.raises(RuntimeError), interruptible(), Writer():
        pass
    assert not is_interrupt(ValueError())


def test_errors_that_cause_each_other_are_no_interrupt() -> None:
    one, other = ValueError(), RuntimeError()
    one.__cause__, other.__cause__ = other, one
    assert not is_interrupt(one)
