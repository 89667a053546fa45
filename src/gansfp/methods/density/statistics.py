"""The statistics, as functions of vectors. S: synthetic, R: known not to be used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from scipy.linalg import solve_triangular
from scipy.spatial.distance import cdist
from scipy.special import logsumexp
from scipy.stats import gaussian_kde

from gansfp.features.neighbours import nearest

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Scores = NDArray[np.float64]
    Vectors = NDArray[Any]

Classifier = Literal["logistic", "forest"]

_QUERIES = 256


def domias(queries: Vectors, synthetic: Vectors, others: Vectors) -> Scores:
    """Compute log f_S(x) - log f_R(x), Gaussian kernels with Scott's bandwidth.

    DOMIAS (van Breugel et al., AISTATS 2023). Both terms are log-sum-exp: the published code adds
    1e-10 to f_R, which in 16 dimensions is more than f_R itself for most images, and what is left
    is f_S alone.

    Args:
        queries: Shape (n, D).
        synthetic: Shape (m, D).
        others: More than D vectors, shape (r, D).

    Returns:
        Shape (n,).
    """
    ratio = gaussian_kde(synthetic.T).logpdf(queries.T) - gaussian_kde(others.T).logpdf(queries.T)
    return np.asarray(ratio)


def gen_lra(queries: Vectors, synthetic: Vectors, others: Vectors, k: int) -> Scores:
    """By how much x explains the synthetic images around it, beyond what R does.

    Sum over the k nearest s of x of log f_{R and x}(s) - log f_R(s), f a Gaussian kernel density
    with Silverman's bandwidth and the covariance of R (Gen-LRA, Ward et al. 2025). With
    l(s) = log sum_r exp(-|L^-1 (s - r)|^2 / 2) a term is
    logaddexp(l(s), -|L^-1 (s - x)|^2 / 2) - l(s) + log(r / (r + 1)): no density is fitted twice.

    Args:
        queries: Shape (n, D).
        synthetic: Shape (m, D).
        others: More than D vectors, shape (r, D).
        k: Synthetic images around x.

    Returns:
        Shape (n,).
    """
    kernel = gaussian_kde(others.T, bw_method="silverman")
    factor = np.linalg.cholesky(np.atleast_2d(kernel.covariance))
    x, s, r = (
        solve_triangular(factor, side.T, lower=True).T for side in (queries, synthetic, others)
    )
    near = nearest(queries, synthetic, k)[1]
    asked, place = np.unique(near, return_inverse=True)
    level = np.concatenate(
        [
            logsumexp(-0.5 * cdist(s[asked[i : i + _QUERIES]], r, "sqeuclidean"), axis=1)
            for i in range(0, len(asked), _QUERIES)
        ]
    )[place.reshape(near.shape)]
    own = -0.5 * np.square(s[near] - x[:, None]).sum(axis=2)
    gain = np.logaddexp(level, own) - level + np.log(len(r) / (len(r) + 1))
    total: Scores = gain.sum(axis=1)
    return total


def discriminator(
    queries: Vectors, synthetic: Vectors, others: Vectors, classifier: Classifier, seed: int = 0
) -> Scores:
    """Logit of a classifier that tells S from R, both weighing the same.

    The discriminator attack of LOGAN (Hayes et al., PoPETs 2019) without a GAN.

    Args:
        queries: Shape (n, D).
        synthetic: Shape (m, D).
        others: Shape (r, D).
        classifier: `logistic` (on standardised features), or a random `forest`.
        seed: Of the forest.

    Returns:
        Higher where x looks synthetic, shape (n,).
    """
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model: Any
    if classifier == "logistic":
        linear = LogisticRegression(C=0.1, class_weight="balanced", max_iter=1000)
        model = make_pipeline(StandardScaler(), linear)
    else:
        model = RandomForestClassifier(
            100, min_samples_leaf=2, class_weight="balanced", random_state=seed
        )
    model.fit(np.concatenate([synthetic, others]), np.repeat([1, 0], [len(synthetic), len(others)]))
    if classifier == "logistic":
        return np.asarray(model.decision_function(queries))
    share = model.predict_proba(queries)[:, 1]
    return np.asarray(np.log(share + 1e-3) - np.log(1 - share + 1e-3))
