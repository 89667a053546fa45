"""The answer of a study in a sentence, with how sure it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from gansfp.evaluation.power import smallest_auroc
from gansfp.report.parts import Callout, Columns, Finding, Points
from gansfp.report.study import LEVEL, Entry, Study


def verdict(study: Study, remarks: Mapping[str, str] | None = None) -> Callout:
    """Word the answer of a study.

    Found: a run whose controls did not fail is better than chance after correction for all runs of
    the study. Not valid: only runs with failed controls are, or there are no others. Unclear: a run
    is better than chance only before correction, or only by its area under the ROC curve, or worse
    than chance. Else not found.

    Args:
        study: At least one entry.
        remarks: What else is to be said of an entry, by its id.
    """
    finding, entry = judged(study)
    if entry is None:
        return Callout(
            "note", "No answer: the truth of the test images is not known here.",
            "The runs were measured on labelled images at best; they set the thresholds.",
            label=study.name, link=study.anchor,
        )  # fmt: skip
    word = _membership if study.task == "membership" else _attribution
    title, text = word(study, finding, entry)
    text += (remarks or {}).get(entry.key, "")
    return Callout(finding, title, text, _facts(entry), study.name, study.anchor)


def judged(study: Study) -> tuple[Finding, Entry | None]:
    """Judge a study: what was found, and the entry that says so."""
    tested = [entry for entry in study.entries if entry.on_test]
    if not tested:
        return "note", None
    fair = [entry for entry in tested if not entry.is_invalid]
    found = [entry for entry in fair if entry.is_found]
    if found:
        return "found", max(found, key=lambda e: (not e.row["transductive"], e.official or 0.0))
    spoilt = [entry for entry in tested if entry.is_invalid and entry.is_found]
    if spoilt or not fair:
        return "invalid", _strongest(spoilt or tested)
    hints = [entry for entry in fair if _is_hint(entry)]
    return ("hint", _strongest(hints)) if hints else ("clear", _strongest(fair))


def _is_hint(entry: Entry) -> bool:
    single, low = entry.number("p"), entry.number("auroc_low")
    by_rank = entry.row["task"] == "membership" and low is not None and low > 0.5
    return by_rank or (single is not None and single <= LEVEL)


def _strongest(entries: Sequence[Entry]) -> Entry:
    """The one that comes nearest to an attack: the largest area, or accuracy."""
    return max(entries, key=lambda e: e.number("auroc") or e.official or 0.0)


def _membership(study: Study, finding: Finding, entry: Entry) -> tuple[str, str]:
    title = {
        "found": "Yes: these images give away patients.",
        "hint": "Unclear: there are hints, but no proof.",
        "clear": "No sign that these images give patients away.",
        "invalid": "Cannot be said: a control failed.",
        "note": "",
    }[finding]
    pairs, sure = hundred(entry, "auroc")
    how = "method" if finding == "found" else "strongest method"
    text = (
        f"Shown one image that was used and one that was not, the {how} names the used one "
        f"{pairs} times in 100{sure}; guessing is right 50 times."
    )
    if finding == "found" and entry.number("tpr_at_1fpr") is not None:
        rate, sure = hundred(entry, "tpr_at_1fpr")
        text += f" Allowed 1 % false accusations, it recognises {rate} of 100 used images{sure}."
    if finding == "invalid":
        text += f" But {entry.row['invalid_reason']}: it may see something else than the leak."
    if finding in ("clear", "hint"):
        text += smallest_leak(entry)
    return title, text


def smallest_leak(entry: Entry) -> str:
    """Say which leak would have been noticed, on the images that there are."""
    evidence = entry.evidence
    if evidence is None or evidence.truth is None:
        return ""
    names = evidence.test["group"].to_numpy().astype(str)
    used, unused = (len(np.unique(names[evidence.truth == value])) for value in (1, 0))
    level = LEVEL / max(entry.tests, 1)
    area = smallest_auroc(used, unused, alpha=level) if used and unused else None
    if area is None:
        return " There are too few images to notice any leak."
    units = "images" if evidence.groups is None else "patients"
    return (
        f" With {used} used and {unused} other {units}, a method must be right "
        f"{100 * area:.0f} times to be noticed in 8 of 10 studies: a smaller leak can be there "
        "unseen."
    )


def _attribution(study: Study, finding: Finding, entry: Entry) -> tuple[str, str]:
    title = {
        "found": "Yes: synthetic images show which patients are behind them.",
        "hint": "Unclear: there are hints, but no proof.",
        "clear": "No sign of which subset is behind an image.",
        "invalid": "Cannot be said: a control failed.",
        "note": "",
    }[finding]
    if finding == "found":
        title = "Yes: the training subset behind a synthetic image shows."
    right, sure = hundred(entry, "accuracy")
    text = (
        f"The best method names the right subset of {right} in 100 synthetic images{sure}; "
        f"guessing names {100 * entry.chance:.0f}."
    )
    if finding == "invalid":
        text += f" But {entry.row['invalid_reason']}."
    return title, text


def hundred(entry: Entry, metric: str) -> tuple[str, str]:
    """Write a share as a number in 100 and, in brackets, its interval, or the range of seeds."""
    value, low, high = (entry.number(f"{metric}{end}") for end in ("", "_low", "_high"))
    if value is None:
        return "an unknown number", ""
    if low is None or high is None:
        return f"{100 * value:.0f}", ""
    kind = "95 % interval" if int(entry.row["seeds"]) == 1 else "over seeds"
    return f"{100 * value:.0f}", f" ({kind} {100 * low:.0f} to {100 * high:.0f})"


def _facts(entry: Entry) -> list[tuple[str, str]]:
    together = " (sees all test images together)" if entry.row["transductive"] else ""
    facts = [("method", f"{entry.name}{together}")]
    if entry.p is not None:
        corrected = f", corrected for {entry.tests} runs" if entry.tests > 1 else ""
        facts.append((f"p against chance{corrected}", p_text(entry.p)))
    measured = entry.result.get("test") or {}
    if measured.get("n"):
        facts.append(("test images", f"{measured['n']}"))
    return facts


def p_text(p: float) -> str:
    """Write a p-value; permutations cannot tell less than 1 in 10,000."""
    return "≤ 0.0001" if p < 0.00015 else f"{p:.2g}"


def lead(found: Sequence[tuple[Study, Callout]]) -> str:
    """Sum all studies up in a sentence."""
    sentences = []
    questions = {
        "membership": "Was an image used for training?",
        "attribution": "Which patients are behind an image?",
    }
    for task, question in questions.items():
        kinds = [callout.finding for study, callout in found if study.task == task]
        if not kinds:
            continue
        counts = [
            f"{kinds.count(kind)} {said}"
            for kind, said in (("found", "yes"), ("hint", "unclear"), ("clear", "no sign"),
                               ("invalid", "not valid"), ("note", "without truth"))
            if kind in kinds
        ]  # fmt: skip
        number = "1 study" if len(kinds) == 1 else f"{len(kinds)} studies"
        sentences.append(f"{question} {number}: {', '.join(counts)}.")
    return " ".join(sentences)


def limits() -> Columns:
    """Say what the answers prove and what they do not."""
    return Columns((
        Points("What this shows", (
            "Found: from the images alone, a method told used patients from others (or their "
            "subset) more often than guessing does. The p-value is corrected for all runs of the "
            "study, and controls looked for other explanations.",
            "The numbers hold for these generators, at this number of patients and of "
            "synthetic images.",
        )),
        Points("What this does not show", (
            "No sign found is no proof of privacy. A better attack, more synthetic images, or "
            "access to the generator may find more.",
            "A high score of one image is evidence, not proof, that its patient was used: see the "
            "false alarms.",
            "Names, dates and burnt-in text are another matter: nothing here looks for them.",
        )),
    ))  # fmt: skip
