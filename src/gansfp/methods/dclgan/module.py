"""Contrastive translation of synthetic into real images, as a benchmark method."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from gansfp.errors import UserError
from gansfp.losses.dclgan import (
    PatchNCE,
    adversarial,
    feature_matching,
    gradient_penalty,
    grey_divergence,
)
from gansfp.methods.dclgan.attention import check_share
from gansfp.methods.dclgan.network import PatchDiscriminator, PatchProjection, Translator
from gansfp.methods.dclgan.translation import TranslationModule

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor, nn

    from gansfp.methods.dclgan.translation import Translated

BUGS = ("constant_histogram",)
WEIGHTS = {"adversarial": 1.0, "nce": 2.0, "matching": 5.0, "grey": 1.0, "penalty": 1.0}


class DCLGANModule(TranslationModule):
    """A GAN translates synthetic images; where its discriminator looks decides (Neural Nexus).

    The discriminator learns real (used) from translated synthetic images. The generator's loss adds
    to the adversarial one: patch contrast between input and translation, matching of discriminator
    features, divergence of grey values.

    Scores are those of `AttentionModule`, training is that of `TranslationModule`.

    Attributes:
        generator: Translates.
        discriminator: Judges patches.
        projection: Makes vectors of the generator's patches.
    """

    def __init__(
        self,
        width: int = 64,
        blocks: int = 6,
        projection: int = 256,
        patches: int = 256,
        temperature: float = 0.05,
        loss_weights: Mapping[str, float] | None = None,
        lr: float = 2e-4,
        discriminator_lr: float = 2e-4,
        betas: Sequence[float] = (0.5, 0.9),
        discriminator_betas: Sequence[float] = (0.5, 0.999),
        cosine_epochs: int = 60,
        discriminator_step: int | None = 50,
        map_side: int = 32,
        share: float = 0.2,
        seed: int = 0,
        faithful_bugs: Sequence[str] = (),
    ) -> None:
        """Build the networks; every argument is a hyperparameter.

        Args:
            width: Channels of the first layers.
            blocks: Residual blocks of the generator.
            projection: Size of the patches' vectors.
            patches: Patches of an image and layer.
            temperature: Of the patch contrast.
            loss_weights: Of `WEIGHTS`; those that are not named keep their values.
            lr: Learning rate of the generator's Adam.
            discriminator_lr: Learning rate of the discriminator's Adam.
            betas: Of the generator's Adam.
            discriminator_betas: Of the discriminator's Adam.
            cosine_epochs: Period of the cosine schedule of the generator, epochs.
            discriminator_step: The discriminator's rate halves after so many epochs; None: it
                follows the same cosine.
            map_side: Side of attention maps, pixels.
            share: Of the pixels that attention is said to be on.
            seed: Of patches and mixtures.
            faithful_bugs: Defects of the published code to repeat; see the method's README.

        Raises:
            UserError: A value is impossible.
        """
        super().__init__()
        given = dict(loss_weights or {})
        if unknown := sorted(set(given) - set(WEIGHTS)):
            raise UserError(f"method.loss_weights.{unknown[0]}: choose {', '.join(WEIGHTS)}")
        if unknown := sorted(set(faithful_bugs) - set(BUGS)):
            raise UserError(f"method.faithful_bugs={unknown}: choose {', '.join(BUGS)}")
        check_share(share)
        loss_weights, betas = {**WEIGHTS, **given}, list(betas)
        discriminator_betas, faithful_bugs = list(discriminator_betas), list(faithful_bugs)
        self.save_hyperparameters()
        self.generator = Translator(width, blocks)
        self.discriminator = PatchDiscriminator(width)
        self.projection = PatchProjection(self.generator.dims, projection)
        self.nce = PatchNCE(temperature)
        self.to(memory_format=torch.channels_last)

    def judge(self) -> PatchDiscriminator:
        """Name the discriminator."""
        return self.discriminator

    def translate(self, made: Tensor, real: Tensor) -> Translated:
        """Translate synthetic images; also give the encoder's maps of them."""
        found: Translated = self.generator(made)
        return found

    def judging_loss(
        self, made: Tensor, real: Tensor, translated: Translated, chance: torch.Generator
    ) -> Tensor:
        """Compute the loss of the discriminator; see `discriminator_loss`."""
        return self.discriminator_loss(real, translated[0].detach(), chance)

    def translating_loss(
        self, made: Tensor, real: Tensor, translated: Translated, chance: torch.Generator
    ) -> Tensor:
        """Compute the loss of the generator; see `generator_loss`."""
        return self.generator_loss(real, *translated, chance)

    def discriminator_loss(
        self, real: Tensor, translated: Tensor, chance: torch.Generator
    ) -> Tensor:
        """Cross-entropy on real and translated images, and the gradient penalty."""
        judge = self.discriminator
        share = torch.rand(len(real), generator=chance, device=real.device).to(real.dtype)
        entropy = adversarial(judge(real)[0], True) + adversarial(judge(translated)[0], False)
        penalty = gradient_penalty(lambda mixed: judge(mixed)[0], real, translated, share)
        loss: Tensor = entropy + self.hparams["loss_weights"]["penalty"] * penalty
        return loss

    def generator_loss(
        self, real: Tensor, translated: Tensor, maps: list[Tensor], chance: torch.Generator
    ) -> Tensor:
        """Add up the generator's losses with their weights."""
        scores, seen = self.discriminator(translated)
        with torch.no_grad():
            expected = self.discriminator(real)[1]
        if "constant_histogram" in self.hparams["faithful_bugs"]:
            grey = grey_divergence(translated.detach(), real)
        else:
            grey = grey_divergence(translated, real)
        terms = {
            "adversarial": adversarial(scores, True),
            "nce": self.patch_contrast(
                (self.projection, maps),
                (self.projection, self.generator.features(translated)),
                chance,
            ),
            "matching": feature_matching(seen, expected),
            "grey": grey,
        }
        weights = self.hparams["loss_weights"]
        return torch.stack([weights[name] * term for name, term in terms.items()]).sum()

    def configure_optimizers(self) -> Any:
        """Adam for the generator with the projections, Adam for the discriminator."""
        chosen: Any = self.hparams
        first = torch.optim.Adam(self.translating(), lr=chosen["lr"], betas=tuple(chosen["betas"]))
        second = torch.optim.Adam(
            self.judging(),
            lr=chosen["discriminator_lr"],
            betas=tuple(chosen["discriminator_betas"]),
        )
        rates = torch.optim.lr_scheduler
        schedules: list[torch.optim.lr_scheduler.LRScheduler] = [
            rates.CosineAnnealingLR(first, chosen["cosine_epochs"])
        ]
        if chosen["discriminator_step"] is None:
            schedules.append(rates.CosineAnnealingLR(second, chosen["cosine_epochs"]))
        else:
            schedules.append(rates.StepLR(second, chosen["discriminator_step"], 0.5))
        return [first, second], schedules

    def translating(self) -> list[nn.Parameter]:
        """List the parameters of generator and projection."""
        return [*self.generator.parameters(), *self.projection.parameters()]

    def judging(self) -> list[nn.Parameter]:
        """List the parameters of the discriminator."""
        return list(self.discriminator.parameters())
