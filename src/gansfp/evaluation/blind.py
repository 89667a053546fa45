"""The blind baseline: tells used from unused real images without any synthetic image.

It can do so only if the two sets differ in themselves (scanner, anatomy, compression), and then
no membership score on them means anything (Das, Zhang and Tramer 2024, "Blind baselines beat
membership inference attacks").
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

PIXELS, BINS, RINGS, COMPONENTS = 16, 32, 32, 24
CHUNK = 256


def blind_features(images: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Describe images by small pixels, grey levels and frequencies.

    Args:
        images: uint8, shape (n, H, W).

    Returns:
        Mean grey of 16x16 cells, a histogram of 32 bins and the logarithm of the power in 32 rings
        of frequency, shape (n, 320).
    """
    parts = [_features(images[k : k + CHUNK]) for k in range(0, len(images), CHUNK)]
    return np.concatenate(parts) if parts else np.zeros((0, PIXELS**2 + BINS + RINGS))


def fit_and_score(
    fit_features: NDArray[np.float64], fit_labels: NDArray[np.int64], features: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Fit a regularised logistic regression on standardised principal components; score others.

    Args:
        fit_features: Shape (n, D).
        fit_labels: 1 = used, 0 = not used; shape (n,).
        features: Shape (m, D).

    Returns:
        Log-odds of "used", shape (m,).
    """
    from sklearn.decomposition import PCA
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    components = min(COMPONENTS, max(1, len(fit_features) // 4), fit_features.shape[1])
    model = make_pipeline(
        StandardScaler(),
        PCA(components, svd_solver="full"),
        StandardScaler(),
        LogisticRegression(C=0.1, max_iter=1000),
    )
    model.fit(fit_features, fit_labels)
    return np.asarray(model.decision_function(features), np.float64)


def cross_scores(
    features: NDArray[np.float64], labels: NDArray[np.int64], groups: NDArray[np.str_], seed: int
) -> NDArray[np.float64]:
    """Score images out of fold, groups kept whole.

    Log-odds are ranked within each fold, since folds differ in offset.

    Args:
        features: Shape (n, D).
        labels: 1 = used, 0 = not used; shape (n,).
        groups: Shape (n,).
        seed: Seed of the folds.

    Returns:
        Rank in (0, 1) of each image within its fold, shape (n,).
    """
    from sklearn.model_selection import StratifiedGroupKFold

    from gansfp.evaluation.ranking import midranks

    scores = np.zeros(len(labels))
    smallest = min(len(np.unique(groups[labels == label])) for label in (0, 1))
    folds = StratifiedGroupKFold(min(5, smallest), shuffle=True, random_state=seed)
    for fitted, held_out in folds.split(features, labels, groups):
        fold = fit_and_score(features[fitted], labels[fitted], features[held_out])
        scores[held_out] = midranks(fold) / (len(fold) + 1)
    return scores


def _features(images: NDArray[np.uint8]) -> NDArray[np.float64]:
    grey = images.astype(np.float32) / 255.0
    n = len(grey)
    histogram = np.zeros((n, BINS))
    np.add.at(histogram, (np.arange(n)[:, None], images.reshape(n, -1) // (256 // BINS)), 1.0)
    histogram /= images[0].size
    cells = _cell_means(grey).reshape(n, -1)
    return np.concatenate([cells, np.sqrt(histogram), _log_spectrum(grey)], axis=1)


def _cell_means(grey: NDArray[np.float32]) -> NDArray[np.float64]:
    """Mean of 16x16 cells; an image of fewer pixels a side repeats them."""
    _, height, width = grey.shape
    rows = np.floor(np.linspace(0, height, PIXELS, endpoint=False)).astype(int)
    columns = np.floor(np.linspace(0, width, PIXELS, endpoint=False)).astype(int)
    sums = np.add.reduceat(np.add.reduceat(grey.astype(np.float64), rows, axis=1), columns, axis=2)
    sizes = _lengths(rows, height)[:, None] * _lengths(columns, width)
    return np.asarray(sums / sizes)


def _lengths(starts: NDArray[np.int64], end: int) -> NDArray[np.int64]:
    return np.maximum(np.diff(np.append(starts, end)), 1)


def _log_spectrum(grey: NDArray[np.float32]) -> NDArray[np.float64]:
    """Logarithm of the mean power in rings of equal width up to the Nyquist frequency."""
    n, height, width = grey.shape
    centred = grey - grey.mean(axis=(1, 2), keepdims=True)
    power = np.abs(np.fft.rfft2(centred)) ** 2
    radius = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width))
    ring = np.minimum((radius / 0.5 * RINGS).astype(int), RINGS - 1).ravel()
    order = np.argsort(ring, kind="stable")
    present, starts, sizes = np.unique(ring[order], return_index=True, return_counts=True)
    means = np.add.reduceat(power.reshape(n, -1)[:, order], starts, axis=1) / sizes
    result = np.zeros((n, RINGS))
    result[:, present] = np.log(means + 1e-6)
    return result
