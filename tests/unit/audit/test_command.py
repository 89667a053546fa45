"""`gansfp audit` as a data owner meets it: folders in, plain words, a file and a page out."""

from __future__ import annotations

import csv
import json
import socket
import sys
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pandas as pd
import pytest

from gansfp import cli
from gansfp.audit.planted import perturbed
from gansfp.audit.sets import AuditSets
from gansfp.data.writing import write_images, write_png

ODD = "a, b (1) <b>O'Neil's\"&amp;.png"
FAST = ["attack.views=[aligned,coarse]", "permutations=199"]


@pytest.fixture
def folders(in_folder: Path, population) -> Path:
    """24 used, 96 not used, 20 synthetic of others and six copies, in folders with odd names."""
    rng = np.random.default_rng(0)
    root = in_folder / "Zoë's data, (1)"
    real, others = population(24, rng), population(96, rng)
    write_images(root / "real", "r", real[1:])
    write_png(root / "real" / ODD, real[0])
    write_images(root / "others", "n", others)
    synthetic = np.concatenate([population(20, rng), perturbed(real[:6], rng)])
    write_images(root / "synthetic", "s", synthetic)
    return root


def audit(
    root: Path, *words: str, nonmembers: bool = True, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = [f"real={root / 'real'}", f"synthetic={root / 'synthetic'}"]
    places += [f"nonmembers={root / 'others'}"] if nonmembers else []
    monkeypatch.setattr(sys, "argv", ["gansfp", "audit", *places, *FAST, *words])
    cli.main()


def facts_in(folder: Path) -> dict[str, Any]:
    (path,) = folder.rglob("audit.json")
    return dict(json.loads(path.read_text()))


def refused(capsys: pytest.CaptureFixture[str], *words: str, **given: Any) -> str:
    with pytest.raises(SystemExit):
        audit(*given.pop("at"), *words, **given)
    (line,) = [one for one in capsys.readouterr().err.splitlines() if one.startswith("gansfp: ")]
    return line


def test_an_audit_names_the_copied(
    folders: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    marked = folders / "canaries.csv"
    marked.write_text("file\nr_1.png\nr_20.png\nothers/n_1.png\n".replace("others", "nonmembers"))
    words = ("filter=true", "plan=true", f"canaries={marked}", "pictures=true", "q=0.2")
    audit(folders, *words, monkeypatch=monkeypatch)
    said = " ".join(capsys.readouterr().out.split())
    facts = facts_in(Path.cwd())
    assert facts["schema"] == 1
    assert facts["verdict"] == "leak"
    assert facts["set"]["p"] <= 0.01
    named = {row["patient"]: row["nearest"]["synthetic"] for row in facts["exposure"]["exposed"]}
    assert named.items() >= {ODD: "s_21.png", "r_1.png": "s_22.png", "r_5.png": "s_26.png"}.items()
    assert len(named) == facts["exposure"]["called"] <= 8
    assert facts["exposure"]["fewest_calls"] == 2
    assert (facts["canaries"]["called"], facts["canaries"]["canaries"]) == (1, 2)
    assert "This set LEAKS." in said
    assert "Asked about 24 images that were used, compared with 96 images" in said
    run = next(Path.cwd().rglob("audit.json")).parent
    with (run / "kept.csv").open(newline="") as stream:
        kept = [row[0] for row in csv.reader(stream)][1:]
    assert len(kept) == facts["filter"]["kept"] == 26 - facts["filter"]["removed"]
    assert not set(kept) & {f"s_{k}.png" for k in range(21, 27)}
    assert {row["released"] for row in facts["plan"]} >= {26, len(kept)}
    table = pd.read_parquet(run / "scores.parquet")
    assert set(table.loc[table["exposed"], "file"]) == set(named)
    assert table.loc[table["set"] == "nonmembers", "p"].isna().all()
    status = json.loads((run / "status.json").read_text())
    assert status["state"] == "finished"
    page = (run / "audit.html").read_text()
    assert "O&#39;Neil&#39;s&#34;&amp;amp;.png" in page
    assert "<b>O" not in page
    assert page.count("data:image/png") >= 3 * len(named)
    audit(folders, *words, monkeypatch=monkeypatch)
    assert " ".join(capsys.readouterr().out.split()) == said
    assert len(list(Path.cwd().rglob("audit.json"))) == 1


def test_without_non_members_nothing_is_concluded(
    folders: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    audit(folders, nonmembers=False, monkeypatch=monkeypatch)
    facts = facts_in(Path.cwd())
    assert facts["verdict"] == "inconclusive"
    assert not {"set", "exposure", "power"} & set(facts)
    assert facts["description"]["near_copies"] >= 6
    assert "NOTHING CAN BE CONCLUDED" in capsys.readouterr().out
    page = next(Path.cwd().rglob("audit.html")).read_text()
    assert "Nothing can be concluded." in page
    assert "data:image/png" not in page


def test_nothing_leaves_the_machine(folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the network of the view `features` too, whose weights come with a package."""

    def no_socket(*_: object, **__: object) -> NoReturn:
        raise AssertionError("a socket was opened")

    for name in ("socket", "create_connection", "getaddrinfo"):
        monkeypatch.setattr(socket, name, no_socket)
    small = "attack.backbone.size=32"
    audit(folders, "attack.views=[aligned,features]", small, monkeypatch=monkeypatch)
    assert facts_in(Path.cwd())["asked"]["attack"]["views"] == ["aligned", "features"]


def test_patients_are_counted_where_they_are_known(
    folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = folders / "patients, (all).csv"
    names = [path.name for path in sorted((folders / "real").iterdir())]
    others = [path.name for path in sorted((folders / "others").iterdir())]
    with table.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["file", "patient"])
        writer.writerows([name, f"P{k // 2}"] for k, name in enumerate(names))
        writer.writerows([name, f"N{k // 2}"] for k, name in enumerate(others))
    audit(folders, f"groups={table}", monkeypatch=monkeypatch)
    exposure = facts_in(Path.cwd())["exposure"]
    assert (exposure["unit"], exposure["tested"], exposure["nonmembers"]) == ("patient", 12, 48)
    assert exposure["equal_sizes"]


def test_an_exact_copy_needs_no_test(
    folders: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (folders / "synthetic" / "s_99.png").write_bytes((folders / "real" / ODD).read_bytes())
    audit(folders, nonmembers=False, monkeypatch=monkeypatch)
    facts = facts_in(Path.cwd())
    assert facts["verdict"] == "copies"
    assert facts["exact_copies"] == [{"real": ODD, "synthetic": "s_99.png"}]
    assert "holds exact copies" in capsys.readouterr().out


def test_sets_that_cannot_be_compared_are_refused(
    folders: Path,
    population,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    given = {"at": (folders,), "monkeypatch": monkeypatch}
    assert "filter=true needs images that were not used: nonmembers=DIR" in refused(
        capsys, "filter=true", nonmembers=False, **given
    )
    assert "q=1.5: a false discovery rate" in refused(capsys, "q=1.5", **given)
    assert "patients=media: choose mean, max" in refused(capsys, "patients=media", **given)
    assert "groups=nowhere.csv: no such file" in refused(capsys, "groups=nowhere.csv", **given)
    shared = folders / "shared.csv"
    shared.write_text("r_1.png,P1\nn_1.png,P1\n")
    assert "1 patient is also in real, such as P1" in refused(capsys, f"groups={shared}", **given)
    (folders / "others" / "same.png").write_bytes((folders / "real" / "r_2.png").read_bytes())
    assert "1 image is also in real, such as same.png (r_2.png there)" in refused(capsys, **given)
    (folders / "others" / "same.png").unlink()
    write_images(folders / "synthetic", "s", population(26, np.random.default_rng(1), 64))
    line = refused(capsys, **given)
    assert "synthetic: 64 x 64 pixels, but real has 32 x 32; set resize=32" in line
    audit(folders, "resize=32", monkeypatch=monkeypatch)
    assert not list(Path.cwd().rglob("*.tmp"))


def test_a_missing_folder_is_named(
    folders: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (folders / "others").rename(folders / "elsewhere")
    line = refused(capsys, at=(folders,), monkeypatch=monkeypatch)
    assert line.startswith(f"gansfp: nonmembers={folders / 'others'}: no such folder")


def test_the_sets_know_their_labels(population) -> None:
    from gansfp.data.sources.base import RealImages

    def named(prefix: str, count: int) -> RealImages:
        names = tuple(f"{prefix}{k}" for k in range(count))
        return RealImages(np.zeros((count, 8, 8), np.uint8), names, names, names)

    sets = AuditSets(named("r", 2), named("s", 1), named("n", 3), grouped=False)
    assert sets.labels.tolist() == [1, 1, 0, 0, 0]
    assert sets.groups.tolist() == ["r0", "r1", "n0", "n1", "n2"]
    assert sets.exact_copies == []
