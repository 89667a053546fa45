"""What a command's configuration may hold, and the check that it holds nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from omegaconf import MISSING, DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from gansfp.arguments import EMBEDDED
from gansfp.errors import UserError, suggest


@dataclass
class Paths:
    """Where results go."""

    runs: str = "runs"


@dataclass
class Base:
    """Keys that every command has."""

    command: str = MISSING
    trust: list[str] = field(default_factory=list)
    paths: Paths = field(default_factory=Paths)


@dataclass
class Train(Base):
    """`gansfp train`."""

    task: str = MISSING
    experiment_name: str | None = None
    published_run: str | None = None
    source_phrases: list[str] = field(default_factory=list)
    study: str = "default"
    seed: int = 0
    force: bool = False
    truth: str | None = None
    objective: str | None = None
    networks: Any = None
    data: Any = None
    method: Any = None
    decision: Any = None
    evaluator: Any = None
    trainer: Any = None
    callbacks: Any = None
    logger: Any = None


@dataclass
class Ensemble(Train):
    """`gansfp ensemble`: finished runs vote."""


@dataclass
class Predict(Base):
    """`gansfp predict`."""

    run: str = MISSING
    data: Any = None
    decision: Any = None
    output: str | None = None
    submission: Any = None


@dataclass
class Inspect(Base):
    """`gansfp inspect`."""

    task: str = MISSING
    data: Any = None
    output: str | None = None


@dataclass
class Score(Base):
    """`gansfp score`."""

    task: str = MISSING
    truth: str = MISSING
    submission: str = MISSING


@dataclass
class Power(Base):
    """`gansfp power`."""

    used: int = MISSING
    unused: int = MISSING
    kappa: float | None = None
    power: float = 0.8
    alpha: float = 0.05
    tests: int = 1


@dataclass
class Forge(Base):
    """`gansfp forge`."""

    source: Any = None
    generator: Any = None
    benchmark: Any = None
    card: Any = None
    trainer: Any = None
    callbacks: Any = None
    output: str = MISSING
    again: str | None = None
    seed: int = 0
    worker: int | None = None
    keep_networks: bool = False
    force: bool = False


@dataclass
class Attack(Base):
    """`gansfp attack`."""

    bank: str = MISSING
    attacks: list[str] = field(default_factory=list)
    representation: Any = None
    statistic: str = MISSING
    k: int = 1
    labelled: float = 0.3
    exposure: str = MISSING
    audits: int = 10
    q: float = 0.05
    ceilings: Any = None
    seed: int = 0
    output: str = MISSING


@dataclass
class Audit(Base):
    """`gansfp audit`."""

    real: str = MISSING
    synthetic: str = MISSING
    nonmembers: str | None = None
    groups: str | None = None
    canaries: str | None = None
    source: Any = None
    synthetic_source: Any = None
    resize: int | None = None
    attack: Any = None
    q: float = 0.05
    patients: str = "mean"
    filter: bool = False
    plan: bool = False
    pictures: bool = False
    permutations: int = 10_000
    seed: int = 0
    study: str = "audit"
    experiment_name: str = "audit"
    force: bool = False


@dataclass
class Report(Base):
    """`gansfp report`."""

    dir: str = "runs"
    members: bool = False
    output: str | None = None
    figures: bool = False


@dataclass
class Probe(Base):
    """`gansfp probe`."""

    experiment_name: str = "probe"
    study: str = "probe"
    seed: int = 0
    steps: int = 5
    seconds: float = 0.1
    memory: int = 0
    fail: str | None = None
    force: bool = False
    trainer: Any = None


@dataclass
class Status(Base):
    """`gansfp status`."""

    dir: str = "runs"


@dataclass
class Prefetch(Train):
    """`gansfp prefetch`."""


@dataclass
class Reproduce(Base):
    """`gansfp reproduce`."""

    run: str = MISSING


SCHEMAS: dict[str, type[Base]] = {
    "inspect": Inspect,
    "train": Train,
    "ensemble": Ensemble,
    "predict": Predict,
    "score": Score,
    "power": Power,
    "forge": Forge,
    "attack": Attack,
    "audit": Audit,
    "report": Report,
    "probe": Probe,
    "status": Status,
    "prefetch": Prefetch,
    "reproduce": Reproduce,
}


def check(config: DictConfig) -> None:
    """Refuse keys that the command does not know, and values of the wrong type.

    Hydra lets `+key=value` add any key; here an unknown one is an error all the same.

    Args:
        config: The composed configuration of a command.

    Raises:
        UserError: Names the key, and what was probably meant.
    """
    schema = SCHEMAS[str(config.command)]
    _require(config, needs_data=schema in (Train, Ensemble, Inspect))
    known = {item.name for item in fields(schema)}
    for key in config:
        if key not in known and key != "hydra":
            raise UserError(f"{key!s}: unknown key{suggest(str(key), known)}")
    own = {str(k): config._get_node(k) for k in config if k in known and _is_typed(schema, str(k))}
    try:
        OmegaConf.merge(OmegaConf.structured(schema), OmegaConf.create(own))
    except OmegaConfBaseException as error:
        raise UserError(_reason(error)) from error


def _require(config: DictConfig, *, needs_data: bool) -> None:
    """Name every mandatory key that is not set, and a data folder that is not there."""
    places = ("root", "train_dir", "test_dir", "generated_from")
    if needs_data and not any(config.data.get(key) for key in places[:3]):
        raise UserError(
            "data.root is not set: data.root=PATH (a folder with train/ and test/), or "
            f"data.root={EMBEDDED}membership/ddpm_long, which comes with gansfp"
        )
    missing = list(_missing(config, ""))
    if config.get("again"):  # the card names the source
        missing = [key for key in missing if not key.startswith("source.")]
    if missing:
        raise UserError(", ".join(f"{key} is not set: {key}=..." for key in missing))
    for key in places if needs_data else ():
        place = config.data.get(key)
        if place and not place.startswith(EMBEDDED) and not Path(place).expanduser().is_dir():
            raise UserError(f"data.{key}={place}: no such folder")


def _missing(node: DictConfig, path: str) -> Iterator[str]:
    for key in node:
        full = f"{path}.{key!s}".lstrip(".")
        if OmegaConf.is_missing(node, key):
            yield full
        elif isinstance(child := node._get_node(key), DictConfig) and not child._is_none():
            yield from _missing(child, full)


def _is_typed(schema: type[Base], key: str) -> bool:
    return next(item for item in fields(schema) if item.name == key).type != "Any"


def _reason(error: OmegaConfBaseException) -> str:
    key: Any = error.full_key
    first = str(error).splitlines()[0]
    return f"{key}: {first}" if key else first
