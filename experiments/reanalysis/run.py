"""Ask which published membership runs differ from chance, given that there were many.

    python experiments/reanalysis/run.py

Reads table 2 of the ImageCLEFmedical GANs 2025 overview, which is part of the package, and writes
results.csv and table2.png beside this file. Exact; no seed.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw
from scipy.stats import binom

from gansfp.evaluation.intervals import balanced_kappa, binomial_test
from gansfp.evaluation.multiplicity import benjamini_hochberg, holm
from gansfp.evaluation.power import kappa_table_p, smallest_kappa
from gansfp.evaluation.prevalence import predictive_values
from gansfp.evaluation.published import TABLE2_MEMBERS, TABLE2_NON_MEMBERS, table2

HERE = Path(__file__).parent
SUBMITTED = 91  # runs of all teams; 33 of them are in the table
N = TABLE2_MEMBERS + TABLE2_NON_MEMBERS


def judge() -> pd.DataFrame:
    """Test every run against chance, alone and corrected."""
    exact = kappa_table_p(TABLE2_MEMBERS, TABLE2_NON_MEMBERS)
    rows = []
    for run in table2():
        counts = run.confusion
        right = counts["tp"] + counts["tn"]
        kappa = balanced_kappa(right, N)
        rows.append(
            {
                "run": run.run,
                "team": run.team,
                **counts,
                "kappa": kappa.value,
                "low": kappa.low,
                "high": kappa.high,
                "p": exact[counts["tp"], counts["fp"]],
                "p_binomial": binomial_test(right, N, 0.5),
                "ppv_at_1_percent": predictive_values(counts)[0.01].value,
            }
        )
    frame = pd.DataFrame(rows)
    frame["holm_33"] = holm(frame["p"])
    # Nothing is known of the other 58: with p = 1 for each, Holm's values are upper bounds.
    frame[f"holm_{SUBMITTED}"] = holm(np.append(frame["p"], np.ones(SUBMITTED - len(frame))))[:33]
    frame["fdr_33"] = benjamini_hochberg(frame["p"])
    return frame


def best_of(runs: int) -> dict[str, float]:
    """Describe the largest kappa of independent runs that guess, each with accuracy 1/2."""
    right = np.arange(N + 1)
    reached = binom.cdf(right, N, 0.5) ** runs
    kappa = 2.0 * right / N - 1.0
    return {
        "mean": float(kappa @ np.diff(reached, prepend=0.0)),
        **{f"q{q}": float(kappa[np.searchsorted(reached, q / 100)]) for q in (5, 50, 95)},
    }


def draw(frame: pd.DataFrame, path: Path) -> None:
    """Draw kappa with its interval, run by run, over what the best of many guesses would reach."""
    width, row, left, top = 1500, 34, 330, 110
    height = top + row * len(frame) + 90
    page = Image.new("RGB", (width, height), "white")
    pen = ImageDraw.Draw(page)

    def x(kappa: float) -> float:
        return left + (kappa + 0.30) / 0.60 * (width - left - 150)

    bottom = top + row * len(frame) + 6
    null = best_of(SUBMITTED)
    for sign in (1, -1):
        ends = sorted((x(sign * null["q5"]), x(sign * null["q95"])))
        pen.rectangle((ends[0], top - 12, ends[1], bottom), fill=(225, 228, 235))
    pen.line((x(0), top - 12, x(0), bottom), fill=(120, 120, 120), width=2)
    title = "Membership runs of ImageCLEFmedical GANs 2025: kappa with its 95 % interval"
    pen.text((20, 20), title, fill="black", font_size=28)
    pen.text((20, 58), f"Grey: where the best (right) and the worst (left) of {SUBMITTED} guessing "
             "runs fall, 90 % of the time. Red: p <= 0.05 after Holm over the 33 runs.",
             fill=(80, 80, 80), font_size=20)  # fmt: skip
    for k, one in enumerate(frame.itertuples()):
        middle = top + k * row + row // 2
        found = one.holm_33 <= 0.05
        colour = (190, 30, 45) if found else (40, 60, 110)
        pen.text((20, middle - 11), f"{one.run}  {one.team}", fill="black", font_size=20)
        pen.line((x(one.low), middle, x(one.high), middle), fill=colour, width=3)
        pen.ellipse((x(one.kappa) - 6, middle - 6, x(one.kappa) + 6, middle + 6), fill=colour)
        pen.text((width - 130, middle - 11), f"p {one.holm_33:.2g}", fill=colour, font_size=20)
    for tick in np.arange(-0.3, 0.31, 0.1):
        pen.line((x(tick), bottom, x(tick), bottom + 8), fill="black", width=2)
        pen.text((x(tick), bottom + 14), f"{tick:.1f}".replace("-0.0", "0.0"), fill="black",
                 font_size=20, anchor="ma")  # fmt: skip
    pen.text((x(0), bottom + 44), "kappa", fill="black", font_size=22, anchor="ma")
    page.quantize(64).save(path, optimize=True)


def main() -> None:
    """Print the answers, write the table and the figure."""
    frame = judge()
    frame.round(5).to_csv(HERE / "results.csv", index=False)
    draw(frame, HERE / "table2.png")
    for column in ("p", "holm_33", f"holm_{SUBMITTED}", "fdr_33"):
        chosen = frame[frame[column] <= 0.05]
        print(f"{column} <= 0.05: {len(chosen)} runs, {(chosen['kappa'] > 0).sum()} above chance:",
              ", ".join(f"{one.run} ({one.kappa:+.3f}, {getattr(one, column):.2g})"
                        for one in chosen.itertuples()))  # fmt: skip
    print("different confusion matrices:", len(frame[["tp", "fp", "fn", "tn"]].drop_duplicates()))
    for runs in (1, len(frame), SUBMITTED):
        print(f"largest kappa of {runs} guessing runs:",
              {name: round(value, 3) for name, value in best_of(runs).items()})  # fmt: skip
    right = round((1 + frame["kappa"].max()) / 2 * N)
    reached = 1 - binom.cdf(right - 1, N, 0.5) ** SUBMITTED
    print(f"best of {SUBMITTED} guessing runs reaches {frame['kappa'].max():.3f}: {reached:.3f}")
    for alpha, name in ((0.05, "one run"), (0.05 / 33, "33 runs"), (0.05 / SUBMITTED, "91 runs")):
        smallest = smallest_kappa(TABLE2_MEMBERS, TABLE2_NON_MEMBERS, alpha=alpha)
        print(f"kappa seen with probability 0.8, Bonferroni over {name}: {smallest:.3f}")
    best = predictive_values(table2()[0].confusion)
    print(f"run {table2()[0].run}, share of used among called:",
          {share: tuple(round(end, 4) for end in one) for share, one in best.items()})  # fmt: skip


if __name__ == "__main__":
    main()
