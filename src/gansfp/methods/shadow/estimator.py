"""LiRA, RMIA, reference generators and a learned attack on a benchmark, by a bank of shadows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from gansfp.errors import UserError
from gansfp.features.neighbours import Exclusion
from gansfp.features.representations import Pixels, from_spec
from gansfp.forge.bank import read_bank
from gansfp.methods.base import Estimator
from gansfp.methods.saving import load_method, save_method
from gansfp.methods.shadow.overlap import Overlap, check_overlap, find_overlap
from gansfp.shadows.attacks import ATTACKS, ONLINE
from gansfp.shadows.case import Case
from gansfp.shadows.distances import DEPTH, encode, to_pool, to_samples
from gansfp.shadows.learned import Logistic, fit_shadows, learned_score
from gansfp.shadows.leave_one_out import BASELINES
from gansfp.shadows.statistic import NEAREST, check_statistic, statistic_values
from gansfp.shadows.table import fingerprint

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from gansfp.data.benchmark import Benchmark
    from gansfp.data.datamodule import BenchmarkDataModule
    from gansfp.features.representations import Representation
    from gansfp.forge.bank import Bank

    Rows = NDArray[np.int64]
    Values = NDArray[np.float64]

_KIND = "shadow"
_METHODS = tuple(name for name in ATTACKS if name not in BASELINES)


@dataclass(frozen=True)
class _Encoded:
    """Everything that does not hang on the rows that are asked for.

    Attributes:
        benchmark: Whose.
        bank: Shadow generators.
        overlap: Which candidates they know.
        real: Vectors of the bank's real images, shape (r, D).
        groups: Patient number of each, shape (r,).
        target: Vectors of the target's samples, shape (m, D).
        shadows: Of each shadow generator's, as many.
    """

    benchmark: Benchmark
    bank: Bank
    overlap: Overlap
    real: NDArray[np.float32]
    groups: Rows
    target: NDArray[np.float32]
    shadows: list[NDArray[np.float32]]


class ShadowEstimator(Estimator):
    """Compares the generator of a benchmark with shadow generators whose members are known.

    No label of the benchmark enters, but for RMIA, whose population are the labelled images that
    were not used; no image is compared with itself or its patient. Spreads and the learned attack's
    classifiers are fitted on the bank's own images, these by patient out of fold.

    Attributes:
        transductive: Set by `fit`: the bank was forged from the test images.
    """

    uses_synthetic = "nearest"
    fits_labels = False

    def __init__(
        self,
        bank: str,
        attack: str = "lira_offline",
        representation: Representation | None = None,
        statistic: str = NEAREST,
        k: int = 1,
    ) -> None:
        """Choose the attack.

        Args:
            bank: Folder that `gansfp forge bank=N` wrote, of the same kind of generator.
            attack: `reference`, `lira_offline`, `lira_online`, `rmia_offline`, `rmia_online` or
                `learned`; see `gansfp.shadows`.
            representation: What is compared; pixels where None.
            statistic: What is compared with shadow generators: `nearest`, `lof`, `vote_margin`, ...
                (`gansfp.shadows.statistic`).
            k: Its neighbours among the samples.

        Raises:
            UserError: There is no such attack or statistic.
        """
        if attack not in _METHODS:
            raise UserError(f"method.attack={attack}: choose {', '.join(_METHODS)}")
        check_statistic("method.statistic", statistic)
        if statistic == NEAREST and k > DEPTH:
            raise UserError(f"method.k={k}: at most {DEPTH} with method.statistic=nearest")
        self.place, self.attack, self.statistic, self.k = str(bank), attack, statistic, k
        self.representation = representation if representation is not None else Pixels()
        self._classifiers: Logistic | None = None
        self._print: str | None = None
        self._encoded: _Encoded | None = None

    def fit(self, data: BenchmarkDataModule) -> Self:
        """Read the bank, refuse one that knows some candidates only, and fit on its images."""
        encoded = self._prepare(data)
        self._print = fingerprint(encoded.bank, self.representation)
        if self.attack == "learned":
            try:
                self._classifiers = fit_shadows(self._case(data, encoded.overlap.rows[:0]))
            except ValueError as error:
                raise UserError(f"method.bank={self.place}: too small ({error})") from error
        return self

    def predict(self, data: BenchmarkDataModule, rows: Rows) -> Values:
        """Score images; see `gansfp.methods.base.Estimator`."""
        if self._print is None:
            raise RuntimeError("predict before fit")
        encoded = self._prepare(data)
        if fingerprint(encoded.bank, self.representation) != self._print:
            raise UserError(f"method.bank={self.place}: is not the bank that the run was fitted on")
        case = self._case(data, rows)
        try:
            if self._classifiers is not None:
                scores = learned_score(case, self._classifiers)
            else:
                scores = ATTACKS[self.attack](case)
        except ValueError as error:
            raise UserError(f"method.bank={self.place}: {error}") from error
        return scores[self._places(encoded, rows)]

    def save(self, folder: Path) -> None:
        """Write options, the bank's place and hash, and the classifiers."""
        arrays = {} if self._classifiers is None else self._classifiers._asdict()
        values = {
            "options": {
                "bank": self.place,
                "attack": self.attack,
                "statistic": self.statistic,
                "k": self.k,
            },
            "representation": self.representation.spec(),
            "fingerprint": self._print,
            "transductive": self.transductive,
        }
        save_method(folder, _KIND, values, arrays)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote; the bank is read when it is needed."""
        values, arrays = load_method(folder, _KIND)
        representation = from_spec(values["representation"])
        method = cls(**values["options"], representation=representation)
        method._print, method.transductive = values["fingerprint"], values["transductive"]
        method._classifiers = Logistic(**arrays) if arrays else None
        return method

    def _prepare(self, data: BenchmarkDataModule) -> _Encoded:
        benchmark = data.benchmark
        if self._encoded is not None and self._encoded.benchmark is benchmark:
            return self._encoded
        bank = read_bank(self.place)
        if bank.real.shape[1:] != benchmark.image_size:
            raise UserError(
                f"method.bank={self.place}: its images have {bank.real.shape[1:]} pixels, the "
                f"benchmark's {benchmark.image_size}; data.resize scales the benchmark"
            )
        overlap = find_overlap(benchmark, bank)
        check_overlap(benchmark, bank, overlap, self.place)
        self._refuse_online(benchmark, overlap)
        synthetic = data.generated_rows
        count = min(len(synthetic), *(len(images) for images in bank.generated.values()))
        if not count:
            raise UserError("data.root: there are no synthetic images to compare with")
        self._encoded = _Encoded(
            benchmark,
            bank,
            overlap,
            encode(self.representation, bank.real),
            np.unique(bank.groups, return_inverse=True)[1].ravel().astype(np.int64),
            encode(self.representation, benchmark.images(synthetic[:count])),
            [encode(self.representation, part[:count]) for part in bank.generated.values()],
        )
        return self._encoded

    def _refuse_online(self, benchmark: Benchmark, overlap: Overlap) -> None:
        test = benchmark.candidates("test")
        inside = overlap.patient[np.isin(overlap.rows, test)] >= 0
        self.transductive = bool(inside.any())
        if self.attack in ONLINE and self.attack != "learned" and (overlap.patient < 0).any():
            raise UserError(
                f"method.attack={self.attack}: needs a bank that was forged from all candidates; "
                f"take method.attack={self.attack.replace('online', 'offline')}"
            )

    def _case(self, data: BenchmarkDataModule, rows: Rows) -> Case:
        """Lay out the bank's real images, then the candidates that are not among them.

        RMIA's population joins the candidates where it is not asked for.
        """
        encoded = self._prepare(data)
        benchmark, bank = encoded.benchmark, encoded.bank
        extra = self._extra(encoded, rows)
        own, patient = _numbers(benchmark, encoded, extra)
        images = benchmark.images(extra)
        strangers = encode(self.representation, images) if len(extra) else encoded.real[:0]
        vectors = np.concatenate([encoded.real, strangers])
        groups = np.concatenate([encoded.groups, own])
        inside = np.where(patient >= 0, bank.membership[:, patient], False)
        known = np.concatenate([bank.membership, inside], axis=1)
        fitting = np.arange(len(vectors)) < len(encoded.real)
        values = None
        if self.statistic != NEAREST:
            target, *shadow = (
                statistic_values(self.statistic, vectors, groups, fitting, part, self.k)
                for part in (encoded.target, *encoded.shadows)
            )
            values = target, np.stack(shadow)
        return Case(
            target=to_samples(vectors, encoded.target),
            shadow=np.stack([to_samples(vectors, part) for part in encoded.shadows]),
            known=known,
            pool=to_pool(vectors, encoded.real, Exclusion(groups, encoded.groups)),
            groups=groups,
            population=self._population(encoded, extra),
            fitting=fitting,
            k=self.k,
            values=values,
        )

    def _extra(self, encoded: _Encoded, rows: Rows) -> Rows:
        """Name the candidates that the bank does not hold, ascending; also RMIA's population."""
        benchmark, overlap = encoded.benchmark, encoded.overlap
        wanted = np.union1d(rows, self._outsiders(benchmark))
        return overlap.rows[(overlap.position < 0) & np.isin(overlap.rows, wanted)]

    def _outsiders(self, benchmark: Benchmark) -> Rows:
        if not self.attack.startswith("rmia"):
            return np.empty(0, dtype=np.int64)
        found = benchmark.rows("train", "real_not_used")
        if not len(found):
            raise UserError("data.root: RMIA needs labelled images that were not used")
        return found

    def _population(self, encoded: _Encoded, extra: Rows) -> NDArray[np.bool_]:
        chosen = np.zeros(len(encoded.real) + len(extra), dtype=bool)
        outsiders = self._outsiders(encoded.benchmark)
        chosen[self._places(encoded, outsiders, extra)] = True
        return chosen

    def _places(self, encoded: _Encoded, rows: Rows, extra: Rows | None = None) -> Rows:
        """Find rows of the benchmark in the layout of `_case`."""
        overlap = encoded.overlap
        extra = self._extra(encoded, rows) if extra is None else extra
        position = overlap.position[np.searchsorted(overlap.rows, rows)]
        outside = len(encoded.real) + np.searchsorted(extra, rows)
        return np.where(position >= 0, position, outside)


def _numbers(benchmark: Benchmark, encoded: _Encoded, extra: Rows) -> tuple[Rows, Rows]:
    """Number the patients of candidates outside the bank; find the bank's slice of the patient."""
    overlap = encoded.overlap
    patient = overlap.patient[np.searchsorted(overlap.rows, extra)]
    fresh = np.unique(benchmark.groups(extra), return_inverse=True)[1].ravel()
    start = int(encoded.groups.max()) + 1
    known = np.where(patient >= 0, encoded.groups[patient], start + fresh)
    return known.astype(np.int64), patient
