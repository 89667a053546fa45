"""An audit in plain words: the lines that the terminal and the page show."""

from __future__ import annotations

from typing import Any

HEADLINES = {
    "copies": "This set LEAKS: it holds exact copies of real images.",
    "leak": "This set LEAKS.",
    "no_leak_seen": "No leak was seen. What could have been seen is below.",
    "inconclusive": "NOTHING CAN BE CONCLUDED: there are no non-members to compare with.",
}
SHOWN = 10


def summarise(facts: dict[str, Any]) -> list[str]:
    """Write an audit down in plain words, a paragraph a line.

    Args:
        facts: What `audit.json` holds.
    """
    lines = [HEADLINES[facts["verdict"]], asked(facts)]
    if facts["exact_copies"]:
        pair = facts["exact_copies"][0]
        lines.append(
            f"{_count(len(facts['exact_copies']), 'synthetic image')} equal a real one pixel by "
            f"pixel, such as {pair['synthetic']} ({pair['real']})."
        )
    if "set" not in facts:
        return [*lines, *without_nonmembers(facts)]
    lines += [whole(facts), named(facts), *examples(facts), power(facts), *warnings(facts)]
    if "canaries" in facts:
        lines.append(canaries(facts["canaries"]))
    if "filter" in facts:
        lines += filtering(facts["filter"])
    return lines


def asked(facts: dict[str, Any]) -> str:
    """Say what was compared with what."""
    inputs = facts["inputs"]
    known = "" if inputs["patients_known"] else " (patients not known: each image counts as one)"
    others = inputs["nonmembers"]
    compared = (
        "" if others is None else f", compared with {_size(others, inputs)} that were not used"
    )
    return (
        f"Asked about {_size(inputs['real'], inputs)} that were used{compared}; "
        f"{_count(inputs['synthetic']['images'], 'synthetic image')}{known}."
    )


def _size(images: dict[str, Any], inputs: dict[str, Any]) -> str:
    counted = _count(images["images"], "image")
    return (
        f"{counted} of {_count(images['patients'], 'patient')}"
        if inputs["patients_known"]
        else counted
    )


def whole(facts: dict[str, Any]) -> str:
    """Say whether the set as a whole leaks, and for how many."""
    found = facts["set"]
    share, unit = found["share"], facts["exposure"]["unit"]
    if found["p"] <= 0.05:
        what = "The used images are nearer to the synthetic ones than chance allows"
    else:
        what = "The used images are not nearer to the synthetic ones than chance allows"
    return (
        f"{what} (p {p_text(found['p'])}). A used {unit} is nearer than one that was not used "
        f"{found['auroc']['value']:.0%} of the time (95 % interval {_range(found['auroc'])}; "
        f"chance 50 %). Visibly given away: an estimated {share['value']:.0%} of the used {unit}s, "
        f"at least {share['low']:.0%}."
    )


def named(facts: dict[str, Any]) -> str:
    """Say how many are called exposed, and how often wrongly."""
    exposure = facts["exposure"]
    unit, called, q = exposure["unit"], exposure["called"], exposure["q"]
    if not called:
        return f"No single {unit} can be named at a false discovery rate of {q:.0%}."
    return (
        f"Exposed at a false discovery rate of {q:.0%}: {called} of "
        f"{_count(exposure['tested'], unit)}. On average at most {q:.0%} of such names are wrong."
    )


def examples(facts: dict[str, Any]) -> list[str]:
    """Name those who stand out most, each with the nearest synthetic image."""
    exposed = facts["exposure"]["exposed"]
    lines = [
        f"  {row['patient']}: {row['nearest']['synthetic']} is near {row['nearest']['real']} "
        f"(correlation {row['nearest']['correlation']:.3f}, p {p_text(row['p'])})"
        for row in exposed[:SHOWN]
    ]
    more = len(exposed) - SHOWN
    return lines if more <= 0 else [*lines, f"  and {more} more in audit.json"]


def power(facts: dict[str, Any]) -> str:
    """Say what could have been seen."""
    return " ".join([_least(facts), *_measured(facts)])


def _least(facts: dict[str, Any]) -> str:
    exposure = facts["exposure"]
    unit, fewest = exposure["unit"], exposure["fewest_calls"]
    known = f"What could be seen: with {_count(exposure['nonmembers'], unit)} not used"
    if fewest == 1:
        return f"{known}, a single {unit} can be named."
    text = f"{known} and {exposure['tested']} asked about, nobody can be named unless {fewest} "
    if fewest > exposure["tested"]:
        return f"{text}stand out together, more than there are: more that were not used are needed."
    return f"{text}stand out together."


