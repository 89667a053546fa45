"""`gansfp attack`: shadow attacks on each generator of a bank, with intervals over generators."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from gansfp import build
from gansfp.errors import UserError
from gansfp.forge.bank import read_bank
from gansfp.runtime import settings
from gansfp.runtime.files import write_json
from gansfp.runtime.provenance import provenance
from gansfp.runtime.run import make_writable
from gansfp.shadows.attacks import ATTACKS
from gansfp.shadows.distances import DEPTH
from gansfp.shadows.leave_one_out import Outcome, compare, leave_one_out, measure, summarise
from gansfp.shadows.patients import alarm_rate, null_audits, vulnerability
from gansfp.shadows.statistic import NEAREST, check_statistic
from gansfp.shadows.table import BankTable, measured

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from gansfp.features.representations import Representation
    from gansfp.forge.bank import Bank

log = logging.getLogger(__name__)

DISTANCES = "distances.npz"


def run(config: DictConfig) -> None:
    """Attack a bank; distances that were measured before are not measured again.

    Args:
        config: `conf/attack.yaml`, composed and checked.

    Raises:
        UserError: The bank cannot be read, is too small, or lacks its networks.
    """
    settings.prepare()
    build.trust(config.trust)
    build.check_targets(config)
    _check(config)
    folder = Path(config.output).expanduser()
    make_writable(folder)
    bank = read_bank(config.bank)
    representation: Representation = build.instantiate(config.representation)
    table = measured(bank, representation, folder / DISTANCES, config.statistic, config.k)
    attacks = [str(name) for name in config.attacks]
    outcome = leave_one_out(table, attacks, config.labelled, config.k, config.seed)
    by_generator = measure(table, outcome)
    _write(folder / "results.csv", summarise(by_generator))
    _write(folder / "differences.csv", compare(by_generator))
    _people(config, folder, bank, table, outcome)
    rows = [by_generator]
    if config.ceilings.enabled:
        rows.append(_ceilings(config, folder, bank, table))
    _write(folder / "generators.csv", pd.concat(rows, ignore_index=True))
    facts = {"bank": str(config.bank), "generators": len(table.names), "samples": table.samples}
    patients = int(table.groups.max()) + 1
    facts |= {"patients": patients, "images": len(table.groups), "k": config.k}
    facts |= {"statistic": config.statistic}
    facts |= {"labelled": config.labelled, "representation": representation.spec()}
    write_json(folder / "attack.json", {**facts, "seed": config.seed, "made_with": provenance()})
    log.info("%s\ntables in %s", _text(summarise(pd.concat(rows))), folder)


def _check(config: DictConfig) -> None:
    if not config.attacks:
        raise UserError(f"attacks: is empty; choose {', '.join(ATTACKS)}")
    if config.exposure not in config.attacks:
        raise UserError(f"exposure={config.exposure}: must be one of attacks")
    check_statistic("statistic", config.statistic)
    if config.statistic != NEAREST and config.ceilings.enabled:
        raise UserError(f"statistic={config.statistic}: ceilings are of statistic=nearest")
    if config.k > DEPTH and config.statistic == NEAREST:
        raise UserError(f"k={config.k}: at most {DEPTH} neighbours with statistic=nearest")
    if not 0 < config.labelled < 1:
        raise UserError(f"labelled={config.labelled}: a share between 0 and 1")
    if not 0 < config.q < 1:
        raise UserError(f"q={config.q}: a false discovery rate lies between 0 and 1")
    if config.ceilings.generators is not None and config.ceilings.generators < 2:
        raise UserError(f"ceilings.generators={config.ceilings.generators}: must be at least 2")
    if config.ceilings.factor < 2:
        raise UserError(f"ceilings.factor={config.ceilings.factor}: must be at least 2")


def _people(
    config: DictConfig, folder: Path, bank: Bank, table: BankTable, outcome: Outcome
) -> None:
    """Write who is exposed, and how often an audit of non-members flags anyone."""
    scores = outcome.scores[config.exposure]
    exposed = vulnerability(table, scores, bank.groups)
    _write(folder / "patients.csv", exposed)
    audits = null_audits(table, scores, config.audits, config.q, seed=config.seed)
    _write(folder / "null_audits.csv", audits)
    log.info(
        "%s: %d of %d patients exposed at false discovery rate %g",
        config.exposure, (exposed["q"] <= config.q).sum(), len(exposed), config.q,
    )  # fmt: skip
    if (audits["fewest"] > audits["candidates"]).any():
        log.info("null audits say nothing: so few patients could never be flagged at this rate")
    else:
        log.info(
            "%d of %d null audits flag anyone (%.3f [%.3f, %.3f], clustered by generator)",
            (audits["flagged"] > 0).sum(), len(audits), *alarm_rate(audits),
        )  # fmt: skip


def _ceilings(config: DictConfig, folder: Path, bank: Bank, table: BankTable) -> pd.DataFrame:
    """Measure the four ceilings, write them and the shares; returns their rows by generator.

    Of a bank of the first generators alone where so configured, also the attacks that are compared.
    """
    from gansfp.shadows import ceilings

    table = table.first(config.ceilings.generators or len(table.names))
    networks = ceilings.Networks.of(config.bank, table.names, config.ceilings.device)
    representation: Representation = build.instantiate(config.representation)
    factor = int(config.ceilings.factor)
    more = ceilings.with_more_samples(
        bank, table, networks, representation, factor, folder / f"x{factor}", config.seed
    )
    attacks = [str(name) for name in config.attacks]
    own, again = (
        leave_one_out(one, attacks, config.labelled, config.k, config.seed) for one in (table, more)
    )
    found = ceilings.whitebox_scores(networks, bank.real)
    found |= {f"{name}_x{factor}": scores for name, scores in again.scores.items()}
    found |= ceilings.all_label_scores(table, config.k, config.seed)
    rows = measure(table, Outcome(found, own.labelled))
    _write(folder / "ceilings.csv", summarise(rows))
    together = pd.concat([measure(table, own), rows], ignore_index=True)
    _write(folder / "shares.csv", ceilings.shares(together, factor))
    return rows


def _write(path: Path, frame: pd.DataFrame) -> None:
    frame.to_csv(path, index=False, float_format="%.6g")


def _text(summary: pd.DataFrame) -> str:
    """Lay AUROC and kappa out, one line an attack."""
    wide = summary.set_index(["attack", "metric"])
    lines = [f"{'attack':<20} {'AUROC over generators':<27} kappa"]
    for name in summary["attack"].unique():
        cells = [_cell(wide.loc[(name, metric)]) for metric in ("auroc", "kappa")]
        lines.append(f"{name:<20} {cells[0]:<27} {cells[1]}")
    return "\n".join(lines)


def _cell(row: pd.Series) -> str:
    value, low, high = (float(np.asarray(row[key])) for key in ("value", "low", "high"))
    return f"{value:.3f} [{low:.3f}, {high:.3f}]"
