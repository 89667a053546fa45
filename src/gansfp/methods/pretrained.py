"""What methods share that go on training pretrained networks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gansfp.features.trainable import TrainableBackbone
from gansfp.methods.base import BenchmarkModule

if TYPE_CHECKING:
    from torch import nn


class PretrainedModule(BenchmarkModule):
    """A method that starts from pretrained weights: they are read when a fit starts.

    A fit that goes on from a checkpoint, and a prediction, read nothing but the checkpoint.
    Lightning names the checkpoint only after `setup`, so that this is decided in `on_fit_start`.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._restored = False

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Remember that the weights are those of a checkpoint."""
        self._restored = True

    def on_fit_start(self) -> None:
        """Read the pretrained weights, on every process."""
        if self._restored:
            return
        self.read_pretrained()
        self.after_pretrained()

    def read_pretrained(self) -> None:
        """Read the weights of every `TrainableBackbone` inside."""
        for module in self.pretrained_part().modules():
            if isinstance(module, TrainableBackbone):
                module.load_pretrained()

    def pretrained_part(self) -> nn.Module:
        """Name the part whose backbones read weights; others are copies of it."""
        return self

    def after_pretrained(self) -> None:
        """Do what needs the pretrained weights, such as copying them."""
