"""The only `instantiate`: builds objects from configs, and from trusted packages alone."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import hydra
from hydra.errors import InstantiationException
from lightning.fabric.utilities.exceptions import MisconfigurationException
from omegaconf import DictConfig, OmegaConf

from gansfp.errors import UserError, suggest

TARGET = "_target_"
HYDRA_KEYS = frozenset({TARGET, "_partial_", "_recursive_", "_convert_", "_args_"})
OWN_PACKAGE = "gansfp"
LIBRARIES = frozenset({"torch", "torchvision", "timm", "torchmetrics", "lightning", "sklearn"})

_trusted: set[str] = set()


def trust(packages: Iterable[str]) -> None:
    """Let configs build objects of further packages.

    Only the command line and the user's own config may call for this; a config that was read back
    from a run folder never reaches here.

    Args:
        packages: Top-level package names.
    """
    _trusted.clear()
    _trusted.update(packages)


def instantiate(node: Any, **extra: Any) -> Any:
    """Build the object that a config node describes.

    Args:
        node: A mapping with `_target_`; nested nodes are built too. None gives None.
        extra: Further arguments of the constructor; they win over the node.

    Returns:
        The object, whose arguments were plain Python values.

    Raises:
        UserError: A target is not trusted, does not exist, takes no such argument, or refuses a
            value.
    """
    if node is None:
        return None
    check_targets(node)
    try:
        return hydra.utils.instantiate(node, _convert_="all", **extra)
    except InstantiationException as error:
        raise _reason(node, error) from error


def _reason(node: Any, error: InstantiationException) -> UserError:
    """Bring out what a constructor said; Hydra wraps it in lines of its own."""
    cause: BaseException = error
    while cause.__cause__ is not None and not isinstance(cause, UserError):
        cause = cause.__cause__
    if isinstance(cause, UserError):
        return cause
    if not isinstance(cause, (ValueError, TypeError, MisconfigurationException)):
        raise error  # no mistake in a value: the traceback is wanted
    where = OmegaConf.is_config(node) and node._get_full_key(None)
    what = str(cause).strip() or type(cause).__name__
    return UserError(f"{where or node[TARGET]}: {what.splitlines()[0]}")


def instantiate_all(nodes: Mapping[str, Any] | None) -> list[Any]:
    """Build every non-null entry of a mapping of nodes, in order: callbacks, loggers."""
    return [instantiate(node) for node in (nodes or {}).values() if node is not None]


def accepted(node: Mapping[str, Any], facts: Mapping[str, Any]) -> dict[str, Any]:
    """Select the facts that a node's constructor takes and that the node leaves open (null)."""
    parameters = inspect.signature(resolve(node[TARGET])).parameters
    return {
        name: value
        for name, value in facts.items()
        if name in parameters and node.get(name) is None
    }


def check_targets(config: Any) -> None:
    """Refuse untrusted targets and arguments that a target does not take.

    Args:
        config: Any config, read whole; nothing in it is built.

    Raises:
        UserError: Names the key, and the argument that was probably meant.
    """
    plain = OmegaConf.to_container(config) if OmegaConf.is_config(config) else config
    for path, node in _target_nodes(plain, ""):
        _check_arguments(path, node, resolve(node[TARGET], path))


def resolve(target: str, path: str = "") -> Callable[..., Any]:
    """Import a target.

    Raises:
        UserError: The package is not trusted, or there is no such object.
    """
    where = f"{path}._target_".lstrip(".")
    package = target.split(".", maxsplit=1)[0]
    if package not in LIBRARIES | _trusted | {OWN_PACKAGE}:
        raise UserError(
            f"{where}={target}: the package {package} is not trusted; add trust=[{package}] to the "
            "command line if it is yours"
        )
    try:
        found: Callable[..., Any] = hydra.utils.get_object(target)
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"{where}={target}: cannot be imported ({reason})") from error
    _refuse_detour(where, target, package, found)
    return found


def _refuse_detour(where: str, target: str, package: str, found: Any) -> None:
    """A trusted module must not lead to what it merely imports, such as `torch.os.system`."""
    home = (getattr(found, "__module__", None) or "").split(".", maxsplit=1)[0]
    related = home == package or (
        package in LIBRARIES and home in {"pytorch_lightning", "lightning"}
    )
    if not related or (package in LIBRARIES and not inspect.isclass(found)):
        raise UserError(
            f"{where}={target}: only classes that {package} itself defines can be built"
        )


def _target_nodes(config: Any, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(config, (dict, DictConfig)):
        if config.get(TARGET) is not None:
            yield path, dict(config)
        for key, value in config.items():
            yield from _target_nodes(value, f"{path}.{key!s}".lstrip("."))
    elif isinstance(config, list):
        for position, value in enumerate(config):
            yield from _target_nodes(value, f"{path}.{position}".lstrip("."))


def _check_arguments(path: str, node: Mapping[str, Any], found: Callable[..., Any]) -> None:
    parameters = inspect.signature(found).parameters
    if any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values()):
        return
    for key in node:
        if key not in HYDRA_KEYS and key not in parameters:
            raise UserError(f"{path}.{key}: unknown key{suggest(str(key), parameters)}")
