from __future__ import annotations

import csv
import hashlib
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score
from toy import write_toy_membership

from gansfp.data import embedded
from gansfp.data.benchmark import load_benchmark
from gansfp.data.decode import decode_image
from gansfp.errors import UserError


def digest(folder):
    """Hash of each file, of the pixels for images."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(content(path)).hexdigest()
        for path in Path(folder).rglob("*")
        if path.is_file()
    }


def content(path):
    return decode_image(path).pixels.tobytes() if path.suffix == ".png" else path.read_bytes()


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    folder = tmp_path_factory.mktemp("toy") / "membership"
    write_toy_membership(folder)
    return folder


@pytest.fixture
def packed(toy, tmp_path, monkeypatch):
    archive = tmp_path / "membership.zip"
    embedded.pack({"one": toy, "two": toy}, archive)
    monkeypatch.setattr(embedded, "shipped", lambda: {"membership": archive})
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return archive


def test_what_is_unpacked_is_what_was_packed(toy, packed, tmp_path):
    folder = embedded.unpack(packed, tmp_path / "out")
    assert digest(folder / "one") == digest(folder / "two") == digest(toy)
    assert packed.stat().st_size < 1.2 * sum(p.stat().st_size for p in toy.rglob("*.png"))


def test_packing_again_gives_the_same_bytes(toy, packed, tmp_path):
    embedded.pack({"two": toy, "one": toy}, tmp_path / "again.zip")
    assert (tmp_path / "again.zip").read_bytes() == packed.read_bytes()


def test_an_embedded_benchmark_loads_by_its_name(toy, packed):
    ours = load_benchmark("membership", root="embedded:membership/two")
    direct = load_benchmark("membership", root=toy)
    assert ours.has_groups == direct.has_groups
    assert (ours.store.pixels == direct.store.pixels).all()


def test_a_wrong_name_is_answered_with_those_there_are(packed):
    with pytest.raises(UserError, match="there are one, two"):
        embedded.resolve("embedded:membership/three")
    with pytest.raises(UserError, match="did you mean"):
        embedded.resolve("embedded:membershp/one")


def test_an_interrupted_unpacking_leaves_nothing_that_counts(packed, tmp_path, monkeypatch):
    def broken(archive, folder):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(embedded, "_extract", broken)
        with pytest.raises(KeyboardInterrupt):
            embedded.unpack(packed, tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())
    assert (embedded.unpack(packed, tmp_path / "out") / "one/train").is_dir()


def pixels(folder, pattern):
    """Images by path below a folder, as float64 rows."""
    paths = sorted(folder.glob(pattern))
    rows = np.stack([decode_image(path).pixels.ravel() for path in paths]).astype(np.float64)
    return [path.name for path in paths], rows


def distances(left, right):
    squared = (left**2).sum(1)[:, None] + (right**2).sum(1) - 2 * left @ right.T
    return np.sqrt(squared.clip(0))


def labels(folder):
    with (folder / "labels.csv").open() as stream:
        return dict(list(csv.reader(stream))[1:])


def nearest_auc(name):
    """AUC of "a synthetic image is near", by scikit-learn, over the test images."""
    folder = Path(embedded.resolve(f"embedded:membership/{name}"))
    names, real = pixels(folder, "test/real_unknown/*.png")
    _, made = pixels(folder, "*/generated/*.png")
    truth = labels(folder / "test")
    return roc_auc_score([int(truth[name]) for name in names], -distances(real, made).min(1))


def nearest_subset_shares(name):
    """Share of each subset's test images, of both generators, whose nearest real image is its."""
    folder = Path(embedded.resolve(f"embedded:attribution/{name}"))
    subsets = sorted(path.name for path in (folder / "train/real").iterdir())
    real = {label: pixels(folder, f"train/real/{label}/*.png")[1] for label in subsets}
    right = {label: [] for label in subsets}
    for test in ("test", "test_B"):
        names, made = pixels(folder, f"{test}/generated_unknown/*.png")
        truth = labels(folder / test)
        nearest = np.stack([distances(made, real[label]).min(1) for label in subsets]).argmin(0)
        for name, guess in zip(names, nearest, strict=True):
            right[truth[name]].append(subsets[guess] == truth[name])
    return {label: np.mean(hits) for label, hits in right.items()}


class TestShipped:
    """What comes inside the package is what docs/embedded.md says of it."""

    @pytest.fixture(autouse=True)
    def cache(self, tmp_path_factory, monkeypatch):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "shipped"))

    def test_at_most_15_megabytes(self):
        assert sum(path.stat().st_size for path in embedded.shipped().values()) < 15e6

    def test_only_ddpm_long_leaks_in_pixels(self):
        aucs = {name: nearest_auc(name) for name in ("null", "gan", "ddpm_short", "ddpm_long")}
        assert 0.60 <= aucs["ddpm_long"] <= 0.90
        assert max(aucs["gan"], aucs["ddpm_short"]) < 0.60
        assert aucs["null"] == pytest.approx(0.5, abs=0.066)  # 1.96 standard errors of 150 and 150

    def test_the_four_share_their_real_images(self):
        folders = [
            Path(embedded.resolve(f"embedded:membership/{name}")) for name in ("null", "gan")
        ]
        first, second = (
            {k: v for k, v in digest(f).items() if "generated" not in k and k != "card.json"}
            for f in folders
        )
        assert first == second
        assert len(first) == 502

    @pytest.mark.parametrize(("name", "subsets"), [("one_population", 5), ("mixed_regions", 3)])
    def test_subsets_are_seen_by_their_nearest_image(self, name, subsets):
        shares = nearest_subset_shares(name)
        assert len(shares) == subsets
        assert min(shares.values()) >= 0.35
        assert max(shares.values()) <= 0.90

    @pytest.mark.parametrize(
        "place",
        ["membership/ddpm_long", "attribution/one_population", "attribution/mixed_regions"],
    )
    def test_no_real_image_is_handed_out_as_a_synthetic_one(self, place):
        folder = Path(embedded.resolve(f"embedded:{place}"))
        files = digest(folder)
        images = {k: v for k, v in files.items() if k.endswith(".png")}
        made = {v for k, v in images.items() if "generated" in k.split("/", 1)[1]}
        real = {v for k, v in images.items() if "/real" in k}
        assert made
        assert real
        assert not made & real
