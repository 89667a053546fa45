"""White-box scores of a generator that the forge kept, as a benchmark method."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, get_args

import numpy as np
import torch

from gansfp.errors import UserError
from gansfp.forge.ddpm import DDPM
from gansfp.forge.gan.module import FastGAN
from gansfp.forge.generator import from_grey
from gansfp.forge.networks import read_network
from gansfp.methods.base import Estimator
from gansfp.methods.saving import load_method, save_method
from gansfp.methods.whitebox import adversarial, diffusion

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gansfp.data.datamodule import BenchmarkDataModule
    from gansfp.forge.generator import GeneratorModule

Score = Literal["loss", "secmi", "pia", "pian", "discriminator", "inversion"]

OF_DIFFUSION = ("loss", "secmi", "pia", "pian")
"""Scores of a DDPM; the others are of a GAN."""

_OPTIONS = (
    "network", "score", "timesteps", "draws", "timestep", "interval", "steps", "restarts",
    "learning_rate", "batch_size",
)  # fmt: skip


class WhiteBoxEstimator(Estimator):
    """Reads a generator's own networks: what an attacker could know at most, for a ceiling.

    Attributes:
        higher_is_member: Errors and losses are negated.
    """

    uses_synthetic = "none"
    fits_labels = False

    def __init__(
        self,
        network: str,
        score: Score,
        timesteps: list[int] | None = None,
        draws: int = 4,
        timestep: int | None = None,
        interval: int = 10,
        steps: int = 200,
        restarts: int = 2,
        learning_rate: float = 0.05,
        batch_size: int = 64,
        device: str | None = None,
    ) -> None:
        """Choose the score; see `diffusion` and `adversarial` for the sources.

        Args:
            network: What `gansfp forge keep_networks=true` kept, a file of `networks/`.
            score: `loss`, `secmi`, `pia` or `pian` of a DDPM; `discriminator` or `inversion` of a
                GAN.
            timesteps: `loss`: averaged over these; None: 50, 100, 200 and 400.
            draws: `loss`: noises a timestep.
            timestep: `secmi`, `pia`, `pian`: t; None: as much noise as in the papers.
            interval: `secmi`: timesteps a step.
            steps: `inversion`: of Adam.
            restarts: `inversion`: starts.
            learning_rate: `inversion`: of Adam.
            batch_size: Images at a time.
            device: Where the networks run; None: a GPU where there is one.

        Raises:
            UserError: There is no such score.
        """
        if score not in get_args(Score):
            raise UserError(f"method.score={score}: choose {', '.join(get_args(Score))}")
        if timestep is not None and timestep % interval and score == "secmi":
            raise UserError(f"method.timestep={timestep}: a multiple of interval={interval}")
        self.network, self.score = str(network), score
        self.timesteps = [50, 100, 200, 400] if timesteps is None else [int(t) for t in timesteps]
        self.draws, self.timestep, self.interval = draws, timestep, interval
        self.steps, self.restarts, self.learning_rate = steps, restarts, learning_rate
        self.batch_size = batch_size
        self.device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        self._model: GeneratorModule | None = None

    def fit(self, data: BenchmarkDataModule) -> Self:
        """Read the network and check that it draws images of this size; nothing is learnt."""
        side = self.model.image_size
        if data.benchmark.image_size != (side, side):
            raise UserError(
                f"method.network={self.network}: draws images of {side} pixels, the benchmark's "
                f"have {data.benchmark.image_size}"
            )
        return self

    @property
    def _last(self) -> int:
        """The largest timestep that the score asks the network for."""
        if self.score == "loss":
            return max(self.timesteps)
        further = self.interval if self.score == "secmi" else 0
        return 0 if self.timestep is None else self.timestep + further

    def predict(self, data: BenchmarkDataModule, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Score images; see `gansfp.methods.base.Estimator`."""
        return self.score_images(data.benchmark.images(rows))

    def score_images(self, images: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Score grey images, uint8, shape (n, H, W): higher for members, shape (n,)."""
        blocks = [images[k : k + self.batch_size] for k in range(0, len(images), self.batch_size)]
        parts = [self._block(block) for block in blocks]
        return np.concatenate(parts) if parts else np.empty(0)

    @property
    def model(self) -> GeneratorModule:
        """The network, read on first use.

        Raises:
            UserError: It cannot be read, or has no such score.
        """
        if self._model is None:
            self._model = read_network(self.network, self.device)
        wanted: type[GeneratorModule] = DDPM if self.score in OF_DIFFUSION else FastGAN
        if not isinstance(self._model, wanted):
            raise UserError(
                f"method.score={self.score}: of a {wanted.__name__}, and {self.network} is a "
                f"{type(self._model).__name__}"
            )
        if isinstance(self._model, DDPM) and self._last >= self._model.hparams["timesteps"]:
            raise UserError(
                f"method.score={self.score}: asks for timestep {self._last}, and {self.network} "
                f"has {self._model.hparams['timesteps']}; lower method.timestep or timesteps"
            )
        return self._model

    def save(self, folder: Path) -> None:
        """Write the options; the network stays where it is."""
        options = {name: getattr(self, name) for name in _OPTIONS}
        save_method(folder, "whitebox", {"options": options}, {})

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        values, _ = load_method(folder, "whitebox")
        return cls(**values["options"])

    def _block(self, images: NDArray[np.uint8]) -> NDArray[np.float64]:
        clean = from_grey(torch.from_numpy(images).to(self.device))
        model: Any = self.model
        if self.score == "loss":
            found = -diffusion.denoising_loss(model, clean, self.timesteps, self.draws)
        elif self.score == "secmi":
            found = -diffusion.secmi(model, clean, self.timestep, self.interval)
        elif self.score in ("pia", "pian"):
            normalise = self.score == "pian"
            found = -diffusion.pia(model, clean, self.timestep, normalise=normalise)
        elif self.score == "discriminator":
            found = adversarial.discriminator_score(model, clean)
        else:
            found = -adversarial.inversion_error(
                model, clean, self.steps, self.restarts, self.learning_rate
            )
        return found.double().cpu().numpy()
