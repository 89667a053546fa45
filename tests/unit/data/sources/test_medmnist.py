from __future__ import annotations

import hashlib
import logging

import numpy as np
import pytest

from gansfp.data.sources import medmnist
from gansfp.data.sources.medmnist import MedMNISTSource, fetch
from gansfp.errors import UserError

COUNTS = {"train": 5, "val": 2, "test": 3}


def images(split, size=8):
    rng = np.random.default_rng(list(COUNTS).index(split))
    return rng.integers(0, 256, (COUNTS[split], size, size)).astype(np.uint8)


def save(path, **changes):
    content = {f"{split}_images": images(split) for split in COUNTS}
    content |= {f"{split}_labels": np.zeros((n, 1), np.uint8) for split, n in COUNTS.items()}
    np.savez_compressed(path, **(content | changes))
    return path


def test_splits_names_and_pixels(tmp_path):
    file = save(tmp_path / "organamnist_64.npz")
    found = MedMNISTSource(str(file)).read()
    np.testing.assert_array_equal(found.pixels, np.concatenate([images(s) for s in COUNTS]))
    assert found.names[:2] == ("organamnist_64/train_0", "organamnist_64/train_1")
    assert found.groups == found.names
    some = MedMNISTSource(str(file), splits=["test", "val"], limit=4).read()
    assert [name.split("/")[1] for name in some.names] == ["test_0", "test_1", "test_2", "val_0"]
    np.testing.assert_array_equal(some.pixels[:3], images("test"))
    half = MedMNISTSource(str(file), splits=["val"], resize=4).read().pixels
    mean = images("val").reshape(2, 4, 2, 4, 2).mean(axis=(2, 4))
    assert np.abs(half - mean).max() <= 1


def test_repeats_are_left_out_with_a_count(tmp_path, caplog):
    twice = images("train")
    twice[3] = twice[1]
    file = save(tmp_path / "a.npz", train_images=twice)
    with caplog.at_level(logging.WARNING):
        found = MedMNISTSource(str(file), splits=["train"]).read()
    assert found.names == ("a/train_0", "a/train_1", "a/train_2", "a/train_4")
    assert "1 repeated images left out" in caplog.text


def test_a_kept_file_is_found_by_name_and_size(tmp_path):
    save(tmp_path / "organcmnist_128.npz")
    save(tmp_path / "organsmnist.npz")
    root = str(tmp_path)
    assert len(MedMNISTSource(name="organcmnist", size=128, root=root).read()) == 10
    assert len(MedMNISTSource(name="organsmnist", size=28, root=root).read()) == 10
    with pytest.raises(UserError, match=r"organamnist_64\.npz: not there; source\.download=true"):
        MedMNISTSource(root=root).read()


def test_a_download_is_checked_and_appears_whole(tmp_path, monkeypatch):
    remote = save(tmp_path / "remote.npz")
    md5 = hashlib.md5(remote.read_bytes()).hexdigest()
    monkeypatch.setattr(medmnist, "URL", remote.as_uri())
    monkeypatch.setitem(medmnist.MD5, ("organamnist", 64), md5)
    kept = tmp_path / "kept"
    source = MedMNISTSource(root=str(kept), download=True)
    assert len(source.read()) == 10
    assert [file.name for file in kept.iterdir()] == ["organamnist_64.npz"]
    remote.unlink()
    assert len(source.read()) == 10  # not fetched again


def test_no_network_and_damage_are_told_in_one_line(tmp_path):
    with pytest.raises(UserError, match=r"127\.0\.0\.1:1/x: cannot be fetched \(.*source\.path="):
        fetch("http://127.0.0.1:1/x", tmp_path / "x.npz", "0")
    remote = save(tmp_path / "remote.npz")
    with pytest.raises(UserError, match=r"came damaged"):
        fetch(remote.as_uri(), tmp_path / "x.npz", "0")
    assert [file.name for file in tmp_path.iterdir()] == ["remote.npz"]


def test_bad_files_and_options_are_refused(tmp_path):
    file = tmp_path / "a.npz"
    with pytest.raises(UserError, match="no such file"):
        MedMNISTSource(str(file)).read()
    file.write_text("text")
    with pytest.raises(UserError, match=r"not a readable \.npz file"):
        MedMNISTSource(str(file)).read()
    np.savez(file, images=np.zeros(3))
    with pytest.raises(UserError, match="holds no train_images"):
        MedMNISTSource(str(file)).read()
    save(file, train_images=np.zeros((2, 8, 8, 3), np.uint8))
    with pytest.raises(UserError, match=r"\(2, 8, 8, 3\)"):
        MedMNISTSource(str(file)).read()
    with pytest.raises(UserError, match=r"source\.name=organanmist.*did you mean organamnist"):
        MedMNISTSource(name="organanmist")
    with pytest.raises(UserError, match=r"source\.size=32"):
        MedMNISTSource(size=32)
    with pytest.raises(UserError, match=r"source\.splits=\['training'\]"):
        MedMNISTSource(splits=["training"])


def test_the_table_holds_every_set_and_size():
    assert len(medmnist.MD5) == len(set(medmnist.MD5.values())) == 12
