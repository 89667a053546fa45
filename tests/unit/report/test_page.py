"""The report of real runs, opened in Chromium; names are as hostile as file systems allow."""

from __future__ import annotations

import csv
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from browser import Browser
from omegaconf import OmegaConf
from PIL import Image
from toy import (
    AttributionCounts,
    MembershipCounts,
    write_toy_attribution,
    write_toy_membership,
)

from gansfp import cli
from gansfp.evaluation.leaderboard import leaderboard
from gansfp.report.page import build
from gansfp.report.static import write_figures

EVIL = "<img src=x onerror=alert(1)>"
QUICK = ["evaluator.bootstrap=50", "evaluator.permutations=100"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    browser = Browser()
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of both tasks on benchmarks with hostile names."""
    place = tmp_path_factory.mktemp("report")
    small = MembershipCounts(labelled=20, test=20, generated_train=30, generated_test=20)
    membership = write_toy_membership(place / "membership", size=32, counts=small)
    _one_copied_patient(membership)
    few = AttributionCounts(real=8, train=10, test=10)
    attribution = write_toy_attribution(place / "attribution", size=32, counts=few)
    _another_name(attribution)
    shutil.copytree(attribution / "test", attribution / "test_B")
    runs = place / "runs"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(place / "cache"))

        def gansfp(*words: str) -> None:
            patch.setattr(sys, "argv", ["gansfp", *words, f"paths.runs={runs}", *QUICK])
            cli.main()

        names = "experiment=beyond/nearest_pixels,beyond/pool_ratio_pixels"
        gansfp("train", "-m", names, f"data.root={membership}", f"study='{EVIL}'")
        recipe = "experiment=quickstart/attribution_distance"
        gansfp("train", recipe, f"data.root={attribution}", "study=same")
        gansfp("train", recipe, f"data.root={attribution}", "study=other",
               f"data.test_dir={attribution / 'test_B'}")  # fmt: skip
        patch.setattr(sys, "argv", ["gansfp", "report", str(runs)])
        cli.main()
    return place


def _one_copied_patient(root: Path) -> None:
    """Put a synthetic image into the test, under a hostile name, of a hostile patient."""
    truth = root / "test" / "labels.csv"
    rows = list(csv.reader(truth.open()))
    victim = next(row[0] for row in rows if row[1] == "1")
    image = root / "test" / "real_unknown" / victim
    copied = np.asarray(Image.open(sorted((root / "train" / "generated").iterdir())[0])).copy()
    copied[0, 0] ^= 1  # near, and not the same
    image.unlink()
    Image.fromarray(copied).save(image.with_name(f"{EVIL}.png"))
    for path in (truth, *root.rglob("groups.csv")):
        path.write_text(path.read_text().replace(f"{victim},", f"{EVIL}.png,"))
    for path in root.rglob("groups.csv"):
        text = path.read_text()
        patient = next(line.split(",")[1] for line in text.splitlines() if EVIL in line)
        path.write_text(text.replace(f",{patient}\n", f",{EVIL}\n"))


def _another_name(root: Path) -> None:
    """Rename subset t1."""
    for path in sorted(root.rglob("*t1")):
        path.rename(path.with_name(path.name.replace("t1", EVIL)))
    (root / "groups.csv").unlink()  # it knows the old name
    truth = root / "test" / "labels.csv"
    truth.write_text(truth.read_text().replace(",t1\n", f",{EVIL}\n"))


@pytest.fixture
def page(folder: Path, browser: Browser) -> Browser:
    browser.emulate()
    browser.open(folder / "runs" / "report.html")
    return browser


def test_nothing_is_said_or_asked_for(page: Browser, folder: Path) -> None:
    time.sleep(0.2)
    assert page.messages() == []
    outside = [url for url in page.requests() if not url.startswith("data:")]
    assert outside == [(folder / "runs" / "report.html").as_uri()]
    assert (folder / "runs" / "report.html").stat().st_size < 10e6


def test_pictures_load_and_hostile_names_are_text(page: Browser) -> None:
    widths = page.run("return [...document.images].map(image => image.naturalWidth)")
    assert len(widths) >= 9
    assert min(widths) == 32
    assert all(src.startswith("data:") for src in page.run(
        "return [...document.images].map(image => image.src)"))  # fmt: skip
    text = page.run("return document.body.textContent")
    shown = page.run("return document.querySelector('#exposed .comparison .name').textContent")
    assert shown == f"{EVIL}.png"  # the near copy is the most exposed image
    for where in ("#patients tbody code", "#evidence .matrix thead .num", "#leaderboard tr.group"):
        names = page.run(f"return [...document.querySelectorAll('{where}')].map(e => e.innerText)")
        assert EVIL in [name.strip() for name in names], where
    assert "alert(1)" in text
    assert page.run("return document.querySelector('[onerror]')") is None


def test_a_heading_sorts_its_table_by_mouse_and_by_key(page: Browser) -> None:
    find = "[...document.querySelectorAll('#leaderboard thead th')]" + (
        ".find(th => th.textContent.startsWith('AUROC'))"
    )
    values = f"""const head = {find}, table = head.closest('table');
        return [...table.querySelectorAll('tbody tr:not(.group)')]
            .map(row => Number(row.cells[head.cellIndex].dataset.sort))"""
    before = page.run(values)
    assert len(before) == 2
    page.run(f"{find}.querySelector('button').click()")
    assert page.run(f"return {find}.getAttribute('aria-sort')") == "descending"
    assert page.run(values) == sorted(before, reverse=True)
    from selenium.webdriver.common.keys import Keys

    page.run(f"{find}.querySelector('button').focus()")
    page.driver.switch_to.active_element.send_keys(Keys.ENTER)
    assert page.run(f"return {find}.getAttribute('aria-sort')") == "ascending"
    assert page.run(values) == sorted(before)
    assert page.run("return getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_runs_are_filtered_and_hidden_and_shown_again(page: Browser) -> None:
    seen = """return [...document.querySelectorAll('#leaderboard tbody tr:not(.group)')]
        .filter(row => row.offsetParent !== null).length"""
    assert page.run(seen) == 4
    box = page.driver.find_element("css selector", "#leaderboard input[type=search]")
    box.send_keys("pool_ratio")
    assert page.run(seen) == 3  # the table of the other task has a field of its own
    assert page.run("return document.querySelector('#leaderboard .count').textContent") == "1 of 2"
    box.clear()
    box.send_keys(" ")
    assert page.run(seen) == 4
    key = page.run("""const row = document.querySelector('#leaderboard tr[data-run]');
        row.querySelector('.hider').click(); return row.dataset.run""")
    assert page.run(seen) == 3
    assert page.run(f"return document.getElementById('{key}').offsetParent") is None
    assert "1 run is hidden" in page.run("return document.getElementById('hidden-bar').innerText")
    page.run("document.getElementById('unhide').click()")
    assert page.run(seen) == 4
    assert page.run("return document.getElementById('hidden-bar').hidden") is True


def test_the_answer_is_seen_without_scrolling(page: Browser) -> None:
    places = page.run("""return [...document.querySelectorAll('.verdicts .callout')]
        .map(card => [card.querySelector('h3').innerText, card.getBoundingClientRect().bottom])""")
    assert len(places) == 3
    assert max(bottom for _, bottom in places) < 2 * 900
    limits = page.run("return document.querySelector('.aside').innerText")
    assert "No sign found is no proof of privacy" in limits


def test_a_link_opens_the_details_of_its_run(page: Browser) -> None:
    page.run("document.querySelector('#leaderboard tbody th a').click()")
    time.sleep(0.2)
    assert page.run("return document.querySelectorAll('#runs > details[open]').length") == 1
    text = page.run("return document.querySelector('#runs > details[open]').innerText")
    assert "gansfp reproduce" in text
    assert "not at chance" in text or "at chance" in text


def test_light_dark_and_paper_can_be_read(page: Browser) -> None:
    style = "const s = getComputedStyle(document.body); return [s.color, s.backgroundColor]"
    for scheme in ("light", "dark"):
        page.emulate(scheme=scheme)
        ink, paper = (luminance(colour) for colour in page.run(style))
        assert (max(ink, paper) + 0.05) / (min(ink, paper) + 0.05) > 7  # WCAG AAA
        assert (ink < paper) == (scheme == "light")
        for kind in ("found", "hint", "clear", "invalid", "note"):
            probe = f"""const tag = document.querySelector('.callout .tag');
                tag.parentElement.className = 'callout {kind}';
                return [getComputedStyle(tag).color,
                        getComputedStyle(tag.parentElement).backgroundColor]"""
            ink, paper = (luminance(colour) for colour in page.run(probe))
            assert (max(ink, paper) + 0.05) / (min(ink, paper) + 0.05) > 4.5, (scheme, kind)
    page.emulate(media="print", scheme="dark")
    ink, paper = (luminance(colour) for colour in page.run(style))
    assert ink < 0.05 < 0.9 < paper
    bars = page.run("return [...document.querySelectorAll('.top, .tools, .hide, .copy')]"
                    ".filter(part => part.offsetParent !== null).length")  # fmt: skip
    assert bars == 0


def luminance(colour: str) -> float:
    """Relative luminance of `rgb(...)` (WCAG 2)."""
    parts = [float(part) / 255 for part in colour.split("(")[1].rstrip(")").split(",")[:3]]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_every_table_and_figure_has_a_name(page: Browser) -> None:
    unnamed = page.run("""return [
        ...[...document.querySelectorAll('table')].filter(t => !t.caption?.textContent.trim()),
        ...[...document.images].filter(image => !image.alt),
        ...[...document.querySelectorAll('svg.plot')].filter(s => !s.getAttribute('aria-label')),
        ...[...document.querySelectorAll('button')].filter(b => !b.textContent.trim()
            && !b.getAttribute('aria-label') && b.offsetParent !== null),
        ].map(part => part.outerHTML.slice(0, 80))""")
    assert unnamed == []
    ids = page.run("return [...document.querySelectorAll('[id]')].map(part => part.id)")
    assert len(ids) == len(set(ids))
    broken = page.run("""return [...document.querySelectorAll('a[href^="#"]')].filter(
        a => !document.getElementById(a.hash.slice(1))).map(a => a.hash)""")
    assert broken == []


def test_content_or_fingerprint_compares_the_two_test_sets(page: Browser) -> None:
    cells = page.run("""return [...document.querySelectorAll('#fingerprint tbody tr')]
        .map(row => [...row.cells].map(cell => cell.innerText))""")
    assert len(cells) == 1
    name, own, other, loss, _ = cells[0]
    assert "50 images, and 50 of test_B" in name
    assert own == other  # test_B is a copy here
    assert loss.splitlines()[0] in ("0.000", "-0.000")


def test_the_page_goes_on_without_the_images(folder: Path, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    shutil.copytree(folder / "runs", runs)
    for path in runs.rglob("config.yaml"):
        config = OmegaConf.load(path)
        config.data.root = str(tmp_path / "gone")
        OmegaConf.save(config, path)
    html = str(build(leaderboard(runs), runs).__html__())
    assert "The images cannot be shown." in html
    assert "data:image" not in html
    assert "No answer" not in html  # the numbers are in the run folders


def test_figures_for_papers_are_files_of_their_own(folder: Path, tmp_path: Path) -> None:
    count = write_figures(leaderboard(folder / "runs"), tmp_path / "figures")
    names = sorted(path.name for path in (tmp_path / "figures").iterdir())
    assert len(names) == count
    assert "1-img-src-x-onerror-alert-1-roc.png" in names
    assert sum(name.endswith(".svg") for name in names) == count / 2
    assert all(path.stat().st_size > 1000 for path in (tmp_path / "figures").iterdir())


@pytest.mark.slow
def test_two_hundred_runs_open_in_two_seconds(
    browser: Browser, folder: Path, tmp_path: Path
) -> None:
    """200 runs of random scores, judged by the evaluator, on 500 images."""
    from gansfp.data.benchmark import load_benchmark
    from gansfp.evaluation.evaluator import MembershipEvaluator
    from gansfp.runtime.files import read_json, write_json
    from gansfp.runtime.run import Run
    from gansfp.tables import write_table

    (template,) = (folder / "runs").glob("*/beyond-nearest_pixels-*")
    counts = MembershipCounts(labelled=50, test=250, generated_train=100, generated_test=20)
    root = write_toy_membership(tmp_path / "toy", size=32, counts=counts)
    benchmark = load_benchmark("membership", root)
    rows = benchmark.candidates("test")
    assert len(rows) == 500
    known = benchmark.index.frame.iloc[rows][["sample_id", "group"]].reset_index(drop=True)
    evaluator = MembershipEvaluator(bootstrap=20, permutations=50, controls="none")
    for k in range(200):
        run = Run(tmp_path / "runs" / "many" / f"random-s{k}-0000{k:04d}")
        shutil.copytree(template, run.folder)
        config = (run.folder / "config.yaml").read_text()
        config = config.replace(str(folder / "membership"), str(root))
        (run.folder / "config.yaml").write_text(config)
        score = np.random.default_rng(k).standard_normal(500)
        table = known.assign(raw_score=score, score=score, decision=(score > 0).astype(np.int64))
        write_table(table, run.predictions("test"))
        write_json(run.folder / "result.json", evaluator.evaluate(table, benchmark))
        names = {"experiment": f"random/{k}", "variant": f"{k:08d}", "study": "many"}
        write_json(run.folder / "run.json", read_json(run.folder / "run.json") | names)
    page = tmp_path / "report.html"
    build(leaderboard(tmp_path / "runs"), tmp_path / "runs").write(page)
    assert page.stat().st_size < 10e6
    browser.emulate()
    browser.open(page)
    shown = browser.run("return document.querySelectorAll('#leaderboard tr[data-run]').length")
    assert shown == 200
    assert browser.processor_seconds() < 2.0
