"""Trained generators kept beside their benchmark, for attacks that look inside."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import OmegaConf
from safetensors.torch import load_file, save_file

from gansfp.build import accepted, instantiate
from gansfp.errors import UserError
from gansfp.forge.generator import GeneratorModule
from gansfp.runtime.files import read_json, write_json

if TYPE_CHECKING:
    import torch

NETWORKS = "networks"
"""Folder of a benchmark that was forged with `keep_networks=true`."""


def write_network(stem: Path, module: GeneratorModule, generator: Any) -> None:
    """Write the weights as `<stem>.safetensors` and how to build the module as `<stem>.json`.

    Args:
        stem: Path without suffix; its folder is made if need be.
        module: Trained; its moving average of the weights is kept too.
        generator: The config node that it was built from.
    """
    stem.parent.mkdir(parents=True, exist_ok=True)
    weights = {name: w.detach().cpu().contiguous() for name, w in module.state_dict().items()}
    save_file(weights, str(stem.with_suffix(".safetensors")))
    node = OmegaConf.to_container(generator, resolve=True)
    facts = {"generator": node, "image_size": module.image_size, "seed": module.seed}
    write_json(stem.with_suffix(".json"), facts)


def read_network(path: str | Path, device: str | torch.device = "cpu") -> GeneratorModule:
    """Build a generator again from what `write_network` wrote.

    Args:
        path: Either of the two files, or their common stem.
        device: Where the module goes.

    Returns:
        The module in evaluation mode.

    Raises:
        UserError: A file is missing, or the two do not fit.
    """
    stem = Path(path).expanduser()
    stem = stem.with_suffix("") if stem.suffix in (".safetensors", ".json") else stem
    facts, weights = read_json(stem.with_suffix(".json")), stem.with_suffix(".safetensors")
    if facts is None or not weights.is_file():
        raise UserError(
            f"{weights}: no such network; gansfp forge keep_networks=true keeps them in "
            f"{NETWORKS}/ of the benchmark"
        )
    known = {"image_size": facts["image_size"], "seed": facts["seed"]}
    module = instantiate(facts["generator"], **accepted(facts["generator"], known))
    if not isinstance(module, GeneratorModule):
        raise UserError(f"{stem}.json: describes no generator")
    try:
        module.load_state_dict(load_file(str(weights)))
    except RuntimeError as error:
        raise UserError(f"{weights}: not the weights of {stem}.json; forge it again") from error
    return module.to(device).eval()
