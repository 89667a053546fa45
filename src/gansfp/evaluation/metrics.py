"""Official and companion metrics of the two tasks, as pure functions of arrays.

Zero division follows scikit-learn's `zero_division=0`: a precision without predictions, a recall
without positives, a specificity without negatives and a kappa whose chance agreement is 1 are 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gansfp.evaluation.ranking import auroc, average_precision, tpr_at_fpr

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

BINARY_RATES = ("kappa", "accuracy", "precision", "recall", "f1", "specificity")
RANK_METRICS = ("auroc", "tpr_at_1fpr", "tpr_at_10fpr", "average_precision")
AVERAGED = ("precision", "recall", "f1", "specificity")
FPR_LEVELS = {"tpr_at_1fpr": 0.01, "tpr_at_10fpr": 0.10}


def divide(numerator: ArrayLike, denominator: ArrayLike) -> NDArray[np.float64]:
    """Divide elementwise; where the denominator is 0 the quotient is 0."""
    top, bottom = np.broadcast_arrays(
        np.asarray(numerator, np.float64), np.asarray(denominator, np.float64)
    )
    result = np.zeros(top.shape)
    np.divide(top, bottom, out=result, where=bottom != 0)
    return result


def binary_rates(
    tp: ArrayLike, fp: ArrayLike, fn: ArrayLike, tn: ArrayLike
) -> dict[str, NDArray[np.float64]]:
    """Compute the rates of 2x2 confusion counts, elementwise, so that resamples are one call.

    Args:
        tp: Members called members; scalar or any shape, as are the others.
        fp: Non-members called members.
        fn: Members called non-members.
        tn: Non-members called non-members.

    Returns:
        `kappa` (Cohen 1960), `accuracy`, `precision`, `recall`, `f1` and `specificity`.
    """
    tp, fp, fn, tn = (np.asarray(count, np.float64) for count in (tp, fp, fn, tn))
    n = tp + fp + fn + tn
    agreement = divide(tp + tn, n)
    chance = divide((tp + fp) * (tp + fn) + (fn + tn) * (fp + tn), n * n)
    return {
        "kappa": divide(agreement - chance, 1.0 - chance),
        "accuracy": agreement,
        "precision": divide(tp, tp + fp),
        "recall": divide(tp, tp + fn),
        "f1": divide(2.0 * tp, 2.0 * tp + fp + fn),
        "specificity": divide(tn, tn + fp),
    }


def binary_counts(truth: ArrayLike, decision: ArrayLike) -> dict[str, int]:
    """Count the cells of the 2x2 confusion matrix.

    Args:
        truth: 1 = used, 0 = not used; shape (n,).
        decision: The same coding, shape (n,).

    Returns:
        `tp`, `fp`, `fn`, `tn`.

    Raises:
        ValueError: Shapes differ, or a value is neither 0 nor 1.
    """
    truth, decision = _binary(truth, "truth"), _binary(decision, "decision")
    if truth.shape != decision.shape:
        raise ValueError(f"truth has shape {truth.shape}, decision {decision.shape}")
    return {
        "tp": int((truth & decision).sum()),
        "fp": int((~truth & decision).sum()),
        "fn": int((truth & ~decision).sum()),
        "tn": int((~truth & ~decision).sum()),
    }


def membership_metrics(
    truth: ArrayLike, decision: ArrayLike, score: ArrayLike | None = None
) -> dict[str, float | int]:
    """Measure membership decisions and, where given, the ranking behind them.

    Args:
        truth: 1 = used, 0 = not used; shape (n,).
        decision: The same coding, shape (n,).
        score: Higher means used, any scale; shape (n,).

    Returns:
        `n tp fp fn tn`, `kappa` (official), the other rates of `binary_rates`, and with scores
        `auroc`, `tpr_at_1fpr`, `tpr_at_10fpr`, `average_precision` (NaN where a class is absent).
    """
    counts = binary_counts(truth, decision)
    result: dict[str, float | int] = {"n": sum(counts.values()), **counts}
    result |= {name: float(value) for name, value in binary_rates(**counts).items()}
    return result if score is None else result | ranking_metrics(truth, score)


def ranking_metrics(truth: ArrayLike, score: ArrayLike) -> dict[str, float]:
    """Measure how scores rank members above non-members, without any threshold."""
    levels = {name: tpr_at_fpr(truth, score, level) for name, level in FPR_LEVELS.items()}
    return {
        "auroc": auroc(truth, score),
        **levels,
        "average_precision": average_precision(truth, score),
    }


def confusion_matrix(
    truth: ArrayLike, decision: ArrayLike, classes: Sequence[str]
) -> NDArray[np.int64]:
    """Count (true class, decided class) pairs.

    Args:
        truth: Class names, shape (n,).
        decision: Class names, shape (n,).
        classes: Row and column order.

    Returns:
        Counts, shape (K, K): rows are the truth.

    Raises:
        ValueError: Shapes differ, or a name is not among the classes.
    """
    rows, columns = encode(truth, classes), encode(decision, classes)
    if rows.shape != columns.shape:
        raise ValueError(f"truth has shape {rows.shape}, decision {columns.shape}")
    k = len(classes)
    return np.bincount(rows * k + columns, minlength=k * k).reshape(k, k).astype(np.int64)


def encode(labels: ArrayLike, classes: Sequence[str]) -> NDArray[np.int64]:
    """Map class names to their positions in `classes`, shape (n,).

    Raises:
        ValueError: A name is not among the classes.
    """
    position = {name: k for k, name in enumerate(classes)}
    names = np.asarray(labels, dtype=object).ravel().tolist()
    unknown = sorted({str(name) for name in names if name not in position})
    if unknown:
        raise ValueError(f"unknown class {unknown[0]!r}; the classes are {', '.join(classes)}")
    return np.fromiter((position[name] for name in names), np.int64, len(names))


def multiclass_rates(confusion: NDArray[Any]) -> dict[str, NDArray[np.float64]]:
    """Compute accuracy, and weighted and macro averages, of confusion matrices.

    The weighted average weighs a class by its number of true images, so weighted recall is the
    accuracy; the macro average weighs the classes alike (macro recall is the balanced accuracy).

    Args:
        confusion: Counts, shape (..., K, K), rows are the truth.

    Returns:
        `accuracy` (official), `precision recall f1 specificity` (weighted) and the same four with
        the suffix `_macro`, each of shape (...).
    """
    counts = np.asarray(confusion, np.float64)
    hits = np.diagonal(counts, axis1=-2, axis2=-1)
    support, decided = counts.sum(axis=-1), counts.sum(axis=-2)
    total = support.sum(axis=-1, keepdims=True)
    per_class = {
        "precision": divide(hits, decided),
        "recall": divide(hits, support),
        "f1": divide(2.0 * hits, support + decided),
        "specificity": divide(total - support - decided + hits, total - support),
    }
    weights = divide(support, total)
    rates = {"accuracy": divide(hits.sum(axis=-1), total[..., 0])}
    rates |= {name: (value * weights).sum(axis=-1) for name, value in per_class.items()}
    return rates | {f"{name}_macro": value.mean(axis=-1) for name, value in per_class.items()}


def attribution_metrics(
    truth: ArrayLike, decision: ArrayLike, classes: Sequence[str]
) -> dict[str, Any]:
    """Measure attribution decisions.

    Args:
        truth: Class names, shape (n,).
        decision: Class names, shape (n,).
        classes: All classes, in the order of the confusion matrix; a class without images counts
            in the macro averages (as scikit-learn with `labels=classes`).

    Returns:
        `n`, the rates of `multiclass_rates`, and `confusion[true class][decided class]`.
    """
    counts = confusion_matrix(truth, decision, classes)
    rates = {name: float(value) for name, value in multiclass_rates(counts).items()}
    nested = {
        name: dict(zip(classes, row, strict=True))
        for name, row in zip(classes, counts.tolist(), strict=True)
    }
    return {"n": int(counts.sum()), **rates, "confusion": nested}


def _binary(values: ArrayLike, name: str) -> NDArray[np.bool_]:
    array = np.asarray(values).ravel()
    if not np.isin(array, (0, 1)).all():
        raise ValueError(f"{name} has values other than 0 and 1")
    return array.astype(bool)
