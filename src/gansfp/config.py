"""What a command's configuration may hold, and the check that it holds nothing else."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

from omegaconf import MISSING, DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

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
    study: str = "default"
    seed: int = 0
    force: bool = False
    truth: str | None = None
    objective: str | None = None
    data: Any = None
    method: Any = None
    decision: Any = None
    evaluator: Any = None
    trainer: Any = None
    callbacks: Any = None
    logger: Any = None


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
class Forge(Base):
    """`gansfp forge`."""

    source: Any = None
    generator: Any = None
    benchmark: Any = None
    trainer: Any = None
    callbacks: Any = None
    output: str = MISSING
    seed: int = 0
    force: bool = False


@dataclass
class Report(Base):
    """`gansfp report`."""

    dir: str = "runs"


SCHEMAS: dict[str, type[Base]] = {
    "inspect": Inspect,
    "train": Train,
    "predict": Predict,
    "score": Score,
    "forge": Forge,
    "report": Report,
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
    known = {item.name for item in fields(schema)}
    for key in config:
        if key not in known and key != "hydra":
            raise UserError(f"{key}: unknown key{suggest(str(key), known)}")
    own = {str(k): config._get_node(k) for k in config if k in known and _is_typed(schema, str(k))}
    try:
        OmegaConf.merge(OmegaConf.structured(schema), OmegaConf.create(own))
    except OmegaConfBaseException as error:
        raise UserError(_reason(error)) from error


def _is_typed(schema: type[Base], key: str) -> bool:
    return next(item for item in fields(schema) if item.name == key).type != "Any"


def _reason(error: OmegaConfBaseException) -> str:
    key = getattr(error, "full_key", None)
    first = str(error).splitlines()[0]
    return f"{key!s}: {first}" if key else first
