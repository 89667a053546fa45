"""`gansfp ensemble`: let finished runs vote; one more run folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gansfp.commands import train

if TYPE_CHECKING:
    from omegaconf import DictConfig


def run(config: DictConfig) -> float | None:
    """Vote, decide, evaluate, as `gansfp train` does with `method=ensemble`.

    Args:
        config: `conf/ensemble.yaml`, composed and checked.

    Returns:
        See `gansfp.commands.train.run`.
    """
    return train.run(config)
