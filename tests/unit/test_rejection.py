"""Rejection of images of no known class, as a decision rule."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from toy import AttributionCounts, write_toy_attribution

from gansfp import cli
from gansfp.errors import UserError
from gansfp.rejection import Reject
from gansfp.runtime.files import read_json
from gansfp.tables import read_table


def table(first: list[float], in_sample: bool = False) -> pd.DataFrame:
    """Two classes: the probability of the first."""
    p = np.array(first)
    return pd.DataFrame({"p_t1": p, "p_t2": 1 - p, "label": "t1", "in_sample": in_sample})


def test_threshold_and_decisions_by_hand() -> None:
    held_out = table([0.95, 0.1, 0.8, 0.3, 0.6])  # confidences 0.95, 0.9, 0.8, 0.7, 0.6
    rule = Reject(kept=0.8).fit(held_out)
    assert rule.threshold == pytest.approx(0.7)
    decided = rule.decide(table([0.99, 0.69, 0.7, 0.29, 0.5]))
    assert decided["decision"].tolist() == ["t1", "unknown", "t1", "t2", "unknown"]
    assert Reject(kept=1.0).fit(held_out).threshold == pytest.approx(0.6)


@pytest.mark.parametrize("kept", [0.5, 0.9, 0.95])
def test_the_stated_share_of_held_out_images_is_kept(kept: float) -> None:
    held_out = table(np.random.default_rng(0).uniform(size=400).tolist())
    decided = Reject(kept).fit(held_out).decide(held_out)["decision"]
    assert (decided != "unknown").mean() == pytest.approx(kept)


def test_what_is_refused() -> None:
    with pytest.raises(UserError, match="in sample"):
        Reject().fit(table([0.9], in_sample=True))
    with pytest.raises(UserError, match="kept=0"):
        Reject(kept=0)
    with pytest.raises(UserError, match="held-out"):
        Reject().decide(table([0.9]))
    with pytest.raises(UserError, match="p_<class>"):
        Reject().fit(pd.DataFrame({"score": [1.0], "in_sample": [False]}))


def test_a_generator_that_training_does_not_know(
    in_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_toy_attribution("toy", counts=AttributionCounts(real=8, train=30, test=10))
    for part in ("generated/gen_t5", "real/t5"):
        (Path("toy/train") / part).rename(Path(part.replace("/", "_")))
    groups = Path("toy/groups.csv")
    groups.write_text("\n".join(g for g in groups.read_text().split("\n") if "/t5/" not in g))
    truth = Path("toy/test/labels.csv")
    truth.write_text(truth.read_text().replace("t5", "unknown"))
    words = ["task=attribution", "method=fingerprint", "decision=reject", "decision.kept=0.9",
             "data.root=toy", "evaluator.bootstrap=20", "evaluator.permutations=20"]  # fmt: skip
    monkeypatch.setattr(sys, "argv", ["gansfp", "train", *words])
    cli.main()
    (run,) = Path("runs/default").iterdir()
    decided = read_table(run / "predictions/test.parquet")["decision"]
    confusion = read_json(run / "result.json")["test"]["confusion"]
    assert sum(row["unknown"] for row in confusion.values()) == (decided == "unknown").sum()
    assert sum(confusion["unknown"].values()) == 10
    monkeypatch.setattr(sys, "argv", ["gansfp", "predict", str(run), "output=out"])
    cli.main()
    assert Path("out/run.csv").read_text().count(",unknown") == (decided == "unknown").sum()