def _measured(facts: dict[str, Any]) -> list[str]:
    unit, found = facts["exposure"]["unit"], facts["power"]
    planted, area = found["planted"], found["smallest_auroc"]
    lines = []
    if planted["counts"]:
        outcome = (
            f"not even of {planted['counts'][-1]} were 80 % named."
            if planted["smallest"] is None
            else f"from {planted['smallest']} on, 80 % or more of the {unit}s are named."
        )
        lines.append(
            f"Copies with noise ({planted['noise']:g} of 255 grey levels) and a shift of up to "
            f"{planted['shift']} pixel were planted as a trial: {outcome}"
        )
    if area is not None:
        lines.append(
            f"A leak of everybody by a little is seen in 4 of 5 cases from {area:.0%} on, where "
            "chance is 50 %."
        )
    return lines


def warnings(facts: dict[str, Any]) -> list[str]:
    """Say what speaks against trusting the audit."""
    lines = []
    comparable, found, exposure = facts["comparable"], facts["set"], facts["exposure"]
    if comparable is not None and not comparable["low"] <= 0.5 <= comparable["high"]:
        lines.append(
            "WARNING: used and not used images differ in themselves: without any synthetic image "
            f"they are told apart {comparable['value']:.0%} of the time (95 % interval "
            f"{_range(comparable)}). What is said above may come from that; find non-members of "
            "the same origin."
        )
    if found["reverse_p"] <= 0.05:
        lines.append(
            "WARNING: images that were not used are nearer to the synthetic ones than used ones "
            f"(p {p_text(found['reverse_p'])}). The two sets differ in something else than "
            "their use, or the set was filtered before."
        )
    if exposure["combine"] == "max" and not exposure["equal_sizes"]:
        lines.append(
            "WARNING: patients=max, but patients have different numbers of images: more images "
            "have a higher maximum by chance. Give each the same number, or take patients=mean."
        )
    return lines


def canaries(facts: dict[str, Any]) -> str:
    """Say how many marked images were found."""
    recall = facts["recall"]
    text = (
        f"Canaries: {facts['called']} of {facts['canaries']} are named (95 % interval "
        f"{_range(recall)})"
    )
    if facts["controls"]:
        text += (
            f"; {facts['above_controls']} score above each of {facts['controls']} marked controls"
        )
    return text + "."


def filtering(facts: dict[str, Any]) -> list[str]:
    """Say what a filter removed, and what the others see of the rest."""
    before, after = facts["before"], facts["after"]
    lines = [
        f"Filter: {facts['removed']} synthetic images are held back for the sake of "
        f"{facts['protected']} exposed; {facts['kept']} remain (kept.csv). "
        f"{facts['deciding_nonmembers']} non-members chose them. To the "
        f"{facts['judging_nonmembers']} others the set shows p {p_text(before['p'])} and "
        f"{before['called']} exposed before, "
        f"p {p_text(after['p'])} and {after['called']} after.",
        "What this proves: that this attack no longer tells the used from the others, as far as so "
        "many non-members can show. It does not prove that another attack could not.",
    ]
    if after["reverse_p"] <= 0.05:
        lines.append(
            "WARNING: after the filter, used images are farther from the synthetic ones than "
            f"others (p {p_text(after['reverse_p'])}): what was removed can be seen by its absence."
        )
    return lines


def without_nonmembers(facts: dict[str, Any]) -> list[str]:
    """Say what cannot be concluded, and describe what there is."""
    return [
        "Distances alone prove nothing: an image of common anatomy is near to everything. Without "
        "comparable images that were NOT used there is no p-value, no error rate, no share of "
        "exposed patients and no power. Give nonmembers=DIR; with 1,000 of them 10 exposed of 500 "
        "can be named, with 100 of them only 100 of 500 at once.",
        *described(facts),
        "That no near copy is found does not prove that the set is safe.",
    ]


def described(facts: dict[str, Any]) -> list[str]:
    """Describe how near the synthetic images come; no test."""
    found = facts["description"]
    medians = {name: values["median"] for name, values in found["distances"].items()}
    return [
        f"Description only: {_count(found['near_copies'], 'synthetic image')} are near copies "
        f"({found['rule']}), of {_count(found['copied_patients'], 'patient')} (or image, where no "
        f"patients are known). {found['nearer_than_real_neighbour']:.0%} of the synthetic images "
        "are nearer to a real one than that one is to any other patient. Median nearest distance: "
        f"synthetic to real {medians['synthetic_to_real']:.3f}, among real "
        f"{medians['real_to_real']:.3f}, among synthetic {medians['synthetic_to_synthetic']:.3f}.",
    ]


def _count(number: int, noun: str, plural: str | None = None) -> str:
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def p_text(value: float) -> str:
    """Write a p-value."""
    return f"{value:.2g}"


def _range(interval: dict[str, float]) -> str:
    return f"{interval['low']:.0%} to {interval['high']:.0%}"
