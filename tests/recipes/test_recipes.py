"""Every sheet of a published run: against the configuration, and against what is built from it.

A sheet is copied by hand from the source. Its `config` holds keys of the composed configuration,
its `built` attributes of the built `method`, `data` and `decision`. Its `phrases` name, for each
phrase of the source that the recipe lists in `source_phrases`, where it is shown to hold: keys of
`config` or `built`, or a test as `tests/....py::test_name`.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from omegaconf import OmegaConf
from planted import composed

from gansfp import build
from gansfp.evaluation.published import published_run

ROOT = Path(__file__).parents[2]
SHEETS = {
    p.stem: yaml.safe_load(p.read_text()) for p in sorted((ROOT / "tests/recipes").glob("*.yaml"))
}
WALKED = [name for name, sheet in SHEETS.items() if "config" in sheet]


def _built(sheet: dict[str, Any]) -> dict[str, Any]:
    config = composed(sheet["experiment"])
    facts = {
        "task": config.task,
        "image_size": sheet.get("image_size", 256),
        "classes": ["t1", "t2"],
    }
    torch.manual_seed(0)
    method = build.instantiate(config.method, **build.accepted(config.method, facts))
    return {
        "method": method,
        "decision": build.instantiate(config.decision),
        "data": build.instantiate(config.data),
    }


def _reach(thing: Any, path: str) -> Any:
    """Follow a dotted path through attributes, mappings and positions."""
    for step in path.split("."):
        if isinstance(thing, (list, tuple)) or re.fullmatch(r"-?\d+", step):
            thing = thing[int(step)]
        elif isinstance(thing, dict):
            thing = thing[step]
        elif step == "class":
            thing = type(thing).__name__
        else:
            thing = getattr(thing, step)
    return thing


def _plain(value: Any) -> Any:
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value


@pytest.mark.parametrize("name", WALKED)
def test_the_configuration_holds_every_value_of_the_sheet(name: str) -> None:
    sheet = SHEETS[name]
    config = composed(sheet["experiment"])
    assert config.published_run == sheet["run"]
    for key, expected in sheet["config"].items():
        found = OmegaConf.select(config, key, throw_on_missing=True)
        found = OmegaConf.to_container(found) if OmegaConf.is_config(found) else found
        assert found == expected, key


@pytest.mark.parametrize("name", WALKED)
def test_what_is_built_holds_every_value_of_the_sheet(name: str) -> None:
    built = _built(SHEETS[name])
    for path, expected in SHEETS[name]["built"].items():
        assert _plain(_reach(built, path)) == expected, path


@pytest.mark.parametrize("name", WALKED)
def test_every_phrase_of_the_source_is_shown_somewhere(name: str) -> None:
    sheet = SHEETS[name]
    assert list(composed(sheet["experiment"]).source_phrases) == list(sheet["phrases"])
    known = {*sheet["config"], *sheet["built"]}
    for phrase, places in sheet["phrases"].items():
        assert places, phrase
        for place in places:
            if "::" in place:
                file, test = place.split("::")
                assert f"def {test}(" in (ROOT / file).read_text(), place
            else:
                assert place in known, f"{phrase}: {place}"


@pytest.mark.parametrize("name", [name for name in WALKED if SHEETS[name].get("published")])
def test_the_sheets_scores_are_those_of_the_table(name: str) -> None:
    row = published_run(SHEETS[name]["run"])
    assert row is not None
    assert row.printed == SHEETS[name]["published"]
