"""Attacks on toy generators that leak in known ways: AUC and TPR at 1 % FPR over seeds.

python experiments/toy_regimes/run.py --seeds 3 --density kde mix gkde mixup gmm
python experiments/toy_regimes/run.py --seeds 3 --only reference_rank    # its rows alone
"""

from __future__ import annotations

import argparse
import csv
import sys
import time
from pathlib import Path

import numpy as np
from scipy.stats import t as student
from sklearn.metrics import roc_auc_score

sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "helpers"))

from toy_regimes import REGIMES, Toy, draw

from gansfp.evaluation.ranking import tpr_at_fpr
from gansfp.methods.density.estimator import DensityEstimator
from gansfp.methods.distance.membership import STATISTICS

DISTANCE = {
    "nearest": ("nearest", 1, 1),
    "pool_ratio": ("pool_ratio", 1, 1),
    "pool_ratio_5": ("pool_ratio", 1, 5),
    "reference_ratio": ("reference_ratio", 1, 1),
    "reference_ratio_5": ("reference_ratio", 1, 5),
    "reference_difference": ("reference_difference", 1, 1),
    "reference_rank": ("reference_rank", 1, 5),
    "lof": ("lof", 1, 1),
    "lof_20": ("lof", 20, 1),
    "vote_margin": ("vote_margin", 5, 1),
    "vote_sum": ("vote_sum", 5, 1),
    "vote_third": ("vote_count", 5, 1),
    "count_median": ("count", 1, 1),
    "count_log": ("count_log", 1, 1),
    "dpi": ("dpi", 20, 1),
    "residual": ("residual", 1, 5),
}
DENSITY = {
    "domias": {"statistic": "domias", "components": 8},
    "domias_16": {"statistic": "domias", "components": 16},
    "gen_lra": {"statistic": "gen_lra", "components": 8},
    "forest": {"statistic": "forest", "components": 16, "folds": 2},
    "logistic": {"statistic": "logistic", "components": 16, "folds": 2},
}
RESULTS = Path(__file__).parent / "results.csv"
SETTINGS = [(regime, 1000) for regime in REGIMES] + [("mix", 100)]


def main() -> None:
    """Run all attacks on all regimes and write `results.csv` beside this file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--density", nargs="*", default=["gmm"], help="regimes of density ratios")
    parser.add_argument("--only", nargs="*", help="distance attacks whose rows are made anew")
    options = parser.parse_args()
    chosen = {name: DISTANCE[name] for name in options.only or DISTANCE}
    seeds = range(options.seeds)
    rows = []
    for regime, outsiders in SETTINGS:
        found: dict[str, list[tuple[float, float]]] = {}
        start = time.perf_counter()
        for seed in seeds:
            toy = draw(regime, seed, outsiders=outsiders)
            wanted = not options.only and regime in options.density
            for name, scores in attacks(toy, chosen, wanted).items():
                area = float(roc_auc_score(toy.truth, scores))
                found.setdefault(name, []).append((area, tpr_at_fpr(toy.truth, scores, 0.01)))
        for name, values in found.items():
            area, tpr = np.array(values).T
            rows.append([regime, outsiders, name, *interval(area), f"{tpr.mean():.3f}", len(area)])
            sys.stdout.write(" ".join(map(str, rows[-1])) + "\n")
        sys.stdout.write(f"{regime}: {time.perf_counter() - start:.0f} s\n")
        sys.stdout.flush()
    if options.only:
        made = {tuple(map(str, row[:3])) for row in rows}
        rows = [row for row in recorded() if tuple(row[:3]) not in made] + rows
    with RESULTS.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(
            ["regime", "outsiders", "attack", "auroc", "low", "high", "tpr_at_1_fpr", "seeds"]
        )
        table.writerows(rows)


def recorded() -> list[list[str]]:
    """Read the rows that are there."""
    with RESULTS.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))[1:]


def attacks(
    toy: Toy, chosen: dict[str, tuple[str, int, int]], density: bool
) -> dict[str, np.ndarray]:
    """Score the candidates with distance attacks and, on demand, density ratios."""
    n = len(toy.candidates)
    hood = toy.neighbourhood(400)
    scores = {
        name: STATISTICS[statistic].score(hood, k, k_scale)[:n]
        for name, (statistic, k, k_scale) in chosen.items()
    }
    real = np.concatenate([toy.candidates, toy.outsiders])
    outsider = np.arange(len(real)) >= n
    for name, options in DENSITY.items() if density else ():
        method = DensityEstimator(**options)
        found = method.score_vectors(real, toy.synthetic, outsider, np.arange(len(real)))
        scores[name] = found[:n]
    return scores


def interval(values: np.ndarray) -> list[str]:
    """Mean over seeds with its 95 % interval by Student's t."""
    mean, half = values.mean(), 0.0
    if len(values) > 1:
        half = student.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return [f"{value:.3f}" for value in (mean, mean - half, mean + half)]


if __name__ == "__main__":
    main()
