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

OUTPUT = Path("demo-output")
SEEDS = "0,1"
MEMBERSHIP = ("null", "gan", "ddpm_short", "ddpm_long")
LEAKY = "embedded:membership/ddpm_long"
SUBSETS = "embedded:attribution/one_population"


def demo(output: Path = OUTPUT) -> None:
    """Run three methods a task on the embedded benchmarks, print both leaderboards and a page."""
    start = time.monotonic()
    runs = f"paths.runs={output}/runs"
    _say("1/3  membership: which real images was the generator trained on? Four generators.")
    for name in MEMBERSHIP:
        _gansfp("train", "-m", "sweep=demo_membership", f"data.root=embedded:membership/{name}",
                f"study=membership-{name}", runs)  # fmt: skip
    _gansfp("train", "-m", "experiment=quickstart/membership_siamese", f"seed={SEEDS}",
            f"data.root={LEAKY}", "study=membership-ddpm_long", runs)  # fmt: skip
    _say("2/3  attribution: from which training subset does each synthetic image come?")
    _gansfp("train", "-m", "sweep=demo_attribution", f"data.root={SUBSETS}",
            "study=attribution-same_generators", runs)  # fmt: skip
    _gansfp("train", "-m", "sweep=demo_attribution", f"data.root={SUBSETS}",
            f"data.test_dir={SUBSETS}/test_B",
            "study=attribution-other_generators", runs)  # fmt: skip
    _gansfp("train", "-m", "experiment=quickstart/attribution_siamese", f"seed={SEEDS}",
            f"data.root={SUBSETS}", "study=attribution-same_generators", runs)  # fmt: skip
    _say("3/3  leaderboards")
    _gansfp("report", f"{output}/runs")
    _say(f"done in {time.monotonic() - start:.0f} s; look at {output}/runs/report.html")
    _say(
        "\n".join(
            [
                "three commands to try next:",
                "  source .venv/bin/activate",
                f"  gansfp inspect {LEAKY} task=membership",
                f"  gansfp train experiment=beyond/pool_ratio_features data.root={LEAKY} {runs}",
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
