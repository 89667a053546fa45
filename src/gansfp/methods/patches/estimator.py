"""Local copying, as a benchmark method."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from gansfp.errors import UserError
from gansfp.features.representations import Pixels
from gansfp.methods.candidates import CandidateEstimator, check_choice
from gansfp.methods.patches.windows import corners, window_distances

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from gansfp.data.benchmark import Benchmark
    from gansfp.methods.candidates import Candidates

    Scores = NDArray[np.float64]
    Grey = NDArray[np.float32]

Against = Literal["pool", "labelled", "outsiders"]
Statistic = Literal["ratio", "difference"]

FLOOR = 0.05
"""Distances are sqrt(d^2 + 0.05^2) in logarithms: below, windows agree but for noise, as windows of
air all do."""

_BLOCK_PIXELS = 1 << 26
"""Pixels of the synthetic images that are held at a time: 256 MB."""


class PatchEstimator(CandidateEstimator):
    """Windows of a candidate against shifted windows of synthetic and of other real images.

    A generator that copies a part of an image, or moves it by a pixel, is far away as a whole and
    near here. With one window this is copy detection by correlation after alignment.
    """

    kind = "patches"
    options = ("size", "window", "grid", "shift", "top", "statistic", "against", "k_scale")

    def __init__(
        self,
        size: int | None = None,
        window: float = 0.375,
        grid: int = 4,
        shift: int = 1,
        top: int | None = 3,
        statistic: Statistic = "ratio",
        against: Against = "pool",
        k_scale: int = 1,
    ) -> None:
        """Choose windows and statistic.

        Args:
            size: Side after averaging down, pixels; None: as the images are.
            window: Side of a window, as a share of the image's side; whatever more than fits with
                its shifts is cut.
            grid: Windows along each axis.
            shift: Largest shift, pixels along each axis.
            top: How many of the best windows are averaged; None: all.
            statistic: `ratio`: log d_1 to other real windows - log d_1 to synthetic ones. Or
                `difference`: the largest correlation with a synthetic window less the mean of the
                `k_scale` largest ones with other real windows, the score normalisation of SSCD
                (Pizzi et al., CVPR 2022).
            against: Other real images: all (`pool`, transductive), `labelled` ones, or those known
                not to be used (`outsiders`).
            k_scale: Which other real window gives the local scale; for `difference`, how many.

        Raises:
            UserError: A value is impossible.
        """
        check_choice("statistic", statistic, get_args(Statistic))
        check_choice("against", against, get_args(Against))
        if not 0 < window <= 1:
            raise UserError(
                f"method.window={window}: a share of the image's side, above 0, up to 1"
            )
        if shift < 0 or (top is not None and top < 1) or k_scale < 1:
            raise UserError("method: shift must not be negative, top and k_scale at least 1")
        self.representation = Pixels(size)
        self.size, self.window, self.grid, self.shift = size, window, grid, shift
        self.top, self.statistic, self.against, self.k_scale = top, statistic, against, k_scale
        self.transductive = against == "pool"

    def score_candidates(self, candidates: Candidates) -> Scores:
        """Score all candidates; no window is compared with one of its own patient."""
        kept = np.ones(len(candidates.rows), dtype=bool)
        if self.against == "labelled":
            kept = candidates.labelled
        elif self.against == "outsiders":
            candidates.need_outsiders("method.against=outsiders")
            kept = candidates.outsider
        benchmark = candidates.benchmark
        real = self._grey(self.encode(benchmark, candidates.rows), benchmark)
        step = max(1, _BLOCK_PIXELS // real[0].size)
        synthetic = (
            self._grey(
                self.encode(benchmark, candidates.synthetic[start : start + step]), benchmark
            )
            for start in range(0, len(candidates.synthetic), step)
        )
        return self.score_images(real, synthetic, kept, candidates.keys)

    def score_images(
        self,
        real: Grey,
        synthetic: Iterable[Grey],
        kept: NDArray[np.bool_],
        keys: NDArray[np.generic],
    ) -> Scores:
        """Score images.

        Args:
            real: Candidates, in [0, 1], shape (n, H, W).
            synthetic: Blocks of images, (m, H, W) each; one is in memory at a time.
            kept: Which candidates tell the local scale, shape (n,).
            keys: Patient of each candidate, shape (n,).

        Returns:
            Shape (n,).
        """
        places, side = self._places(*real.shape[1:])
        near = np.full((len(real), len(places)), np.inf)
        for block in synthetic:
            found = [window_distances(real, block, at, side, self.shift, 1) for at in places]
            near = np.minimum(near, np.concatenate(found, axis=1))
        others, k = (keys, keys[kept]), self.k_scale
        local = [
            self._statistic(
                near[:, place],
                window_distances(real, real[kept], at, side, self.shift, k, others),
            )
            for place, at in enumerate(places)
        ]
        scores = np.sort(np.stack(local, axis=1), axis=1)[:, ::-1]
        mean: Scores = scores[:, : self.top].mean(axis=1)
        return mean

    def _places(self, height: int, width: int) -> tuple[list[tuple[int, int]], int]:
        """Place the windows: their corners, and their side."""
        side = min(int(min(height, width) * self.window), min(height, width) - 2 * self.shift)
        rows, columns = (corners(size, side, self.grid, self.shift) for size in (height, width))
        return [(int(row), int(column)) for row in rows for column in columns], side

    def _statistic(self, near: Scores, local: Scores) -> Scores:
        """Combine the distance to synthetic windows, (n,), with those to real ones, (n, k)."""
        if self.statistic == "difference":
            # d^2 / 2 = 1 - r
            difference: Scores = np.square(local).mean(axis=1) / 2 - np.square(near) / 2
            return difference
        ratio: Scores = np.log(np.hypot(local[:, -1], FLOOR)) - np.log(np.hypot(near, FLOOR))
        return ratio

    def _grey(self, vectors: NDArray[np.float32], benchmark: Benchmark) -> Grey:
        shape = benchmark.image_size if self.size is None else (self.size, self.size)
        return vectors.reshape(-1, *shape)
