"""What stops an attack: the most that could be read from a generator, in four ways.

1. `discriminator` (GAN): the discriminator's score.
2. `inversion` (GAN), or `loss`, `secmi`, `pia` (DDPM): the generator's network.
3. `<attack>_x100`: the same attack, of the target and of every shadow generator, with 100 times the
   samples: what is in the samples, and more of them would show. A share is a share of this one.
4. `all_labels`: the features of the learned attack, fitted on every label of the target itself and
   scored on the same images: what these features could say with the best weights. `all_labels_cv`
   is the same out of fold.

1 and 2 need the networks that `gansfp forge keep_networks=true` kept; so does 3, which draws.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch

from gansfp.errors import UserError
from gansfp.evaluation.generators import share_of
from gansfp.forge.ddpm import DDPM
from gansfp.forge.networks import NETWORKS, read_network
from gansfp.methods.whitebox.estimator import OF_DIFFUSION, WhiteBoxEstimator
from gansfp.shadows.drawing import distances_to_drawn
from gansfp.shadows.learned import features, fit_logistic, fold_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gansfp.features.representations import Representation
    from gansfp.forge.bank import Bank
    from gansfp.forge.generator import GeneratorModule
    from gansfp.shadows.table import BankTable

    Values = NDArray[np.float64]

log = logging.getLogger(__name__)

OF_GAN = ("discriminator", "inversion")


@dataclass(frozen=True)
class Networks:
    """The networks of a bank's generators.

    Attributes:
        folder: The bank.
        names: Its generators.
        device: Where they run.
    """

    folder: Path
    names: tuple[str, ...]
    device: str

    @classmethod
    def of(cls, folder: str | Path, names: tuple[str, ...], device: str | None = None) -> Networks:
        """Find them all.

        Raises:
            UserError: One is missing.
        """
        root = Path(folder).expanduser()
        for name in names:
            if not (root / NETWORKS / f"{name}.safetensors").is_file():
                raise UserError(
                    f"{root / NETWORKS}: no network of {name}; ceilings need a bank forged with "
                    "keep_networks=true; or set ceilings.enabled=false"
                )
        return cls(root, names, device or ("cuda" if torch.cuda.is_available() else "cpu"))

    def read(self, name: str) -> GeneratorModule:
        """Build one of them."""
        return read_network(self.folder / NETWORKS / name, self.device)


def whitebox_scores(networks: Networks, real: NDArray[np.uint8]) -> dict[str, Values]:
    """Score the real images by each generator's own networks.

    Args:
        networks: Of K generators of one kind.
        real: uint8, shape (n, H, W).

    Returns:
        By score, higher for members, shape (K, n).
    """
    found: dict[str, list[Values]] = {}
    for name in networks.names:
        is_diffusion = isinstance(networks.read(name), DDPM)
        path = str(networks.folder / NETWORKS / name)
        for score in OF_DIFFUSION if is_diffusion else OF_GAN:
            method = WhiteBoxEstimator(path, score, device=networks.device)  # type: ignore[arg-type]
            found.setdefault(score, []).append(method.score_images(real))
        log.info("%s: white-box scores", name)
    return {score: np.stack(rows) for score, rows in found.items()}


def with_more_samples(
    bank: Bank,
    table: BankTable,
    networks: Networks,
    representation: Representation,
    factor: int,
    cache: Path,
    seed: int = 0,
) -> BankTable:
    """Measure the bank again with `factor` times the samples of each generator.

    Args:
        bank: Pixels.
        table: Its distances, whose number of samples is multiplied.
        networks: What draws.
        representation: What is compared.
        factor: How many times the samples.
        cache: Folder of the distances, from which a stopped command goes on.
        seed: Of the samples.
    """
    count = factor * table.samples
    rows = [
        distances_to_drawn(
            bank.real, networks.folder, name, representation, count, cache, networks.device, seed
        )
        for name in table.names
    ]
    return replace(table, distances=np.stack(rows), samples=count)


def all_label_scores(table: BankTable, k: int = 1, seed: int = 0) -> dict[str, Values]:
    """Fit the learned attack's features on all labels of each target.

    Returns:
        `all_labels`, in sample, and `all_labels_cv`, out of fold by patient; shape (K, n).
    """
    count, size = table.membership.shape
    inside, outside = np.zeros((count, size)), np.zeros((count, size))
    for target in range(count):
        x = features(table.case(target, np.zeros(size, dtype=bool), k))
        y = table.membership[target].astype(np.int64)
        inside[target] = fit_logistic(x, y).logits(x)[0]
        fold = fold_of(table.groups, seed)
        for held in range(int(fold.max()) + 1):
            kept = fold != held
            outside[target, ~kept] = fit_logistic(x[kept], y[kept]).logits(x[~kept])[0]
    return {"all_labels": inside, "all_labels_cv": outside}


def shares(measured: pd.DataFrame, factor: int, chance: float = 0.5) -> pd.DataFrame:
    """Say what share of its own ceiling with more samples each attack reaches, in AUROC above 1/2.

    Args:
        measured: Of `measure`, attacks and their `_x<factor>` together.
        factor: How many times the samples.
        chance: Of the AUROC.

    Returns:
        One row an attack: `attack`, `auroc`, `ceiling` (means), `share` with `low` and `high`
        (`gansfp.evaluation.generators.share_of`).
    """
    wide = measured.pivot(index="generator", columns="attack", values="auroc")
    suffix, rows = f"_x{factor}", []
    for name in measured["attack"].unique():
        if f"{name}{suffix}" not in wide:
            continue
        own, top = wide[name].to_numpy(), wide[f"{name}{suffix}"].to_numpy()
        share, low, high = share_of(own, top, chance)
        facts = {"attack": name, "auroc": own.mean(), "ceiling": top.mean()}
        rows.append({**facts, "share": share, "low": low, "high": high})
    return pd.DataFrame(rows)
