"""What two forges are compared by."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path


def digest(folder):
    """All files but the card, whose seconds and host differ from run to run."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in Path(folder).rglob("*")
        if path.is_file() and path.name != "card.json"
    }


def card_of(folder):
    return json.loads((Path(folder) / "card.json").read_text())


def steady(card):
    """The card without what may differ between two runs."""
    generators = {
        name: {key: value for key, value in facts.items() if key != "seconds"}
        for name, facts in card["generators"].items()
    }
    return {
        **{k: v for k, v in card.items() if k not in ("made_with", "tried")},
        "generators": generators,
    }
