"""What the translations share: a discriminator and a generator that are trained in turn."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

import torch

from gansfp.forge.gradients import give_gradients, take_gradients
from gansfp.forge.seeds import torch_generator
from gansfp.losses.gather import mean_of_processes
from gansfp.methods.dclgan.attention import AttentionModule

if TYPE_CHECKING:
    from torch import Tensor, nn

    from gansfp.losses.dclgan import PatchNCE
    from gansfp.methods.dclgan.network import PatchProjection

    Translated = tuple[Tensor, list[Tensor]]
    """Translated images, (B, 1, H, W), and the generator's encoder maps of what went in."""


class TranslationModule(AttentionModule):
    """A step updates the discriminators, then the generators with the projections.

    Training batches hold "image", synthetic, and "real_image"
    (`gansfp.data.generated.UnpairedImages`). Training logs `train/loss` (of what translates) and
    `train/discriminator`. The optimiser of what translates comes first. The hyperparameters
    `patches` (of an image and layer, that are compared) and `seed` are its own.

    Attributes:
        nce: The patch contrast.
    """

    nce: PatchNCE

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False

    @abstractmethod
    def translating(self) -> list[nn.Parameter]:
        """List the parameters of generators and projections."""

    @abstractmethod
    def judging(self) -> list[nn.Parameter]:
        """List the parameters of the discriminators."""

    @abstractmethod
    def translate(self, made: Tensor, real: Tensor) -> Any:
        """Translate a batch, images in [-1, 1], (B, 1, H, W): what both losses are made from."""

    @abstractmethod
    def judging_loss(
        self, made: Tensor, real: Tensor, translated: Any, chance: torch.Generator
    ) -> Tensor:
        """Compute the loss of the discriminators; no gradient may reach a generator."""

    @abstractmethod
    def translating_loss(
        self, made: Tensor, real: Tensor, translated: Any, chance: torch.Generator
    ) -> Tensor:
        """Compute the loss of generators and projections, by the discriminators just updated."""

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        """Update both sides in turn; counted as one step."""
        made, real = (self.scaled(batch[name]) for name in ("image", "real_image"))
        chance = torch_generator(made.device, self.hparams["seed"], "step", self.global_step)
        optimisers: Any = self.optimizers()
        translated = self.translate(made, real)
        judged = self.judging_loss(made, real, translated, chance)
        _differentiate(judged, self.judging())
        optimisers[1].optimizer.step()  # without Lightning's wrapper, which would count it
        torch.clear_autocast_cache()  # of the weights that have just changed
        loss = self.translating_loss(made, real, translated, chance)
        _differentiate(loss, self.translating())
        optimisers[0].step()
        self.log_dict(
            {"train/loss": loss.detach(), "train/discriminator": judged.detach()},
            on_step=False,
            on_epoch=True,
            batch_size=len(made),
        )

    def patch_contrast(
        self,
        before: tuple[PatchProjection, list[Tensor]],
        after: tuple[PatchProjection, list[Tensor]],
        chance: torch.Generator,
    ) -> Tensor:
        """Compare patches of images with those of their translations, averaged over layers.

        Args:
            before: Projection, and encoder maps of the images, a layer each, (B, C, H, W).
            after: Projection, and encoder maps of their translations.
            chance: Chooses patches.
        """
        places = [
            torch.randperm(m.shape[2] * m.shape[3], generator=chance, device=m.device)[
                : self.hparams["patches"]
            ]
            for m in before[1]
        ]
        keys, queries = (project(maps, places) for project, maps in (before, after))
        return torch.stack([self.nce(q, k) for q, k in zip(queries, keys, strict=True)]).mean()

    def on_train_epoch_end(self) -> None:
        """Move the learning rates."""
        schedules: Any = self.lr_schedulers()
        for schedule in schedules:
            schedule.step()


def _differentiate(loss: Tensor, weights: list[nn.Parameter]) -> None:
    """Set the gradients of some weights to those of a loss, averaged over all processes."""
    give_gradients(weights, mean_of_processes(take_gradients(loss, weights)))
