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
    lines = [HEADLINES[facts["verdict"]], _asked(facts)]
    if facts["exact_copies"]:
        pair = facts["exact_copies"][0]
        lines.append(
            f"{_count(len(facts['exact_copies']), 'synthetic image')} equal a real one pixel by "
            f"pixel, such as {pair['synthetic']} ({pair['real']})."
        )
    if "set" not in facts:
        return [*lines, *_without_nonmembers(facts)]
    lines += [_whole(facts), *_who(facts), _power(facts), *_warnings(facts)]
    if "canaries" in facts:
        lines.append(_canaries(facts["canaries"]))
    if "filter" in facts:
        lines += _filter(facts["filter"])
    return lines


def _asked(facts: dict[str, Any]) -> str:
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


def _whole(facts: dict[str, Any]) -> str:
    found = facts["set"]
    share, unit = found["share"], facts["exposure"]["unit"]
    if found["p"] <= 0.05:
        what = "The used images are nearer to the synthetic ones than chance allows"
    else:
        what = "The used images are not nearer to the synthetic ones than chance allows"
    return (
        f"{what} (p {_p(found['p'])}). A used {unit} is nearer than one that was not used "
        f"{found['auroc']['value']:.0%} of the time (95 % interval {_range(found['auroc'])}; chance "
        f"50 %). Visibly given away: an estimated {share['value']:.0%} of the used {unit}s, "
        f"at least {share['low']:.0%}."
    )


def _who(facts: dict[str, Any]) -> list[str]:
    exposure = facts["exposure"]
    unit, called = exposure["unit"], exposure["called"]
    if not called:
        return [f"No single {unit} can be named at a false discovery rate of {exposure['q']:.0%}."]
    lines = [
        f"Exposed at a false discovery rate of {exposure['q']:.0%}: {called} of "
        f"{_count(exposure['tested'], unit)}; of these, on average at most {exposure['q']:.0%} are "
        "named wrongly."
    ]
    for row in exposure["exposed"][:SHOWN]:
        pair = row["nearest"]
        lines.append(
            f"  {row['patient']}: {pair['synthetic']} is near {pair['real']} (correlation "
            f"{pair['correlation']:.3f}, p {_p(row['p'])})"
        )
    if called > SHOWN:
        lines.append(f"  and {called - SHOWN} more in audit.json")
    return lines


def _power(facts: dict[str, Any]) -> str:
    exposure, power = facts["exposure"], facts["power"]
    unit, fewest, planted = exposure["unit"], exposure["fewest_calls"], power["planted"]
    text = (
        f"What could be seen: with {_count(exposure['nonmembers'], f'{unit}')} not used and "
        f"{exposure['tested']} asked about, nobody can be named unless {fewest} stand out together."
        if fewest > 1
        else f"What could be seen: with {_count(exposure['nonmembers'], f'{unit}')} not used, a "
        f"single {unit} can be named."
    )
    if fewest > exposure["tested"]:
        return text + f" That is more than there are: more {unit}s that were not used are needed."
    smallest = planted["smallest"]
    measured = (
        f" Slightly changed copies (noise {planted['noise']:g} grey levels, shift up to "
        f"{planted['shift']} pixel) were planted as a trial: "
    )
    measured += (
        f"from {smallest} on, 80 % or more of such {unit}s are named."
        if smallest is not None
        else f"not even of {planted['counts'][-1]} were 80 % named."
        if planted["counts"]
        else f"none could be, too few {unit}s are left."
    )
    area = power["smallest_auroc"]
    weak = (
        ""
        if area is None
        else (
            f" A leak of everybody by a little is seen (in 4 of 5 cases) from {area:.0%} on, where "
            "chance is 50 %."
        )
    )
    return text + measured + weak


def _warnings(facts: dict[str, Any]) -> list[str]:
    lines = []
    comparable, found, exposure = facts["comparable"], facts["set"], facts["exposure"]
    if comparable is not None and not comparable["low"] <= 0.5 <= comparable["high"]:
        lines.append(
            "WARNING: used and not used images differ in themselves: without any synthetic image "
            f"they are told apart {comparable['value']:.0%} of the time (95 % interval "
            f"{_range(comparable)}). What is said above may come from that; find non-members of the "
            "same origin."
        )
    if found["reverse_p"] <= 0.05:
        lines.append(
            "WARNING: images that were not used are nearer to the synthetic ones than used ones "
            f"(p {_p(found['reverse_p'])}). The two sets differ in something else than their use, or "
            "the set was filtered before."
        )
    if exposure["combine"] == "max" and not exposure["equal_sizes"]:
        lines.append(
            "WARNING: patients=max, but patients have different numbers of images: more images have "
            "a higher maximum by chance. Give each the same number, or take patients=mean."
        )
    return lines


def _canaries(facts: dict[str, Any]) -> str:
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


def _filter(facts: dict[str, Any]) -> list[str]:
    before, after = facts["before"], facts["after"]
    lines = [
        f"Filter: {facts['removed']} synthetic images are held back for the sake of "
        f"{facts['protected']} exposed; {facts['kept']} remain (kept.csv). "
        f"{facts['deciding_nonmembers']} non-members chose them. To the {facts['judging_nonmembers']} "
        f"others the set shows p {_p(before['p'])} and {before['called']} exposed before, "
        f"p {_p(after['p'])} and {after['called']} after.",
        "What this proves: that this attack no longer tells the used from the others, as far as so "
        "many non-members can show. It does not prove that another attack could not.",
    ]
    if after["reverse_p"] <= 0.05:
        lines.append(
            "WARNING: after the filter, used images are farther from the synthetic ones than others "
            f"(p {_p(after['reverse_p'])}): what was removed can be seen by its absence."
        )
    return lines


def _without_nonmembers(facts: dict[str, Any]) -> list[str]:
    found = facts["description"]
    return [
        "Distances alone prove nothing: an image of a common anatomy is near to everything. Without "
        "comparable images that were NOT used there is no p-value, no error rate, no share of exposed "
        "patients and no power. Give nonmembers=DIR: 1,000 images allow to name 10 of 500 patients, "
        "100 images only 100 of 500 at once.",
        f"Description only: {found['near_copies']} synthetic images are near copies "
        f"({found['rule']}), of {_count(found['copied_patients'], 'patient or image', 'patients or images')}. "
        f"{found['nearer_than_real_neighbour']:.0%} of the synthetic images are nearer to a real one than "
        "that one is to any other patient. Median distance from a synthetic image to the nearest real "
        f"one {found['distances']['synthetic_to_real']['median']:.3f}, among real images "
        f"{found['distances']['real_to_real']['median']:.3f}, among synthetic ones "
        f"{found['distances']['synthetic_to_synthetic']['median']:.3f}.",
        "No near copy is no proof of safety.",
    ]


def _count(number: int, noun: str, plural: str | None = None) -> str:
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def _p(value: float) -> str:
    return f"{value:.2g}"


def _range(interval: dict[str, float]) -> str:
    return f"{interval['low']:.0%} to {interval['high']:.0%}"
