"""Dual contrastive learning: translation in both directions, as the method's own paper has it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn import functional as F

from gansfp.losses.dclgan import PatchNCE, hinge
from gansfp.methods.dclgan.attention import check_share
from gansfp.methods.dclgan.network import (
    PatchDiscriminator,
    PatchProjection,
    Translator,
    initialise,
)
from gansfp.methods.dclgan.translation import TranslationModule

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from gansfp.methods.dclgan.translation import Translated


class Direction(nn.Module):
    """What one of the two directions has of its own.

    Args:
        width: Channels of the first layers.
        blocks: Residual blocks of the generator.
        projection: Size of the patches' vectors.

    Attributes:
        generator: Translates images of this side to the other side.
        projection: Makes vectors of the patches of images of this side.
        discriminator: Judges what is translated to the other side.
    """

    def __init__(self, width: int, blocks: int, projection: int) -> None:
        super().__init__()
        self.generator = Translator(width, blocks)
        self.projection = PatchProjection(self.generator.dims, projection)
        for part in (self.generator, self.projection):
            initialise(part)
        self.discriminator = PatchDiscriminator(width)


class DualDCLGANModule(TranslationModule):
    """DCLGAN in both directions (Han et al., CVPR workshops 2021).

    Two generators translate synthetic images into real ones and back; each side has an embedding of
    its own, the encoder of its generator with a projection. For G from X to Y and F from Y to X,
    the loss of the generators is, per direction,

        hinge:     -mean D_Y(G(x))
        contrast:  lambda_nce * PatchNCE(H_Y(F_enc(G(x))), H_X(G_enc(x)))
        identity:  lambda_identity * |G(y) - y|

    and of each discriminator half the hinge of real and translated images. Scores are those of
    `AttentionModule`, by the discriminator of real images; training is that of `TranslationModule`.

    Attributes:
        forth: From synthetic to real images.
        back: From real to synthetic images.
    """

    def __init__(
        self,
        width: int = 64,
        blocks: int = 9,
        projection: int = 256,
        patches: int = 256,
        temperature: float = 0.07,
        nce: float = 2.0,
        identity: float = 1.0,
        lr: float = 2e-4,
        betas: Sequence[float] = (0.5, 0.999),
        steady_epochs: int = 200,
        decay_epochs: int = 200,
        map_side: int = 32,
        share: float = 0.2,
        seed: int = 0,
    ) -> None:
        """Build the networks; every argument is a hyperparameter.

        Args:
            width: Channels of the first layers.
            blocks: Residual blocks of each generator.
            projection: Size of the patches' vectors.
            patches: Patches of an image and layer.
            temperature: Of the patch contrast.
            nce: Weight of the patch contrast.
            identity: Weight of what changes where nothing should.
            lr: Learning rate of both Adams.
            betas: Of both Adams.
            steady_epochs: With that learning rate.
            decay_epochs: In which it then falls to 0 on a line.
            map_side: Side of attention maps, pixels.
            share: Of the pixels that attention is said to be on.
            seed: Of patches.

        Raises:
            UserError: A value is impossible.
        """
        super().__init__()
        check_share(share)
        betas = list(betas)
        self.save_hyperparameters()
        self.forth, self.back = (Direction(width, blocks, projection) for _ in range(2))
        self.nce = PatchNCE(temperature)
        self.to(memory_format=torch.channels_last)

    def judge(self) -> PatchDiscriminator:
        """Name the discriminator of real images."""
        return self.forth.discriminator

    def translate(self, made: Tensor, real: Tensor) -> list[Translated]:
        """Translate each side; also give the encoder's maps of what went in."""
        return [self.forth.generator(made), self.back.generator(real)]

    def judging_loss(
        self, made: Tensor, real: Tensor, translated: list[Translated], chance: torch.Generator
    ) -> Tensor:
        """Add up the losses of both discriminators."""
        ways = ((self.forth, real), (self.back, made))
        return torch.stack(
            [
                discriminator_loss(way.discriminator, target, fake.detach())
                for (way, target), (fake, _) in zip(ways, translated, strict=True)
            ]
        ).sum()

    def translating_loss(
        self, made: Tensor, real: Tensor, translated: list[Translated], chance: torch.Generator
    ) -> Tensor:
        """Add up the losses of both directions."""
        ways = ((self.forth, self.back, real), (self.back, self.forth, made))
        return torch.stack(
            [
                self.direction_loss(way, other, target, fake, maps, chance)
                for (way, other, target), (fake, maps) in zip(ways, translated, strict=True)
            ]
        ).sum()

    def direction_loss(
        self,
        way: Direction,
        other: Direction,
        target: Tensor,
        translated: Tensor,
        maps: list[Tensor],
        chance: torch.Generator,
    ) -> Tensor:
        """Compute one direction's share of the generators' loss.

        Args:
            way: The direction.
            other: The opposite one, whose embedding is that of the translated images.
            target: Images of the side that is translated to, (B, 1, H, W).
            translated: What came out, (B, 1, H, W).
            maps: The generator's encoder maps of what went in.
            chance: Chooses patches.
        """
        contrast = self.patch_contrast(
            (way.projection, maps), (other.projection, other.generator.features(translated)), chance
        )
        adversarial = -way.discriminator(translated)[0].float().mean()
        unchanged = F.l1_loss(way.generator(target)[0].float(), target.float())
        chosen = self.hparams
        loss: Tensor = adversarial + chosen["nce"] * contrast + chosen["identity"] * unchanged
        return loss

    def configure_optimizers(self) -> Any:
        """Adam for generators and projections, Adam for discriminators; both fall in the end."""
        chosen: Any = self.hparams
        steady, decay = int(chosen["steady_epochs"]), int(chosen["decay_epochs"])

        def share(epoch: int) -> float:
            return 1 - max(0, epoch + 1 - steady) / (decay + 1)

        optimisers = [
            torch.optim.Adam(weights, lr=chosen["lr"], betas=tuple(chosen["betas"]))
            for weights in (self.translating(), self.judging())
        ]
        rates = torch.optim.lr_scheduler
        return optimisers, [rates.LambdaLR(optimiser, share) for optimiser in optimisers]

    def translating(self) -> list[nn.Parameter]:
        """List the parameters of both generators and projections."""
        return self._parameters_of("generator", "projection")

    def judging(self) -> list[nn.Parameter]:
        """List the parameters of both discriminators."""
        return self._parameters_of("discriminator")

    def _parameters_of(self, *parts: str) -> list[nn.Parameter]:
        return [
            parameter
            for way in (self.forth, self.back)
            for part in parts
            for parameter in way.get_submodule(part).parameters()
        ]


def discriminator_loss(judge: PatchDiscriminator, real: Tensor, translated: Tensor) -> Tensor:
    """Half the hinge loss on images of a side and on those translated to it."""
    return (hinge(judge(real)[0], True) + hinge(judge(translated)[0], False)) / 2
