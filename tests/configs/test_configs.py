"""Every shipped recipe composes and takes a step; what the documents say is what the code takes."""

from __future__ import annotations

import importlib
import inspect
import json
import re
import shlex
import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from banks import write_bank
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus
from hydra.utils import get_class
from planted import small_backbone
from small import small_model
from toy import write_toy_attribution, write_toy_membership

from gansfp import build, cli, config
from gansfp.cluster import study
from gansfp.cluster.request import Request
from gansfp.data.benchmark import load_benchmark
from gansfp.evaluation import published
from gansfp.features import backbones
from gansfp.features.backbones import BackboneSpec
from gansfp.help import DETAILS
from gansfp.jobs import Jobs

CONF = cli.config_folder()
EXPERIMENTS = sorted(
    str(p.relative_to(CONF / "experiment").with_suffix(""))
    for p in (CONF / "experiment").rglob("*.yaml")
)
SWEEPS = sorted(p.stem for p in (CONF / "sweep").glob("*.yaml"))
README = CONF.parent / "README.md"
CLUSTER = CONF.parent / "docs" / "cluster.md"
FEW_MEMBERS = ["method.backbones=[efficientnet_b0]", "method.grid=null", "method.replicas=2",
               "method.rounds=1", "method.agreement=0.5"]  # fmt: skip
TINY_GENERATOR = ["generator@method.generator=gan_debug", "method.generator.steps=1",
                  "method.generator.width=4", "method.samples=16"]  # fmt: skip
SMALLER = {  # by recipe: what makes a step of it short
    "beyond/mosaic": ["method.sides=[9]", "method.stride=16"],
    "beyond/mosaic_both": ["method.sides=[9]", "method.stride=16"],
    "beyond/copy_detection": ["method.shift=1"],
    "beyond/copy_ssim": ["method.shift=1", "method.shortlist=1", "method.neighbours=1"],
    "beyond/copy_ms_ssim": ["method.shift=1", "method.shortlist=1", "method.neighbours=1"],
    "beyond/masked_patch": ["method.masks=2", "method.width=4"],
    "beyond/reference_generator": TINY_GENERATOR,
    "beyond/discriminator_generated": TINY_GENERATOR,
    "beyond/detail": ["method.widths=[8,8]"],
    "table2/nn_dclgan": ["method.width=8"],
    "table2/nn_dual_dclgan": ["method.width=8"],
    "beyond/best_attributor": [
        "method.members=['experiment=beyond/mosaic method.sides=[9] method.stride=16',"
        "'experiment=beyond/detail method.widths=[8,8]']"
    ],
    "beyond/kfold_stack": [
        "method.members=['experiment=beyond/spectrum_lda','experiment=beyond/vote_pixels']",
        "data.folds=2",
    ],
}


