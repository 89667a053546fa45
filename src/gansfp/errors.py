"""The one exception that means: the user can mend this."""

from __future__ import annotations


class UserError(Exception):
    """A mistake in the input, the configuration or the environment.

    The message is one line that names the file or the key, and the cure. Commands raise it and
    never exit; `gansfp.cli.main` alone turns it into a line on stderr and exit status 2.
    """
