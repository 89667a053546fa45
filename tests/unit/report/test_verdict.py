"""The sentence at the top: found, unclear, not found, not valid, without truth."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gansfp.report.study import Entry, Study
from gansfp.report.verdict import hundred, judged, lead, p_text, verdict

ROW: dict[str, Any] = {
    "task": "membership", "study": "s", "experiment": "e", "changes": "", "set": "test",
    "seeds": 1, "folders": [Path("/no/such/run")], "valid": True, "invalid_reason": None,
    "transductive": False, "kappa": 0.0, "kappa_low": -0.1, "kappa_high": 0.1, "auroc": 0.5,
    "auroc_low": 0.44, "auroc_high": 0.56, "tpr_at_1fpr": 0.01, "p": 0.6, "p_corrected": None,
}  # fmt: skip
FOUND = {"kappa": 0.5, "p": 0.0001, "p_corrected": 0.0001, "auroc": 0.85, "auroc_low": 0.8,
         "auroc_high": 0.9}  # fmt: skip
SPOILT = {"valid": False, "invalid_reason": "blind 0.9 excludes 0.5"}


def study(*changes: dict[str, Any]) -> Study:
    entries = [
        Entry({**ROW, **change}, f"run-1-{k}", len(changes))
        for k, change in enumerate(changes, start=1)
    ]
    return Study("s", entries[0].row["task"], entries, 1)


@pytest.mark.parametrize(
    ("rows", "finding", "key"),
    [
        ([{}], "clear", "run-1-1"),
        ([{}, FOUND], "found", "run-1-2"),
        # An inductive run speaks first, though a transductive one is better.
        ([{**FOUND, "transductive": True, "kappa": 0.9}, FOUND], "found", "run-1-2"),
        ([{**FOUND, **SPOILT}, {}], "invalid", "run-1-1"),
        ([{**FOUND, **SPOILT}, FOUND], "found", "run-1-2"),
        ([SPOILT], "invalid", "run-1-1"),  # nothing that could be believed
        # Found before the correction alone, or by rank alone, or worse than chance.
        ([{**FOUND, "p": 0.03, "p_corrected": 0.06}, {}], "hint", "run-1-1"),
        ([{"auroc": 0.6, "auroc_low": 0.51}], "hint", "run-1-1"),
        ([{**FOUND, "kappa": -0.5, "auroc": 0.2, "auroc_low": 0.1}], "hint", "run-1-1"),
        # Without max-T the correction is Bonferroni's: 0.03 x 2.
        ([{**FOUND, "p": 0.03, "p_corrected": None}, {}], "hint", "run-1-1"),
        ([{**FOUND, "set": "validation"}], "note", None),
    ],
)
def test_a_study_is_judged(rows: list[dict[str, Any]], finding: str, key: str | None) -> None:
    found, entry = judged(study(*rows))
    assert found == finding
    assert (entry.key if entry else None) == key
    assert verdict(study(*rows)).finding == finding


def test_the_sentence_has_the_numbers_and_how_sure_they_are() -> None:
    said = verdict(study(FOUND))
    assert said.title == "Yes: these images give away patients."
    assert "85 times in 100 (95 % interval 80 to 90); guessing is right 50 times" in said.text
    assert "recognises 1 of 100 used images" in said.text
    assert ("p against chance", "≤ 0.0001") in said.facts
    spoilt = verdict(study({**FOUND, **SPOILT}))
    assert "blind 0.9 excludes 0.5" in spoilt.text


def test_seeds_are_told_as_a_range() -> None:
    (entry,) = study({**FOUND, "seeds": 3}).entries
    assert hundred(entry, "auroc") == ("85", " (over seeds 80 to 90)")
    assert hundred(entry, "missing") == ("an unknown number", "")


def test_small_p_values_are_bounds() -> None:
    assert [p_text(p) for p in (0.0001, 0.0002, 0.0312, 1.0)] == [
        "≤ 0.0001",
        "0.0002",
        "0.031",
        "1",
    ]


def test_the_lead_counts_studies() -> None:
    pairs = [(one, verdict(one)) for one in (study({}), study(FOUND), study({}))]
    assert lead(pairs) == "Was an image used for training? 3 studies: 1 yes, 2 no sign."
