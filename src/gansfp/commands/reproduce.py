"""`gansfp reproduce RUN`: the command that made a run, and what has changed since."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gansfp.arguments import to_hydra
from gansfp.ensembles.members import pin_recipes
from gansfp.errors import UserError
from gansfp.runtime.code import running_code
from gansfp.runtime.files import read_json
from gansfp.runtime.provenance import PACKAGES, version
from gansfp.runtime.run import config_hash

if TYPE_CHECKING:
    from omegaconf import DictConfig

WHOLE = "config.yaml in the run folder is the whole configuration"


def run(config: DictConfig) -> None:
    """Print lines for a shell that make a run again; remarks begin with `#`.

    Args:
        config: `conf/reproduce.yaml`, composed and checked: run.

    Raises:
        UserError: The folder is no run, or one that an older gansfp made.
    """
    folder = Path(str(config.run)).absolute()
    facts = read_json(folder / "run.json")
    if not isinstance(facts, dict) or not facts.get("command"):
        raise UserError(f"run={folder}: not a run folder with a command in its run.json")
    command = str(facts["command"])
    lines = [*_code(folder, facts), *_packages(facts), *_environment(facts)]
    lines += [*_composition(command, facts), f"cd {shlex.quote(facts['folder'])}", command]
    sys.stdout.write("\n".join(lines) + "\n")


def _code(folder: Path, facts: dict[str, Any]) -> Iterator[str]:
    """Say how to get the code of the run, where the present one is another."""
    commit, now = facts.get("commit"), running_code()
    if not commit:
        yield f"# gansfp {facts['gansfp']}, not from a git checkout"
        return
    if now.revision == commit["revision"] and now.edited == tuple(commit["edited"]):
        yield f"# the code is at the run's commit, {commit['revision'][:12]}"
        if not commit["edited"]:
            return
    else:
        yield f"git checkout {commit['revision']}    # in the clone of gansfp"
    if (folder / "code.diff").exists():
        yield f"git apply {shlex.quote(str(folder / 'code.diff'))}    # it was edited"


def _packages(facts: dict[str, Any]) -> Iterator[str]:
    then = {"python": facts.get("python"), **facts.get("versions", {})}
    now = {"python": sys.version.split()[0], **{name: version(name) for name in PACKAGES}}
    for name, old in then.items():
        if old is not None and now.get(name) != old:
            yield f"# {name} was {old}, here it is {now.get(name)}"


def _environment(facts: dict[str, Any]) -> Iterator[str]:
    yield f"# made on {facts['host']} ({facts.get('processor')}), {facts['started']}"
    gpus = facts.get("gpus")
    if gpus:
        yield f"# GPUs: {', '.join(gpus)}"
    if facts.get("conf"):
        yield f"export GANSFP_CONF={shlex.quote(facts['conf'])}"


def _composition(command: str, facts: dict[str, Any]) -> Iterator[str]:
    """Compose the command with the present conf/ and compare."""
    stored = facts.get("hash")
    now = _hash_now(shlex.split(command))
    if now is None:
        yield f"# the command does not compose any more; {WHOLE}"
    elif stored and now != stored:
        yield f"# it composes to another configuration now ({now}, then {stored}); {WHOLE}"
    elif stored:
        yield f"# it composes to the run's own configuration ({stored})"


def _hash_now(words: list[str]) -> str | None:
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    from gansfp.cli import config_folder

    _, command, *rest = words
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(config_folder()), version_base="1.3"):
            translated = to_hydra(command, rest)
            config = compose(command, translated)
            pin_recipes(config, [word for word in translated if not word.startswith("hydra")])
            return config_hash(config)
    except (HydraException, OmegaConfBaseException, UserError):
        return None
