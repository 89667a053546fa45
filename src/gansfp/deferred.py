"""Values on the command line of a sweep that only its jobs can take."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gansfp.arguments import PATH_KEYS

if TYPE_CHECKING:
    from hydra.core.override_parser.types import Override

SWEEPER = "hydra/sweeper="
OF_THE_SWEEP = ("hydra.", "paths.")


def left_to_the_jobs(overrides: Sequence[str]) -> list[str]:
    """Keep the values of a sweep out of the configuration that Hydra composes for the sweep itself.

    That one holds no recipe while recipes are swept over, so that `experiment=a,b method.k=3` would
    be refused where the default method has no `k`. A choice of one value goes to the jobs alone,
    which are all composed, and checked, before the first starts.

    Args:
        overrides: As Hydra reads them, with `-m`.

    Returns:
        The same; `key.part=value` has become `key.part=choice(value)`, where the value is not null.
        A sweeper other than Hydra's plain one would take that for a dimension of its search, and is
        left alone.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    if any(word.startswith(SWEEPER) for word in overrides):
        return list(overrides)
    parser = OverridesParser.create()
    deferred = []
    for word in overrides:
        key, _, value = word.partition("=")
        inner = key.lstrip("+")
        if "." not in inner or inner.startswith(("-", "~", *OF_THE_SWEEP)) or inner in PATH_KEYS:
            deferred.append(word)
            continue
        try:
            found = parser.parse_override(word)
            # Hydra's choice() takes no null.
            one = value.strip() != "" and not found.is_sweep_override() and not _is_null(found)
        except HydraException:  # Hydra says so itself
            one = False
        deferred.append(f"{key}=choice({value})" if one else word)
    return deferred


def _is_null(override: Override) -> bool:
    return override.value() is None
