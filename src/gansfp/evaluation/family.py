"""The runs of a study that judge the same images, corrected for being many."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from gansfp.data.embedded import resolve
from gansfp.data.layout import split_folder
from gansfp.errors import UserError
from gansfp.evaluation.metrics import encode
from gansfp.evaluation.multiplicity import accuracy_max_t, kappa_max_t
from gansfp.evaluation.truth import read_truth
from gansfp.runtime.run import Run
from gansfp.tables import read_table, table_classes

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

TRUTH_FILE = "labels.csv"


def corrected_p(
    folders: Sequence[Path], task: Literal["membership", "attribution"] = "membership"
) -> dict[Path, float]:
    """Correct the p-values of runs by max-T, benchmark by benchmark.

    Of kappa for membership, of accuracy for attribution.

    Reads `config.yaml` and the test table of each run, and the truth where the configuration says
    it lies (`truth`, else `labels.csv` in the test folder). Every seed of every experiment is a
    member of the family.

    Args:
        folders: Run folders of one study.
        task: What all of them are about.

    Returns:
        p-value by run folder. Runs that are alone on their images are left out, and those whose
        tables or truth are not there any more, or do not fit each other.
    """
    families: dict[Path, list[tuple[Path, pd.DataFrame]]] = {}
    for folder in folders:
        try:
            truth = truth_path(Run(folder))
            table = read_table(Run(folder).predictions("test")).sort_values("sample_id")
        except (UserError, OSError):
            continue
        if truth is not None and {"sample_id", "group", "decision"} <= set(table.columns):
            families.setdefault(truth, []).append((folder, table))
    corrected: dict[Path, float] = {}
    for truth, runs in families.items():
        if len(runs) > 1:
            corrected |= _correct(truth, runs, task)
    return corrected


def _correct(
    truth: Path, runs: Sequence[tuple[Path, pd.DataFrame]], task: str
) -> dict[Path, float]:
    """Permute the truth under all tables at once."""
    first = runs[0][1]
    names, patients = (first[column].to_numpy().astype(str) for column in ("sample_id", "group"))
    if any(not np.array_equal(table["sample_id"].astype(str), names) for _, table in runs):
        return {}
    groups = patients if (patients != names).any() else None
    tables = [table for _, table in runs]
    try:
        if task == "membership":
            labels = np.array(read_truth(truth, task).of(names)).astype(np.int64)
            decisions = np.stack([table["decision"].to_numpy(np.int64) for table in tables])
            adjusted = kappa_max_t(labels, decisions, groups).adjusted
        else:
            classes = table_classes(tables[0])
            codes = encode(read_truth(truth, task, classes).of(names), classes)
            called = np.stack([encode(table["decision"], classes) for table in tables])
            adjusted = accuracy_max_t(codes, called, len(classes), groups).adjusted
    except (UserError, ValueError):  # a truth or classes that do not fit
        return {}
    return {folder: float(p) for (folder, _), p in zip(runs, adjusted, strict=True)}


def truth_path(run: Run) -> Path | None:
    """Find the truth of a run's test images; None where there is none."""
    config = run.config
    if config.get("truth"):
        path = Path(str(config.truth)).expanduser()
    else:
        data = config.get("data") or {}
        root, test_dir = (resolve(data.get(key)) for key in ("root", "test_dir"))
        path = split_folder("test", root, test_dir) / TRUTH_FILE
    return path.resolve() if path.is_file() else None