@pytest.fixture(scope="module")
def toys(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("toys")
    write_toy_membership(folder / "membership")
    write_toy_attribution(folder / "attribution")
    toys = load_benchmark("membership", folder / "membership", cache_dir=folder / "cache")
    rows = np.concatenate([toys.candidates(part) for part in ("train", "test")])
    write_bank(folder / "bank", toys.images(rows), toys.groups(rows).tolist())
    return {name: folder / name for name in ("membership", "attribution", "bank", "cache")}


@pytest.fixture
def one_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put two random convolutions in the place of every pretrained network."""
    monkeypatch.setattr(BackboneSpec, "load", small_backbone)
    monkeypatch.setattr(backbones, "build_model", small_model)


def task_of(experiment: str) -> str:
    text = (CONF / "experiment" / f"{experiment}.yaml").read_text()
    inherited = re.search(r"- /experiment/(\S+)", text)
    if inherited:
        return task_of(inherited.group(1))
    return re.search(r"override /task: (\w+)", text).group(1)  # type: ignore[union-attr]


# Ten seconds each, of code that the steps of other recipes and the tests of ensembles take too.
LATER = {"beyond/best_attributor", "table3/1426_vote", "table3/1782_pseudo_labels"}


@pytest.mark.parametrize(
    "experiment",
    [pytest.param(e, marks=pytest.mark.slow) if e in LATER else e for e in EXPERIMENTS],
)
def test_an_experiment_takes_its_debug_step(
    experiment: str, toys: dict[str, Path], one_layer: None, in_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    words = ["train", f"experiment={experiment}", "debug=step", "evaluator.bootstrap=50",
             "evaluator.permutations=50", f"data.root={toys[task_of(experiment)]}",
             f"data.cache_dir={toys['cache']}"]  # fmt: skip
    if "/shadow_" in experiment:
        words.append(f"method.bank={toys['bank']}")
    if "autoencoder" in experiment:
        words.append("method.size=32")
    ensemble = "/method: ensemble" in (CONF / "experiment" / f"{experiment}.yaml").read_text()
    words += SMALLER.get(experiment, FEW_MEMBERS if ensemble else [])
    monkeypatch.setattr(sys, "argv", ["gansfp", *words])
    cli.main()
    results = [path for path in in_folder.rglob("result.json") if slug(experiment) in str(path)]
    assert len(results) == 1
    assert json.loads(results[0].read_text())["test"]["n"] >= 200


def slug(experiment: str) -> str:
    return experiment.replace("/", "-") + "-s0-"


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_an_experiment_says_its_command_and_leaves_hydra_alone(experiment: str) -> None:
    first, second, *rest = (CONF / "experiment" / f"{experiment}.yaml").read_text().splitlines()
    assert first == "# @package _global_"
    assert second.startswith(f"# gansfp train experiment={experiment} ")
    assert not any("/hydra/" in line for line in rest)


@pytest.mark.parametrize("sweep", SWEEPS)
def test_a_sweep_names_experiments_that_exist(sweep: str) -> None:
    assert set(swept(sweep)) <= set(EXPERIMENTS)


@pytest.mark.parametrize("table", ["table2", "table3"])
def test_the_sweep_of_a_table_has_all_of_its_recipes(table: str) -> None:
    assert sorted(swept(table)) == [name for name in EXPERIMENTS if name.startswith(f"{table}/")]


def swept(sweep: str) -> list[str]:
    plain = yaml.safe_load((CONF / "sweep" / f"{sweep}.yaml").read_text())
    names = plain["hydra"]["sweeper"]["params"]["experiment"].split(",")
    return [name.strip() for name in names]


def test_every_described_run_of_table_3_has_a_recipe() -> None:
    runs = {name.split("/")[1].split("_")[0] for name in EXPERIMENTS if name.startswith("table3/")}
    assert runs == {row.run for row in published.table3() if row.alias_of is None}


@pytest.mark.parametrize("source", sorted(p.stem for p in (CONF / "source").glob("*.yaml")))
def test_a_source_takes_what_its_file_says(source: str) -> None:
    node = yaml.safe_load((CONF / "source" / f"{source}.yaml").read_text())
    target = build.resolve(node.pop("_target_"))
    assert set(node) == set(inspect.signature(target).parameters)


def test_the_readme_of_the_recipes_knows_every_group() -> None:
    text = (CONF / "experiment" / "README.md").read_text()
    assert text.splitlines()[0] == "# Recipes to run"
    groups = {name.split("/")[0] for name in EXPERIMENTS}
    assert groups == set(re.findall(r"^\| `(\w+)/` \|", text, flags=re.MULTILINE))


def test_the_readmes_own_recipe_runs(
    toys: dict[str, Path], in_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (CONF / "experiment" / "README.md").read_text()
    (recipe,) = re.findall(r"```yaml\n(.*?)```", text, flags=re.DOTALL)
    path = in_folder / "conf" / "experiment" / "beyond" / "nearest_close.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(recipe)
    monkeypatch.setenv("GANSFP_CONF", str(in_folder / "conf"))
    words = ["train", "experiment=beyond/nearest_close", f"data.root={toys['membership']}",
             "evaluator.bootstrap=50", "evaluator.permutations=50"]  # fmt: skip
    monkeypatch.setattr(sys, "argv", ["gansfp", *words])
    cli.main()
    (stored,) = in_folder.rglob("config.yaml")
    assert yaml.safe_load(stored.read_text())["method"]["k"] == 5


def documented() -> list[str]:
    """Collect every gansfp command of the README, docs/, the help texts and the recipes' heads."""
    text = README.read_text() + "".join(DETAILS.values())
    text += "".join(page.read_text() for page in sorted(CLUSTER.parent.glob("*.md")))
    text += "".join(p.read_text() for kind in ("*.yaml", "*.md") for p in CONF.rglob(kind))
    found = re.findall(r"(?:^|[$#:] |`)(gansfp [a-z]+ [^`\n#]*)", text, flags=re.MULTILINE)
    lines = sorted({line.strip() for line in found if "[" not in line and "..." not in line})
    # The same command on another folder is taken once: a sweep composes for seconds. A recipe by
    # itself is composed, and more, by its debug step.
    once = {re.sub(r"data\.root=\S+", "data.root=DIR", line): line for line in lines}
    alone = {f"gansfp train experiment={name} data.root=DIR" for name in EXPERIMENTS}
    return [line for known, line in once.items() if known not in alone]


WHOLE_TABLE = re.compile(r"sweep=table\d")  # composes each of its recipes: up to 20 seconds


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(line, marks=pytest.mark.slow) if WHOLE_TABLE.search(line) else line
        for line in documented()
    ],
)
def test_a_documented_command_is_one_that_the_code_takes(
    line: str, in_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, command, *words = shlex.split(line)
    words = [word.replace("membership|attribution", "membership") for word in words]
    words = [re.sub(r"\b(NAME|A,B)\b", "quickstart/membership_siamese", word) for word in words]
    if "-h" in words or "--help" in words:
        assert command in DETAILS
        return
    if "hydra/sweeper=search" in words:
        pytest.importorskip("hydra_plugins.hydra_optuna_sweeper")
        Path("runs").mkdir()  # where it writes the best values; runs make it, and none is started
    if "hydra/launcher=mycluster" in words:
        give_the_reader_a_cluster(in_folder, monkeypatch)
    seen: list[str] = []

    def launch(launcher: Any, jobs: Sequence[Sequence[str]], initial_job_idx: int) -> list[Any]:
        plans = study.compose(launcher._hydra_context, launcher._config, jobs, initial_job_idx)
        seen.extend(str(plan.config.command) for plan in plans)
        done = [JobReturn(overrides=job, status=JobStatus.COMPLETED) for job in jobs]
        for one in done:
            one.return_value = 0.5
        return done

    Plugins.instance()  # Hydra imports its plugins anew: what was imported before is not theirs
    launchers = sys.modules["hydra_plugins.gansfp.base"]
    monkeypatch.setattr(launchers.FrozenLauncher, "launch", launch)
    monkeypatch.setattr(Jobs, "conclude", lambda _: None)
    module = importlib.import_module(f"gansfp.commands.{command}")
    monkeypatch.setattr(config, "_require", lambda *_, **__: None)
    monkeypatch.setattr(module, "run", lambda given: seen.append(str(given.command)))
    cli.run_command(command, words, ["gansfp", command, *words])
    assert "--cfg" in words or set(seen) == {command}


def give_the_reader_a_cluster(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write the file of the document's own cluster."""
    (text,) = re.findall(r"```yaml\n(defaults:\n  - slurm.*?)```", CLUSTER.read_text(), re.DOTALL)
    path = folder / "conf" / "hydra" / "launcher" / "mycluster.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    monkeypatch.setenv("GANSFP_CONF", str(folder / "conf"))


@pytest.mark.parametrize("launcher", ["local", "slurm"])
def test_a_launcher_takes_what_its_file_says(launcher: str) -> None:
    node = yaml.safe_load((CONF / "hydra" / "launcher" / f"{launcher}.yaml").read_text())
    target = get_class(node.pop("_target_"))
    own = set(inspect.signature(target).parameters) - {"request"}
    asked = {field.name for field in fields(Request)} if launcher == "slurm" else set()
    assert set(node) == own | asked


def test_the_documents_have_commands_to_check() -> None:
    assert len(documented()) >= 20
