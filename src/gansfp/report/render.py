"""The one template environment: whatever is put in is escaped."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup


@cache
def environment() -> Environment:
    """Make the environment: autoescape everywhere, a missing value is an error."""
    return Environment(
        loader=PackageLoader("gansfp.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def render(template: str, **values: Any) -> Markup:
    """Fill a template of `templates/`.

    Args:
        template: Its file name.
        values: Texts are escaped; only `Markup`, and parts, go in as they are.
    """
    return Markup(environment().get_template(template).render(**values))


@cache
def asset(name: str) -> Markup:
    """Read a style sheet or script of `templates/`, to be put into a page as it is."""
    return Markup(files("gansfp.report").joinpath("templates", name).read_text(encoding="utf-8"))


def content_hash(text: str) -> str:
    """Name a script or style in a content security policy: its SHA-256."""
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"
