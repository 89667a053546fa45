"""`gansfp score`: official metrics of a run file, one JSON object on stdout."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from gansfp.errors import UserError
from gansfp.evaluation.evaluator import score_run_file
from gansfp.evaluation.result import OFFICIAL

if TYPE_CHECKING:
    from omegaconf import DictConfig


def run(config: DictConfig) -> None:
    """Score a run file and print the metrics; nothing else goes to stdout.

    Args:
        config: `conf/score.yaml`, composed and checked: task, truth, submission.

    Raises:
        UserError: The task is unknown, or a file is missing or breaks a rule.
    """
    task = str(config.task)
    if task not in OFFICIAL:
        raise UserError(f"task={task}: expected {' or '.join(OFFICIAL)}")
    result = score_run_file(task, Path(str(config.truth)), Path(str(config.submission)))
    sys.stdout.write(json.dumps(result) + "\n")
