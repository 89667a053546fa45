"""The one place that finds a network's weights: in timm's hub, in packages, in a file."""

from __future__ import annotations

import difflib
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import timm
import torch

from gansfp.errors import UserError
from gansfp.features import hub
from gansfp.features.lite import lite_state_dict

if TYPE_CHECKING:
    from torch import Tensor, nn

CHOICES = "weights=lite (EfficientNet-Lite 0/1/2, no download), none, or the path of a file"


def build_model(
    name: str, weights: str | Path, seed: int = 0, num_classes: int = 1000
) -> nn.Module:
    """Build a timm model with its weights, head included, for fine-tuning or feature extraction.

    Args:
        name: A timm model.
        weights: `lite` (EfficientNet-Lite 0/1/2 from Python packages), `imagenet` (timm's hub),
            `none` (random), or a .safetensors file or a file that `torch.load(weights_only=True)`
            reads.
        seed: Seed of random weights; the global generator is left alone.
        num_classes: Outputs of the head; a head of another size than that of the weights is random.

    Raises:
        UserError: The name is unknown, or the weights cannot be had or do not fit.
    """
    _check_name(name)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if str(weights) == "imagenet":
            return _from_hub(name, num_classes)
        model: Any = _create(name)
        if str(weights) == "lite":
            model.load_state_dict(lite_state_dict(name, model), strict=True)
        elif str(weights) != "none":
            _load_file(model, name, Path(weights).expanduser())
        if num_classes != model.num_classes:
            model.reset_classifier(num_classes)
        return model  # type: ignore[no-any-return]


def feature_count(model: Any) -> int:
    """Count the pooled features of a timm model."""
    # A few networks widen after pooling, inside the head that stays.
    return int(getattr(model, "head_hidden_size", None) or model.num_features)


def weights_hash(module: nn.Module) -> str:
    """Hash names, shapes and values of all parameters and buffers: 16 hex digits."""
    digest = hashlib.sha256()
    for key, tensor in sorted(module.state_dict().items()):
        digest.update(f"{key}{tuple(tensor.shape)}{tensor.dtype}".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()[:16]


def _check_name(name: str) -> None:
    if timm.is_model(name):
        return
    near = difflib.get_close_matches(name, timm.list_models(), n=3, cutoff=0.5)
    hint = f"did you mean {', '.join(near)}?" if near else "timm.list_models() names them all"
    raise UserError(f"backbone {name!r} is not a timm model: {hint}")


def _create(name: str, **options: object) -> nn.Module:
    try:
        return timm.create_model(name, **options)  # type: ignore[no-any-return]
    except RuntimeError as error:  # an unknown tag, or a model that has no weights
        raise UserError(f"backbone {name}: {error}") from error


def _from_hub(name: str, num_classes: int) -> nn.Module:
    with hub.offline():  # a file that is in the cache needs no network at all
        try:
            return _create(name, pretrained=True, num_classes=num_classes)
        except OSError as error:
            cause: BaseException = error
    if hub.is_offline():
        raise _unavailable(name, "HF_HUB_OFFLINE is set and the cache lacks them") from cause
    if problem := hub.connection_problem():
        raise _unavailable(name, problem) from cause
    try:
        return _create(name, pretrained=True, num_classes=num_classes)
    except OSError as error:
        raise _unavailable(name, str(error).splitlines()[0]) from error


def _unavailable(name: str, cause: str) -> UserError:
    return UserError(
        f"weights=imagenet: those of {name} cannot be fetched ({cause}): choose {CHOICES}"
    )


def _load_file(model: Any, name: str, path: Path) -> None:
    if not path.is_file():
        raise UserError(f"weights={path}: no such file: choose {CHOICES}, or imagenet")
    try:
        state = _read_state(path)
    except Exception as error:  # unpicklers raise anything on a file that is not theirs
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(
            f"{path}: not a safetensors file, nor one that torch reads with weights_only ({reason})"
        ) from error
    head = f"{model.pretrained_cfg['classifier']}."
    expected = model.state_dict()
    state = {
        key: value
        for key, value in state.items()
        if not (key.startswith(head) and key in expected and value.shape != expected[key].shape)
    }
    missing, unexpected = _load_matching(model, state, path, name)
    missing = [key for key in missing if not key.startswith(head)]
    if missing or unexpected:
        raise UserError(
            f"{path}: not weights of {name}: {len(missing)} missing and {len(unexpected)} unknown "
            f"entries, for instance {(missing + unexpected)[0]}"
        )


def _load_matching(
    model: nn.Module, state: dict[str, Tensor], path: Path, name: str
) -> tuple[list[str], list[str]]:
    try:
        result = model.load_state_dict(state, strict=False)
    except RuntimeError as error:
        raise UserError(
            f"{path}: shapes do not fit {name}: {str(error).splitlines()[-1]}"
        ) from error
    return list(result.missing_keys), list(result.unexpected_keys)


def _read_state(path: Path) -> dict[str, Tensor]:
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        return dict(load_file(path))
    content = torch.load(path, map_location="cpu", weights_only=True)
    for key in ("state_dict", "model"):
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict) or not all(torch.is_tensor(v) for v in content.values()):
        raise ValueError("it holds no state dict")
    return {key.removeprefix("module."): value for key, value in content.items()}
