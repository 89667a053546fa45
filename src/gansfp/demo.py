"""`make demo`: both tasks from data to leaderboard, through the console script's own commands.

Everything runs in this process, so that torch is imported once; each line that starts with `$` is
a command that can be typed.
"""

from __future__ import annotations

import shlex
import sys
import time
from pathlib import Path

from gansfp.cli import main
from gansfp.data.toy import write_toy_attribution, write_toy_membership

OUTPUT = Path("demo-output")
SEEDS = "0,1"


def demo(output: Path = OUTPUT) -> None:
    """Make the toy benchmarks, run three methods a task on them, print both leaderboards."""
    start = time.monotonic()
    membership, attribution = output / "toy-membership", output / "toy-attribution"
    _say(f"1/4  two toy benchmarks in {output}/ (drawn by a program, not CT: they show the tool)")
    if not membership.exists():
        write_toy_membership(membership)
    if not attribution.exists():
        write_toy_attribution(attribution)
    runs = f"paths.runs={output}/runs"
    _say("2/4  membership: which real images was the generator trained on?")
    _gansfp("train", "-m", "sweep=demo_membership", f"data.root={membership}", runs)
    _gansfp("train", "-m", "experiment=quickstart/membership_siamese", f"seed={SEEDS}",
            f"data.root={membership}", runs)  # fmt: skip
    _say("3/4  attribution: from which training subset does each synthetic image come?")
    _gansfp("train", "-m", "sweep=demo_attribution", f"data.root={attribution}", runs)
    _gansfp("train", "-m", "experiment=quickstart/attribution_siamese", f"seed={SEEDS}",
            f"data.root={attribution}", runs)  # fmt: skip
    _say("4/4  leaderboards")
    _gansfp("report", f"{output}/runs")
    _say(f"done in {time.monotonic() - start:.0f} s")
    _say(
        "\n".join(
            [
                "three commands to try next:",
                "  source .venv/bin/activate",
                f"  gansfp inspect {membership} task=membership",
                "  gansfp train experiment=beyond/pool_ratio_features "
                f"data.root={membership} {runs}",
                "  gansfp train --help",
            ]
        )
    )


def _gansfp(*words: str) -> None:
    command = ["gansfp", *words]
    _say(f"$ {shlex.join(command)}")
    before, sys.argv = sys.argv, command
    try:
        main()
    finally:
        sys.argv = before


def _say(text: str) -> None:
    sys.stdout.write(f"\n{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    demo()
