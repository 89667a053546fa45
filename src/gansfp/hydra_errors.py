"""Words Hydra's and OmegaConf's errors for the person at the terminal."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from hydra import compose
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from gansfp.arguments import MULTIRUN
from gansfp.errors import UserError, suggest
from gansfp.jobs import distinct_names

SEARCH = ("hydra/sweeper/optuna", "hydra/sweeper/sampler/tpe")  # they come with the plugin
GROUP_VALUE = "Config group override must be"  # a ValueError of Hydra's own


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
    text = _whole_text(error)
    if not isinstance(error, (HydraException, OmegaConfBaseException)):
        return UserError(_group_value(overrides)) if GROUP_VALUE in text else None
    return UserError(
        _unknown_key(text, command, overrides)
        or _given_twice(text)
        or _unknown_option(error, text)
        or _grammar(error)
        or text.splitlines()[0]
    )


def _whole_text(error: BaseException | None) -> str:
    parts: list[str] = []
    while error is not None:
        parts.append(str(error))
        error = error.__cause__
    return "\n".join(parts)


def _unknown_key(text: str, command: str, overrides: Sequence[str]) -> str | None:
    found = re.search(r"Could not (?:override|delete|delete from config\.) '([^'=]+)", text)
    if not found:
        return None
    key = found.group(1)
    job, name = _job_at_fault(command, overrides)
    near = _near(key, _known_keys(command, [w for w in job or overrides if _key(w) != key]))
    where = f" in {name}" if name else ""
    return f"{key}: unknown key{where}{near} (gansfp {command} --cfg job lists them)"


def _job_at_fault(command: str, overrides: Sequence[str]) -> tuple[list[str], str]:
    """Find the first job of a sweep that does not compose: its overrides, and its name."""
    if not MULTIRUN & set(overrides[:1]):
        return [], ""
    words = [word for word in overrides[1:] if not _key(word).startswith("hydra/")]
    try:
        parsed = OverridesParser.create().parse_overrides(words)
        (jobs,) = BasicSweeper.split_arguments(parsed, None)
    except (HydraException, NotImplementedError):
        return [], ""
    for job, name in zip(jobs, distinct_names(jobs), strict=True):
        try:
            _compose(command, job)
        except (HydraException, OmegaConfBaseException):
            recipe = any(_key(word).partition("@")[0] in _groups() for word in name.split())
            return job, name if len(jobs) > 1 and recipe else ""
    return [], ""


def _near(key: str, known: Sequence[str]) -> str:
    """Suggest a key of the same node, by the last part of its name; else any key."""
    node = key.rpartition(".")[0]
    beside = {k.rpartition(".")[2]: k for k in known if node and k.rpartition(".")[0] == node}
    if not beside:
        return suggest(key, known)
    leaf = key.rpartition(".")[2]
    return suggest(leaf, beside).replace("mean ", f"mean {node}.")


def _given_twice(text: str) -> str | None:
    found = re.search(r"An item is already at '([^']+)'|^(\S+) appears more than once", text)
    if not found:
        return None
    key = found.group(1) or found.group(2)
    return f"{key}: is there already; write {key}=VALUE, once and without a +"


def _unknown_option(error: Exception, text: str) -> str | None:
    if not isinstance(error, MissingConfigException):
        return None
    found = re.search(r"Could not (?:find|load) '([^']+)'", text)
    name = found.group(1) if found else str(error.missing_cfg_file)
    group, _, option = name.rpartition("/")
    options = [str(o) for o in (error.options or ())]
    if not options and group:
        options = _options(group)
    if name in SEARCH:
        return "hydra/sweeper=search: Optuna is not installed; pip install 'gansfp[optuna]'"
    listed = f" ({', '.join(options)})" if options else ""
    return f"{group}={option}: no such option{suggest(option, options)}{listed}"


def _group_value(overrides: Sequence[str]) -> str:
    """Name the overrides that choose from a config group by something else than a name."""
    groups = set(_groups())
    words = [w for w in overrides if _key(w) in groups or w.startswith("=")]
    return f"{' or '.join(words)}: a config group takes the name of an option (or a list of them)"


def _grammar(error: Exception) -> str | None:
    if not isinstance(error, OverrideParseException):
        return None
    quoted = "\"key='a value, with signs'\""
    return f"{error.override}: cannot be read; put the value in quotes, as in {quoted}"


def _key(word: str) -> str:
    return word.partition("=")[0].lstrip("+~")


def _known_keys(command: str, overrides: Sequence[str]) -> list[str]:
    """List every key of the configuration that the other overrides give, and its config groups."""
    for words in ([word for word in overrides if "=" in word], []):
        try:
            plain: Any = OmegaConf.to_container(_compose(command, words))
        except (HydraException, OmegaConfBaseException):
            continue  # a second mistake
        return [*_flatten(plain, ""), *_groups()]
    return []


def _compose(command: str, words: Sequence[str]) -> DictConfig:
    from hydra import initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    from gansfp.cli import config_folder

    GlobalHydra.instance().clear()
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        return compose(command, list(words))


def _groups() -> list[str]:
    from gansfp.cli import config_folder

    return [path.name for path in config_folder().iterdir() if path.is_dir()]


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
