"""A classifier that learns on shadow generators what being trained on looks like."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gansfp.shadows.case import independent
from gansfp.shadows.distances import DEPTH, closeness
from gansfp.shadows.lira import reference_score

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gansfp.shadows.case import Case

    Values = NDArray[np.float64]
    Mask = NDArray[np.bool_]

FEATURES = (
    "nearest", "nearest_5", "pool", "pool_5", "reference", "reference_5",
)  # fmt: skip
"""Columns of `features`."""

FOLDS = 5


class Logistic(NamedTuple):
    """Logistic regression on standardised features; one row a fold.

    Attributes:
        mean: Shape (folds, F).
        scale: Shape (folds, F).
        weights: Shape (folds, F).
        bias: Shape (folds,).
    """

    mean: Values
    scale: Values
    weights: Values
    bias: Values

    def logits(self, features: Values) -> Values:
        """Score feature rows, shape (n, F), by each fold's classifier: shape (folds, n)."""
        standard = (features - self.mean[:, None]) / self.scale[:, None]
        result: Values = (standard * self.weights[:, None]).sum(axis=-1) + self.bias[:, None]
        return result


def features(case: Case) -> Values:
    """Describe each image by how close the target and its surroundings come, shape (n, F).

    Closeness (minus mean log distance) to the nearest and to the 5 nearest samples; the same of the
    real images around it; and the first two less their mean over generators that don't know it.
    """
    floor = case.floor
    columns = [closeness(case.target, k, floor) for k in (1, DEPTH)]
    columns += [closeness(case.pool, k, floor) for k in (1, DEPTH)]
    columns += [
        reference_score(
            closeness(case.target, k, floor), closeness(case.shadow, k, floor), case.known
        )
        for k in (1, DEPTH)
    ]
    return np.stack(columns, axis=1)


def fit_logistic(rows: Values, labels: NDArray[np.int64], strength: float = 1.0) -> Logistic:
    """Fit one logistic regression (L2, scikit-learn) on standardised features.

    Args:
        rows: Shape (r, F).
        labels: 1 = trained on, 0 = not, shape (r,); both occur.
        strength: scikit-learn's C.
    """
    from sklearn.linear_model import LogisticRegression

    mean, scale = rows.mean(axis=0), rows.std(axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    fitted = LogisticRegression(C=strength, max_iter=1000).fit((rows - mean) / scale, labels)
    return Logistic(mean[None], scale[None], fitted.coef_, fitted.intercept_)


def fold_of(groups: NDArray[np.int64], seed: int, folds: int = FOLDS) -> NDArray[np.int64]:
    """Deal patients out to folds of nearly equal number, shape (n,)."""
    number = np.unique(groups, return_inverse=True)[1].ravel()
    patients = int(number.max()) + 1
    dealt = np.random.default_rng(seed).permutation(patients) % min(folds, patients)
    return np.asarray(dealt[number])


def fit_shadows(case: Case, seed: int = 0) -> Logistic:
    """Fit classifiers on the shadow generators, each of which takes the target's part in turn.

    Its own shadow generators are the others, without its complement. The classifier of a fold sees
    no image of the fold's patients, so that no image is judged by one that it was fitted on.

    Args:
        case: `fitting` names the images to fit on: those that shadow generators know.
        seed: Of the folds of `fold_of(case.groups[case.fitting], seed)`.

    Returns:
        One classifier a fold.

    Raises:
        ValueError: There are too few generators.
    """
    rows, labels = [], []
    for number in range(len(case.shadow)):
        others = independent(case.known[:, case.fitting], number)
        unknown = ~case.known[np.ix_(others, np.flatnonzero(case.fitting))]
        if not len(others) or not unknown.any(axis=0).all():
            continue
        part = _take(case, number, others)
        rows.append(features(part))
        labels.append(case.known[number, case.fitting])
    if not rows:
        raise ValueError("a learned attack needs more shadow generators")
    fold = fold_of(case.groups[case.fitting], seed)
    fitted = []
    for held in range(int(fold.max()) + 1):
        kept = fold != held
        x = np.concatenate([part[kept] for part in rows])
        y = np.concatenate([part[kept] for part in labels]).astype(np.int64)
        fitted.append(fit_logistic(x, y))
    return Logistic(*(np.concatenate(parts) for parts in zip(*fitted, strict=True)))


def learned_score(case: Case, fitted: Logistic, seed: int = 0) -> Values:
    """Score by the logit of the classifier that was not fitted on the image, shape (n,).

    Images that nothing was fitted on take the mean of all classifiers.
    """
    logits = fitted.logits(features(case))
    score: Values = logits.mean(axis=0)
    where = np.flatnonzero(case.fitting)
    score[where] = logits[fold_of(case.groups[case.fitting], seed), where]
    return score


def _take(case: Case, number: int, others: NDArray[np.int64]) -> Case:
    """Let a shadow generator be the target of the images to fit on."""
    keep = case.fitting
    return replace(
        case,
        target=case.shadow[number][keep],
        shadow=case.shadow[others][:, keep],
        known=case.known[others][:, keep],
        pool=case.pool[keep],
        groups=case.groups[keep],
        population=case.population[keep],
        fitting=np.ones(int(keep.sum()), dtype=bool),
        values=None,
    )
