"""The weights that a configuration asks for, found without building anything."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

ONLINE = "imagenet"
"""The one kind of weights that comes over the network."""


def weights_asked(node: Any) -> Iterator[tuple[str, str]]:
    """Find every backbone of a configuration: a mapping with a `name` and `weights`.

    Args:
        node: A configuration in plain values.

    Yields:
        Name and weights.
    """
    if isinstance(node, dict):
        name, weights = node.get("name"), node.get("weights")
        if isinstance(name, str) and isinstance(weights, str):
            yield name, weights
        node = list(node.values())
    if isinstance(node, list):
        for child in node:
            yield from weights_asked(child)


def fetch(name: str, weights: str) -> None:
    """Load weights once, so that they are in the cache.

    Raises:
        UserError: They cannot be had; the message says what can be chosen instead.
    """
    from gansfp.features.backbones import build_model

    build_model(name, weights)
