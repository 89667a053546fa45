from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from gansfp.data import embedded
from gansfp.data.benchmark import load_benchmark
from gansfp.data.toy import write_toy_membership
from gansfp.errors import UserError


def digest(folder):
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in Path(folder).rglob("*")
        if path.is_file()
    }


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
