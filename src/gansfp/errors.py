"""The one exception that means: the user can mend this."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """A mistake in the input, the configuration or the environment.

    The message is one line that names the file or the key, and the cure. Commands raise it and
    never exit; `gansfp.cli.main` alone turns it into a line on stderr and exit status 2.
    """


def suggest(word: str, choices: Iterable[str]) -> str:
    """Phrase the nearest choice as "; did you mean X?", or nothing where none is near."""
    near = difflib.get_close_matches(word, list(choices), n=1, cutoff=0.6)
    return f"; did you mean {near[0]}?" if near else ""
