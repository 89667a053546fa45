"""`gansfp score`, and who may import the truth reader."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

import gansfp
from gansfp.commands import score
from gansfp.errors import UserError
from gansfp.evaluation.published import table2

SOURCE = Path(gansfp.__file__).parent


def _imports(path):
    module = ".".join(path.relative_to(SOURCE.parent).with_suffix("").parts)
    package = module.split(".")[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            origin = ".".join([*base, *([node.module] if node.module else [])])
            yield origin
            yield from (f"{origin}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value  # import_module("...") and _target_ strings


def _importers(name):
    return {
        path.relative_to(SOURCE).as_posix()
        for path in SOURCE.rglob("*.py")
        if name in set(_imports(path))
    }


def test_only_the_evaluation_imports_the_truth_reader():
    assert _importers("gansfp.evaluation.truth") == {
        "evaluation/evaluator.py",
        "evaluation/family.py",  # the same truth again, for the runs of a study together
        "evaluation/evidence.py",  # and for the curves of a report
    }


def test_only_the_leaderboard_and_the_report_look_at_truth_again():
    assert _importers("gansfp.evaluation.family") == {
        "evaluation/evidence.py",
        "evaluation/leaderboard.py",
    }
    readers = _importers("gansfp.evaluation.evidence")
    assert readers
    assert all(path.startswith("report/") for path in readers)


def test_only_commands_import_the_evaluator():
    assert all(path.startswith("commands/") for path in _importers("gansfp.evaluation.evaluator"))


def _files(tmp_path, truth, submission):
    (tmp_path / "T.csv").write_text(truth)
    (tmp_path / "S.csv").write_text(submission)
    return tmp_path / "T.csv", tmp_path / "S.csv"


def _run(task, truth, submission):
    score.run(SimpleNamespace(task=task, truth=str(truth), submission=str(submission)))


def _published_files(tmp_path, row):
    counts = row.confusion
    cells = [(1, 1, "tp"), (0, 1, "fp"), (1, 0, "fn"), (0, 0, "tn")]
    pairs = [pair[:2] for pair in cells for _ in range(counts[pair[2]])]
    truth = "".join(f"real_unknown_{k},{label}\n" for k, (label, _) in enumerate(pairs))
    said = "".join(f"x/real_unknown_{k}.png,{label}\n" for k, (_, label) in enumerate(pairs))
    return _files(tmp_path, truth, said)


def test_membership_keys_and_the_winner_of_2025(tmp_path, capsys):
    winner = table2()[0]
    _run("membership", *_published_files(tmp_path, winner))
    printed = capsys.readouterr().out
    result = json.loads(printed)
    assert printed.count("\n") == 1
    assert " ".join(result) == (
        "n tp fp fn tn kappa accuracy precision recall f1 specificity kappa_ci95"
    )
    assert {name: round(result[name], 4) for name in winner.printed} == winner.printed
    assert result["kappa_ci95"] == pytest.approx([0.061, 0.233], abs=5e-4)


def test_attribution_keys(tmp_path, capsys):
    truth, submission = _files(
        tmp_path, "a,t1\nb,t2\nc,t10\n", "id,label\na,t1\nb,t10\nc,gen_t10\n"
    )
    _run("attribution", truth, submission)
    result = json.loads(capsys.readouterr().out)
    averaged = ["precision", "recall", "f1", "specificity"]
    assert list(result) == [
        "n",
        "accuracy",
        *averaged,
        *(f"{name}_macro" for name in averaged),
        "confusion",
    ]
    assert list(result["confusion"]) == ["t1", "t2", "t10"]
    assert result["confusion"]["t2"] == {"t1": 0, "t2": 0, "t10": 1}
    assert result["accuracy"] == pytest.approx(2 / 3)


def test_mistakes_are_user_errors(tmp_path):
    truth, submission = _files(tmp_path, "a,1\nb,0\n", "a,1\n")
    with pytest.raises(UserError, match="1 of 2 test images have no line, the first is b"):
        _run("membership", truth, submission)
    with pytest.raises(UserError, match="no such file"):
        _run("membership", truth, tmp_path / "none.csv")
    with pytest.raises(UserError, match="task=segmentation: expected membership or attribution"):
        _run("segmentation", truth, submission)
    truth.write_text("")
    with pytest.raises(UserError, match="the truth is empty"):
        _run("membership", truth, submission)


def test_scoring_imports_neither_torch_nor_pandas(tmp_path):
    truth, submission = _published_files(tmp_path, table2()[0])
    code = (
        "import sys; from types import SimpleNamespace as N; from gansfp.commands import score;"
        f"score.run(N(task='membership', truth={str(truth)!r}, submission={str(submission)!r}));"
        "heavy = {'torch', 'torchmetrics', 'lightning', 'pandas', 'scipy', 'sklearn'};"
        "sys.exit(str(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["n"] == 500
