"""All distance attacks in one pass, against one float32 matrix product and the loops of peers.

python benchmarks/attacks.py --real 10000 --synthetic 100000 --threads 2
python benchmarks/attacks.py --real 1000 --synthetic 7000 --threads 2 --rounds 3

Everything runs in one process, ours and theirs in turn. `domias` is taken where it is there
(`pip install --no-deps domias`), and its loop is written out here otherwise; GAN-Leaks and
Synth-MIA are on no index: their searches (scikit-learn, ten queries at once; a k-d tree) are, too.
Peers run on a part of the queries (`--loop`) and are scaled up, which favours them.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from scipy.spatial import cKDTree
from sklearn.neighbors import NearestNeighbors

from gansfp.methods.distance.membership import STATISTICS
from gansfp.methods.distance.neighbourhood import Keyed, Neighbourhood

ONE_PASS = (
    "nearest", "pool_ratio", "reference_ratio", "reference_difference", "vote_margin", "vote_sum",
    "vote_count", "count", "residual",
)  # fmt: skip
"""All distance statistics but three: `lof` needs the distances among synthetic images, `dpi` more
neighbours, and `count_log` an fp64 distance for each pair inside the radius."""

_BLOCK = 8192


def main() -> None:
    """Measure, compare values, print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--real", type=int, default=1000)
    parser.add_argument("--synthetic", type=int, default=7000)
    parser.add_argument("--features", type=int, default=512)
    parser.add_argument("--labelled", type=int, default=200)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--loop", type=int, default=50, help="queries of the peers' loops")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    real, synthetic = (
        draw(options.real, options.features, 0),
        draw(options.synthetic, options.features, 1),
    )
    times: dict[str, list[float]] = {}
    found: dict[str, Any] = {}
    part = real[: options.loop]
    radius = hood_of(real, synthetic, options.labelled).radius
    measured = jobs(real, synthetic, part, radius, options)
    for _ in range(options.rounds):
        for name, (work, call) in measured.items():
            wall, cpu = time.perf_counter(), time.process_time()
            found[name] = call()
            scale = 1.0 if work == "all" else len(real) / len(part)
            times.setdefault(name, []).append(scale * (time.perf_counter() - wall))
            times.setdefault(name + "_core", []).append(scale * (time.process_time() - cpu))
    check(found, len(part))
    print(json.dumps(summary(times, options)))


def jobs(
    real: np.ndarray, synthetic: np.ndarray, part: np.ndarray, radius: float, options: Any
) -> dict[str, tuple[str, Callable[[], Any]]]:
    """What is measured: on all queries or on a part of them; what peers prepare once is not."""
    search = NearestNeighbors(n_neighbors=5).fit(synthetic)
    tree, points = cKDTree(synthetic), synthetic.astype(np.float64)
    return {
        "product": ("all", lambda: product(real, synthetic)),
        "attacks": ("all", lambda: attacks(real, synthetic, options.labelled)),
        "gan_leaks": ("part", lambda: gan_leaks(part, search)),
        "domias": ("part", lambda: domias_counts(part, points, radius)),
        "synth_mia": ("part", lambda: -tree.query(part, k=1)[0]),
    }


def draw(n: int, features: int, seed: int) -> np.ndarray:
    """Draw vectors of 30 clusters and different scales, float32."""
    rng = np.random.default_rng(seed)
    centre = np.random.default_rng(99).normal(size=(30, features))
    tail = np.sqrt(5 / rng.chisquare(5, n))[:, None]
    return (centre[rng.integers(0, 30, n)] + tail * rng.normal(size=(n, features))).astype(
        np.float32
    )


def product(real: np.ndarray, synthetic: np.ndarray) -> None:
    """Compute the matrix product alone, block by block into the same memory."""
    left, right = torch.from_numpy(real), torch.from_numpy(synthetic)
    out = torch.empty(_BLOCK // 2, _BLOCK)
    for j in range(0, len(right), _BLOCK):
        for i in range(0, len(left), _BLOCK // 2):
            one, two = left[i : i + _BLOCK // 2], right[j : j + _BLOCK]
            torch.mm(one, two.T, out=out.view(-1)[: len(one) * len(two)].view(len(one), len(two)))


def hood_of(real: np.ndarray, synthetic: np.ndarray, labelled: int) -> Neighbourhood:
    """Half of the labelled images are known not to be used."""
    number = np.arange(len(real))
    return Neighbourhood(
        Keyed(real, number), synthetic, number < labelled, number < labelled // 2, k=5,
        both_ways=True, radius="median", logs=False,
    )  # fmt: skip


def attacks(real: np.ndarray, synthetic: np.ndarray, labelled: int) -> dict[str, np.ndarray]:
    """Score with all attacks of one pass."""
    hood = hood_of(real, synthetic, labelled)
    return {name: STATISTICS[name].score(hood, 5 if "vote" in name else 1, 5) for name in ONE_PASS}


def gan_leaks(queries: np.ndarray, search: NearestNeighbors) -> np.ndarray:
    """GAN-Leaks: scikit-learn's search, K = 5, ten queries at a time, the first distance kept."""
    parts = [search.kneighbors(queries[i : i + 10])[0][:, 0] for i in range(0, len(queries), 10)]
    return -np.concatenate(parts)


def domias_counts(queries: np.ndarray, points: np.ndarray, radius: float) -> np.ndarray:
    """DOMIAS's Monte Carlo attack: loop over queries, count squared distances below a bound."""
    try:
        from domias.baselines import d
    except ImportError:

        def d(x: np.ndarray, y: np.ndarray) -> np.ndarray:
            return np.sum((x - y) ** 2, axis=1)

    # In float32 its sums round, and pairs at the radius change sides: points are float64.
    distances = np.zeros((len(queries), len(points)))
    for i, x in enumerate(queries.astype(np.float64)):
        distances[i] = d(x, points)
    nearest = np.min(distances, 1)
    counts = np.array([np.sum(np.sqrt(row) < radius) for row in distances]) / len(points)
    return np.stack([nearest, counts])


def check(found: dict[str, Any], n: int) -> None:
    """Refuse to print a time for other values."""
    ours = found["attacks"]
    nearest, counts = found["domias"]
    np.testing.assert_allclose(ours["nearest"][:n], found["synth_mia"], rtol=1e-6)
    np.testing.assert_allclose(ours["nearest"][:n], found["gan_leaks"], rtol=1e-5)
    np.testing.assert_allclose(ours["nearest"][:n], -np.sqrt(nearest), rtol=1e-10)
    np.testing.assert_array_equal(ours["count"][:n], counts)


def summary(times: dict[str, list[float]], options: Any) -> dict[str, Any]:
    """Medians, and ratios of times taken side by side."""
    middle = {name: statistics.median(values) for name, values in times.items()}

    def ratio(above: str, below: str) -> float:
        pairs = zip(times[above], times[below], strict=True)
        return round(statistics.median(a / b for a, b in pairs), 2)

    return {
        **{key: getattr(options, key) for key in ("real", "synthetic", "features", "threads")},
        "seconds": {name: round(value, 2) for name, value in middle.items()},
        "attacks_over_product": ratio("attacks", "product"),
        "attacks_over_product_core_time": ratio("attacks_core", "product_core"),
        "gan_leaks_over_attacks": ratio("gan_leaks", "attacks"),
        "domias_over_attacks": ratio("domias", "attacks"),
        "synth_mia_over_attacks": ratio("synth_mia", "attacks"),
        "peak_gib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
    }


if __name__ == "__main__":
    main()
