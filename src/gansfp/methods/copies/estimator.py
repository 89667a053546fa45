"""Copy detection by structural similarity after alignment, as a benchmark method."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import torch

from gansfp.errors import UserError
from gansfp.features.representations import Pixels
from gansfp.features.ssim.pairs import ms_ssim_pairs, ssim_pairs
from gansfp.methods.candidates import CandidateEstimator, check_choice
from gansfp.methods.copies.alignment import align, middles, moved_windows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gansfp.methods.candidates import Candidates

    Scores = NDArray[np.float64]
    Grey = NDArray[np.float32]

Measure = Literal["ssim", "ms_ssim"]

_MEASURES = {"ssim": ssim_pairs, "ms_ssim": ms_ssim_pairs}
_PAIRS = 2048


class CopyEstimator(CandidateEstimator):
    """The most similar synthetic image of each candidate, less the most similar ones not used.

    Similarity is structural, after the other image was moved to where it correlates best. The
    score normalisation is that of SSCD (Pizzi et al., CVPR 2022): what looks alike anyway has
    images not used that look alike too.
    """

    kind = "copies"
    options = ("measure", "shift", "shortlist", "neighbours", "window", "size")

    def __init__(
        self,
        measure: Measure = "ssim",
        shift: int = 4,
        shortlist: int = 10,
        neighbours: int = 3,
        window: int = 7,
        size: int | None = None,
    ) -> None:
        """Choose how images are compared.

        Args:
            measure: `ssim`, or `ms_ssim` at several scales.
            shift: Largest shift, pixels along each axis.
            shortlist: Best correlated images of which the most similar is looked for.
            neighbours: Images not used whose mean similarity is taken off; 0: nothing is.
            window: Side of the similarity's window, pixels.
            size: Side after averaging down, pixels; None: as the images are.

        Raises:
            UserError: A value is impossible.
        """
        check_choice("measure", measure, get_args(Measure))
        for key, value, least in (
            ("shift", shift, 0), ("shortlist", shortlist, 1), ("neighbours", neighbours, 0),
            ("window", window, 2),
        ):  # fmt: skip
            if value < least:
                raise UserError(f"method.{key}={value}: must be at least {least}")
        self.measure, self.shift, self.shortlist = measure, shift, shortlist
        self.neighbours, self.window, self.size = neighbours, window, size
        self.representation = Pixels(size)

    def score_candidates(self, candidates: Candidates) -> Scores:
        """Score all candidates; none is compared with an image of its own patient."""
        benchmark = candidates.benchmark
        shape = benchmark.image_size if self.size is None else (self.size, self.size)
        real, synthetic = (
            self.encode(benchmark, rows).reshape(-1, *shape)
            for rows in (candidates.rows, candidates.synthetic)
        )
        if not self.neighbours:
            return self.similarities(real, synthetic)[:, 0]
        candidates.need_outsiders("method.neighbours > 0")
        known = candidates.outsider
        return self.score_images(
            real, synthetic, real[known], (candidates.keys, candidates.keys[known])
        )

    def score_images(
        self,
        real: Grey,
        synthetic: Grey,
        others: Grey,
        keys: tuple[NDArray[Any], NDArray[Any]],
    ) -> Scores:
        """Score images.

        Args:
            real: Candidates, in [0, 1], shape (n, H, W).
            synthetic: Shape (m, H, W).
            others: Images not used, shape (r, H, W).
            keys: Patients of candidates and others.

        Returns:
            Shape (n,).
        """
        background = self.similarities(real, others, keys)[:, : self.neighbours]
        if background.shape[1] < self.neighbours or not np.isfinite(background).all():
            raise UserError(
                f"method.neighbours={self.neighbours}: there are fewer images not used of other "
                "patients"
            )
        score: Scores = self.similarities(real, synthetic)[:, 0] - background.mean(axis=1)
        return score

    def similarities(
        self,
        real: Grey,
        others: Grey,
        keys: tuple[NDArray[Any], NDArray[Any]] | None = None,
    ) -> Scores:
        """Compare each image with its shortlist, most similar first.

        Returns:
            Shape (n, shortlist), minus infinity where there are fewer images of other patients.
        """
        found = align(real, others, self.shift, max(self.shortlist, self.neighbours), keys)
        middle, keep = middles(real, self.shift), found.index.shape[1]
        query = np.repeat(np.arange(len(real)), keep)
        flat = [values.ravel() for values in (found.index, found.row, found.column)]
        similar = np.empty(len(query))
        for start in range(0, len(query), _PAIRS):
            part = slice(start, start + _PAIRS)
            index, row, column = (values[part] for values in flat)
            pair = middle[query[part]], moved_windows(others[index], row, column, self.shift)
            left, right = (torch.from_numpy(255 * side) for side in pair)
            similar[part] = _MEASURES[self.measure](left, right, self.window).numpy()
        similar[~np.isfinite(found.correlation).ravel()] = -np.inf
        return -np.sort(-similar.reshape(len(real), keep), axis=1)
