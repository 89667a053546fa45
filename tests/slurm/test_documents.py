"""What the README and the documents say of clusters, run as it stands there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from toy import write_toy_membership

from .conftest import Console

pytestmark = pytest.mark.slurm

ROOT = Path(__file__).parents[2]
OURS = ["hydra.launcher.dirty=true"]  # a checkout that is worked on


def commands(document: str, heading: str) -> list[list[str]]:
    """Collect the gansfp commands below a heading."""
    text = (ROOT / document).read_text("utf-8")
    (part,) = re.findall(rf"^#+ {heading}\n(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE)
    lines = re.findall(r"^\$ gansfp (.*)$", part, re.MULTILINE)
    return [shlex.split(line) for line in lines]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "home"
    write_toy_membership(folder / "imageclef")
    monkeypatch.setenv("HOME", str(folder))
    return folder


def test_the_readme_on_a_cluster(gansfp: Console, home: Path) -> None:
    given = commands("README.md", "On a cluster")
    assert len(given) >= 3
    for words in given:
        launched = any(word.startswith("hydra/launcher=") for word in words)
        said = gansfp(*words, *(OURS if launched else []))
    assert given[-1][0] == "status"
    assert "3 finished" in said
    assert "membership, by kappa" in said


def test_a_cluster_of_ones_own_is_a_file_outside_the_clone(gansfp: Console, home: Path) -> None:
    text = (ROOT / "docs" / "cluster.md").read_text("utf-8")
    (own,) = re.findall(r"```yaml\n(defaults:\n  - slurm.*?)```", text, re.DOTALL)
    there = {
        "partition: gpu": "partition: debug",
        "account: radiology": "account: null",
        "memory: 32G": "memory: 300",
        "module load cuda/12.4": "export CLUSTER=mine",
    }
    for line, ours in there.items():
        assert line in own
        own = own.replace(line, ours)
    path = home / ".config" / "gansfp" / "hydra" / "launcher" / "mycluster.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(own)
    # The GPU of the file is asked for by jobs that want one, and there is none here.
    said = gansfp("probe", "hydra/launcher=mycluster", *OURS, "trainer.accelerator=gpu", status=2)
    assert "hydra.launcher.gres=gpu:a100:1" in said
    gansfp("probe", "hydra/launcher=mycluster", *OURS)
    (script,) = gansfp.folder.glob("runs/probe/.jobs/*/slurm/*_submission.sh")
    for line in ("#SBATCH --mem=300", "#SBATCH --time=480", "export CLUSTER=mine"):
        assert line in script.read_text().splitlines()
