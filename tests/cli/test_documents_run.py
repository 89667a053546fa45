"""The commands of README.md and docs/ run one after the other, as written, on small data.

docs/first_hour.md has a test of its own. What needs a cluster runs in tests/slurm, a search or
processes of their own in tests/unit/cluster and tests/slurm; all are composed in tests/configs.
"""

from __future__ import annotations

import re
import runpy
import shlex
import shutil
import sys
from pathlib import Path

import pytest
from reader import give_the_reader_data

from gansfp import cli

ROOT = Path(__file__).parents[2]
ELSEWHERE = (
    "hydra/launcher=", "hydra/sweeper=",   # tests/slurm, tests/unit/cluster
    "source=medmnist",                     # a download: tests/unit/data
    "demo-output",                         # make demo
    "make ", "source .venv", "head -3",    # no command of gansfp
    "method=mine",                         # a method of one's own: first hour
)  # fmt: skip
QUICK = ["evaluator.bootstrap=50", "evaluator.permutations=50"]
SMALL_FORGE = {
    "generator.steps": "2", "card.kid": "false", "source.patients": "30", "source.image_size": "16",
    "source.resize": "16", "benchmark.generated_train": "12", "benchmark.generated_test": "6",
    "benchmark.members": "15", "benchmark.outsiders": "5",
    "benchmark.canaries": "1", "ceilings.factor": "2", "generator": "ddpm_debug",
}  # fmt: skip
FIRST = ["gansfp train experiment=beyond/nearest_pixels data.root=~/imageclef study=first"]
TAKEN_FOR_GRANTED = {"docs/report.md": FIRST, "docs/cluster.md": FIRST}
TRAINED = ("siamese", "pseudo_labels")


def commands(page: str) -> list[str]:
    """Read the commands of a page's console blocks, in order."""
    text = (ROOT / page).read_text()
    blocks = re.findall(r"^```console\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    lines = [line[2:] for block in blocks for line in block.splitlines() if line.startswith("$ ")]
    return [line for line in lines if not any(word in line for word in ELSEWHERE)]


@pytest.mark.parametrize(
    ("page", "count"),
    [
        pytest.param("README.md", 14, marks=pytest.mark.slow),
        pytest.param("docs/audit.md", 3, marks=pytest.mark.slow),
        pytest.param("docs/bank.md", 6, marks=pytest.mark.slow),
        ("docs/cluster.md", 5),
        ("docs/embedded.md", 3),
        pytest.param("docs/forging.md", 5, marks=pytest.mark.slow),
        ("docs/methods.md", 1),
        pytest.param("docs/phantom.md", 2, marks=pytest.mark.slow),
        ("docs/report.md", 2),
    ],
)
def test_the_commands_of_a_page_run_as_written(
    page: str,
    count: int,
    in_folder: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "shipped"))
    lines = commands(page)
    assert len(lines) == count
    truth = give_the_reader_data(Path.home()) / "test/labels.csv"
    shutil.copy(truth, "labels.csv")
    Path("run.csv").write_text(truth.read_text().split("\n", 1)[1])
    for line in [*TAKEN_FOR_GRANTED.get(page, ()), *lines]:
        _run(line, monkeypatch)


def test_every_page_with_commands_is_run() -> None:
    cases = test_the_commands_of_a_page_run_as_written.pytestmark[0].args[1]
    pages = [path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").glob("*.md")]
    wanted = {page for page in ["README.md", *pages] if commands(page)}
    run = {case.values[0] if hasattr(case, "values") else case[0] for case in cases}
    assert wanted - {"docs/first_hour.md"} == run


def _run(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    words = [str(Path(word).expanduser()) if word.startswith("~") else word
             for word in shlex.split(line)]  # fmt: skip
    if words[0] == "python":
        monkeypatch.setattr(sys, "argv", words[1:])
        runpy.run_path(str(ROOT / words[1]), run_name="__main__")
        return
    monkeypatch.setattr(sys, "argv", _small(words))
    cli.main()


def _small(words: list[str]) -> list[str]:
    """Make a command take seconds; what it says stays, but for sizes and the device."""
    words = ["trainer=cpu" if word == "trainer=gpu" else word for word in words]
    command = words[1]
    if command == "train":
        words += QUICK
        if any(name in word for name in TRAINED for word in words):
            words += ["debug=step", "networks.weights=none"]
    if command == "predict":
        (finished,) = Path(words[2]).parent.glob(Path(words[2]).name.rsplit("-", 1)[0] + "-*")
        words[2] = str(finished)
    if command == "forge" and not any(word.startswith("again=") for word in words):
        words = _small_forge(words)
    return words


def _small_forge(words: list[str]) -> list[str]:
    given = dict(word.split("=", 1) for word in words if "=" in word)
    small = {"generator": SMALL_FORGE["generator"]}
    small |= {key: value for key, value in SMALL_FORGE.items() if key in given}
    small |= {key: SMALL_FORGE[key] for key in ("generator.steps", "card.kid")}
    if given.get("generator", "").startswith("gan"):
        small["generator"] = "gan_debug"
        small |= {key: "32" for key in ("source.image_size", "source.resize") if key in given}
        if given.get("source", "folder") == "folder":
            small["source.resize"] = "32"
    if "bank" not in given:
        keys = ("benchmark.generated_train", "benchmark.generated_test")
        small |= {key: SMALL_FORGE[key] for key in keys}
    if given.get("source") == "phantom":
        small = {key: SMALL_FORGE[key] for key in ("source.patients", "source.image_size")} | small
    kept = [word for word in words if word.split("=", 1)[0] not in small]
    return [*kept, *(f"{key}={value}" for key, value in small.items())]
