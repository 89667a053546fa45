"""Whether a Trainer can run on this machine: said in one line before Lightning is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lightning.pytorch.accelerators import AcceleratorRegistry
from lightning.pytorch.strategies import StrategyRegistry

from gansfp.errors import UserError, suggest

if TYPE_CHECKING:
    from omegaconf import DictConfig

AUTO = "auto"
GPUS = ("cuda", "mps")
COUNTS = ("max_epochs", "max_steps", "num_nodes", "accumulate_grad_batches", "log_every_n_steps")
PRECISIONS = (
    "64-true", "32-true", "16-true", "bf16-true", "16-mixed", "bf16-mixed", "transformer-engine",
    "transformer-engine-float16", "64", "32", "16", "bf16",
)  # fmt: skip


def check_trainer(config: DictConfig) -> None:
    """Refuse a Trainer that this machine cannot run.

    Values of other kinds than names and counts (nodes with `_target_`, lists of devices) are left
    to Lightning.

    Args:
        config: The `trainer` node.

    Raises:
        UserError: Names the key and the cure.
    """
    accelerator = config.get("accelerator", AUTO)
    _check_name("accelerator", accelerator, [AUTO, "gpu", *AcceleratorRegistry])
    _check_name("strategy", config.get("strategy"), [AUTO, *StrategyRegistry])
    _check_name("precision", config.get("precision"), PRECISIONS)
    if not is_usable(accelerator):
        raise UserError(
            f"trainer.accelerator={accelerator}: torch finds no such device on this machine; "
            "trainer=default takes what there is, trainer=cpu the processor"
        )
    for key in COUNTS:
        if isinstance(config.get(key), str):
            raise UserError(f"trainer.{key}={config.get(key)}: must be a whole number")
    devices = config.get("devices")
    if isinstance(devices, int) and devices != -1:
        _check_count(devices, _count(accelerator))


def is_usable(accelerator: Any) -> bool:
    """Tell whether this machine has the devices of an accelerator's name."""
    if accelerator == "gpu":
        return any(is_usable(name) for name in GPUS)
    if accelerator not in AcceleratorRegistry:
        return True
    return bool(AcceleratorRegistry[accelerator]["accelerator"].is_available())


def _count(accelerator: Any) -> int | None:
    """Count the devices; None where any number will do (processes on a CPU)."""
    names = (*GPUS, "tpu") if accelerator == AUTO else GPUS if accelerator == "gpu" else ()
    for name in names or (accelerator,):
        if name in AcceleratorRegistry and name != "cpu" and is_usable(name):
            return int(AcceleratorRegistry[name]["accelerator"].auto_device_count())
    return None


def _check_count(wanted: int, there: int | None) -> None:
    if wanted < 1:
        raise UserError(f"trainer.devices={wanted}: must be 1 or more")
    if there is not None and wanted > there:
        raise UserError(f"trainer.devices={wanted}: this machine has {there}; trainer.devices=1")


def _check_name(key: str, value: Any, known: Any) -> None:
    if isinstance(value, (str, int)) and str(value) not in known:
        near = suggest(str(value), known) or f": choose one of {', '.join(known)}"
        raise UserError(f"trainer.{key}={value}: no such {key}{near}")
