"""Words Hydra's and OmegaConf's errors for the person at the terminal."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from hydra import compose
from hydra.errors import HydraException, MissingConfigException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from gansfp.errors import UserError, suggest


def reword(error: Exception, command: str, overrides: Sequence[str]) -> UserError | None:
    """Turn a library's error about the configuration into one line with the cure.

    Args:
        error: What was raised.
        command: The command word.
        overrides: What Hydra was given.

    Returns:
        The error to show, or None where this is no mistake in the configuration.
    """
    if isinstance(error, UserError):
        return error
    if not isinstance(error, (HydraException, OmegaConfBaseException)):
        return None
    text = _whole_text(error)
    return UserError(
        _unknown_key(text, command)
        or _unknown_option(error, text)
        or _grammar(text, overrides)
        or text.splitlines()[0]
    )


def _whole_text(error: BaseException | None) -> str:
    parts: list[str] = []
    while error is not None:
        parts.append(str(error))
        error = error.__cause__
    return "\n".join(parts)


def _unknown_key(text: str, command: str) -> str | None:
    found = re.search(
        r"Could not (?:override|append to config|delete from config)[^'\"]*['\"]?([\w./@]+)", text
    )
    found = re.search(r"Could not override '([^']+)'", text) or found
    if not found:
        return None
    key = found.group(1).split("=")[0]
    near = suggest(key, _known_keys(command))
    return f"{key}: unknown key{near} (gansfp {command} --cfg job lists them)"


def _unknown_option(error: Exception, text: str) -> str | None:
    if not isinstance(error, MissingConfigException):
        return None
    found = re.search(r"Could not (?:find|load) '([^']+)'", text)
    name = found.group(1) if found else str(error.missing_cfg_file)
    group, _, option = name.rpartition("/")
    options = [str(o) for o in (error.options or ())]
    if not options and group:
        options = _options(group)
    listed = f" ({', '.join(options)})" if options else ""
    return f"{group}={option}: no such option{suggest(option, options)}{listed}"


def _grammar(text: str, overrides: Sequence[str]) -> str | None:
    found = re.search(r"Error (?:when )?parsing override '([^']*)'", text) or re.search(
        r"(?:mismatched input|no viable alternative|token recognition error|extraneous input)", text
    )
    if not found:
        return None
    word = found.group(1) if found.groups() else (overrides[-1] if overrides else "")
    return f"{word}: cannot be read; put the value in quotes, as in \"key='a value, with signs'\""


def _known_keys(command: str) -> list[str]:
    """List every key of a command's configuration, and its config groups."""
    from hydra import initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    from gansfp.cli import config_folder

    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(config_folder()), version_base="1.3"):
            config = compose(command, return_hydra_config=False)
    except (HydraException, OmegaConfBaseException):
        return []
    groups = [path.name for path in config_folder().iterdir() if path.is_dir()]
    plain: Any = OmegaConf.to_container(config)
    return [*_flatten(plain, ""), *groups]


def _flatten(node: dict[str, Any], path: str) -> Iterator[str]:
    for key, value in node.items():
        full = f"{path}.{key}".lstrip(".")
        yield full
        if isinstance(value, dict):
            yield from _flatten(value, full)


def _options(group: str) -> list[str]:
    from gansfp.cli import config_folder

    folder = config_folder() / group
    return sorted(path.stem for path in folder.glob("*.yaml"))
