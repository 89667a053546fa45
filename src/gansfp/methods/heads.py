"""Small classifiers on vectors, fitted by scikit-learn and kept as plain arrays."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from scipy.special import expit
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler

from gansfp.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Array = NDArray[np.float64]


class Head(Protocol):
    """A binary classifier: probabilities of "used"."""

    def fit(self, vectors: Array, labels: NDArray[np.int64]) -> None:
        """Learn from vectors, shape (n, D), and labels (1 used, 0 not used), shape (n,)."""

    def score(self, vectors: Array) -> Array:
        """Give the probability of "used" of each vector, shape (n,)."""

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Give what was learnt."""

    def restore(self, arrays: dict[str, NDArray[Any]]) -> None:
        """Take what `arrays` gave."""

    def spec(self) -> dict[str, Any]:
        """Describe the classifier by plain values, for `head_from_spec`."""


class Logistic:
    """Logistic regression on standardised vectors, by L-BFGS."""

    def __init__(self, c: float = 1.0, seed: int = 42) -> None:
        """Choose the inverse strength of the L2 penalty, `c`."""
        self.c, self.seed = c, seed
        self._learnt: dict[str, NDArray[Any]] = {}

    def fit(self, vectors: Array, labels: NDArray[np.int64]) -> None:
        """Learn; see `Head`."""
        _check_labels(labels)
        scaler = StandardScaler().fit(vectors)
        model = LogisticRegression(C=self.c, solver="lbfgs", max_iter=1000, random_state=self.seed)
        model.fit(scaler.transform(vectors), labels)
        weights = model.coef_[0] / scaler.scale_
        self._learnt = {"weights": weights, "bias": model.intercept_ - weights @ scaler.mean_}

    def score(self, vectors: Array) -> Array:
        """Give probabilities; see `Head`."""
        result: Array = expit(vectors @ self._learnt["weights"] + self._learnt["bias"])
        return result

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Give what was learnt."""
        return dict(self._learnt)

    def restore(self, arrays: dict[str, NDArray[Any]]) -> None:
        """Take what `arrays` gave."""
        self._learnt = dict(arrays)

    def spec(self) -> dict[str, Any]:
        """Describe the classifier."""
        return {"kind": "logistic", "c": self.c, "seed": self.seed}


class Perceptron:
    """Multi-layer perceptron with ReLU by Adam, without early stopping.

    Two outputs with cross-entropy are one output with a sigmoid; scikit-learn has the latter.
    """

    def __init__(
        self,
        hidden: Sequence[int] = (256, 128),
        lr: float = 1e-3,
        epochs: int = 100,
        batch_size: int = 128,
        seed: int = 42,
    ) -> None:
        """Choose hidden layers, learning rate, epochs, batch size and the seed of all chance."""
        self.hidden, self.lr, self.epochs = list(hidden), lr, epochs
        self.batch_size, self.seed = batch_size, seed
        self._learnt: dict[str, NDArray[Any]] = {}

    def fit(self, vectors: Array, labels: NDArray[np.int64]) -> None:
        """Learn; see `Head`."""
        _check_labels(labels)
        model = MLPClassifier(
            self.hidden,
            alpha=0.0,
            learning_rate_init=self.lr,
            max_iter=self.epochs,
            n_iter_no_change=self.epochs,
            batch_size=min(self.batch_size, len(vectors)),
            random_state=self.seed,
        )
        with warnings.catch_warnings():  # the number of epochs is the recipe's
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(vectors, labels)
        for layer, (weights, bias) in enumerate(zip(model.coefs_, model.intercepts_, strict=True)):
            self._learnt |= {f"weights{layer}": weights, f"bias{layer}": bias}

    def score(self, vectors: Array) -> Array:
        """Give probabilities; see `Head`."""
        values = np.asarray(vectors, dtype=np.float64)
        last = len(self.hidden)
        for layer in range(last + 1):
            values = values @ self._learnt[f"weights{layer}"] + self._learnt[f"bias{layer}"]
            if layer < last:
                values = np.maximum(values, 0)
        result: Array = expit(values[:, 0])
        return result

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Give what was learnt."""
        return dict(self._learnt)

    def restore(self, arrays: dict[str, NDArray[Any]]) -> None:
        """Take what `arrays` gave."""
        self._learnt = dict(arrays)

    def spec(self) -> dict[str, Any]:
        """Describe the classifier."""
        return {
            "kind": "perceptron",
            "hidden": self.hidden,
            "lr": self.lr,
            "epochs": self.epochs,
            "batch_size": self.batch_size,
            "seed": self.seed,
        }


def head_from_spec(spec: dict[str, Any] | None) -> Head | None:
    """Build the classifier that `spec` described; None gives None.

    Raises:
        UserError: There is no such kind.
    """
    if spec is None:
        return None
    options = dict(spec)
    kind = options.pop("kind", None)
    if kind == "logistic":
        return Logistic(**options)
    if kind == "perceptron":
        return Perceptron(**options)
    raise UserError(f"head {kind!r}: choose logistic or perceptron")


def _check_labels(labels: NDArray[np.int64]) -> None:
    if len(np.unique(labels)) < 2:
        raise UserError("data.root: a classifier needs labelled images used and not used to fit on")
