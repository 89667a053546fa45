"""What a machine cannot run is refused by key, with the cure, before Lightning is asked."""

from __future__ import annotations

from pathlib import Path

import pytest
from lightning.pytorch.accelerators import CUDAAccelerator, MPSAccelerator
from omegaconf import DictConfig, OmegaConf

from gansfp.errors import UserError
from gansfp.runtime.hardware import check_trainer, is_usable
from gansfp.runtime.learned import make_trainer


@pytest.fixture(autouse=True)
def gpus(monkeypatch: pytest.MonkeyPatch):
    """Say how many GPUs the machine has: none unless told."""

    def there(count: int) -> None:
        monkeypatch.setattr(CUDAAccelerator, "is_available", staticmethod(lambda: count > 0))
        monkeypatch.setattr(CUDAAccelerator, "auto_device_count", staticmethod(lambda: count))
        monkeypatch.setattr(MPSAccelerator, "is_available", staticmethod(lambda: False))

    there(0)
    return there


def trainer(**changes: object) -> DictConfig:
    node = {
        "_target_": "lightning.Trainer",
        "accelerator": "auto",
        "devices": 1,
        "strategy": "auto",
        "precision": "32-true",
    }
    return OmegaConf.create({"trainer": node | changes}).trainer


REFUSED = [
    ({"accelerator": "gpu"}, r"trainer.accelerator=gpu: .*no such device.*trainer=cpu"),
    ({"accelerator": "cuda"}, r"trainer.accelerator=cuda: .*no such device"),
    ({"accelerator": "gpuu"}, r"trainer.accelerator=gpuu: .*did you mean gpu\?"),
    ({"strategy": "dpp"}, r"trainer.strategy=dpp: .*did you mean ddp\?"),
    ({"precision": "bf16-mixd"}, r"trainer.precision=bf16-mixd: .*did you mean bf16-mixed\?"),
    ({"precision": 17}, r"trainer.precision=17: .*choose one of .*bf16-mixed"),
    ({"devices": 0}, r"trainer.devices=0: must be 1 or more"),
    ({"max_epochs": "many"}, r"trainer.max_epochs=many: must be a whole number"),
    # Found by Lightning itself.
    ({"accelerator": "cpu", "devices": "many"}, r"^trainer: .*devices.*int"),
    ({"gradient_clip_val": "much"}, r"^trainer: .*gradient_clip_val"),
]


@pytest.mark.parametrize(("changes", "said"), REFUSED)
def test_what_cannot_run_is_one_line_with_its_key(
    tmp_path: Path, changes: dict[str, object], said: str
) -> None:
    with pytest.raises(UserError, match=said) as caught:
        make_trainer(trainer(**changes), tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("accelerator", ["gpu", "cuda", "auto"])
def test_more_devices_than_there_are(gpus, accelerator: str) -> None:
    gpus(2)
    check_trainer(trainer(accelerator=accelerator, devices=2, strategy="ddp"))
    with pytest.raises(UserError, match=r"trainer.devices=8: this machine has 2"):
        check_trainer(trainer(accelerator=accelerator, devices=8, strategy="ddp"))


def test_a_processor_takes_any_number_of_processes() -> None:
    check_trainer(trainer(accelerator="cpu", devices=64, strategy="ddp_spawn"))


@pytest.mark.parametrize("precision", [16, 32, "64", "bf16", "bf16-mixed", "transformer-engine"])
def test_every_precision_of_lightning_passes(precision: object) -> None:
    check_trainer(trainer(precision=precision))


def test_objects_and_lists_are_left_to_lightning() -> None:
    check_trainer(trainer(strategy={"_target_": "lightning.pytorch.strategies.DDPStrategy"}))
    check_trainer(trainer(devices=[0, 1]))
    check_trainer(OmegaConf.create({"_target_": "lightning.Trainer"}))


def test_usable(gpus) -> None:
    assert is_usable("cpu")
    assert is_usable("auto")
    assert not is_usable("gpu")
    gpus(1)
    assert is_usable("gpu")
