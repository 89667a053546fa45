from __future__ import annotations

import csv
import hashlib

import numpy as np
import pytest
import toy_generator
from PIL import Image
from scipy.ndimage import zoom
from scipy.spatial.distance import cdist
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from toy import (
    AttributionCounts,
    MembershipCounts,
    write_toy_attribution,
    write_toy_membership,
)
from toy_generator import ToyGenerator, _enlarging

from gansfp.errors import UserError


@pytest.fixture(scope="module")
def membership(tmp_path_factory):
    return write_toy_membership(tmp_path_factory.mktemp("toy") / "membership")


@pytest.fixture(scope="module")
def attribution(tmp_path_factory):
    return write_toy_attribution(tmp_path_factory.mktemp("toy") / "attribution")


def pixels(folder):
    files = sorted(folder.rglob("*.png"))
    return np.stack([np.asarray(Image.open(file).convert("L")) for file in files]), [
        file.name for file in files
    ]


def flat(images):
    return images.reshape(len(images), -1).astype(float)


def read_csv(path):
    with path.open() as stream:
        return dict(list(csv.reader(stream))[1:])


def digest(folder):
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return [
        (str(path.relative_to(folder)), hashlib.sha256(path.read_bytes()).hexdigest())
        for path in files
    ]


def test_membership_has_the_folders_and_counts_of_the_contest(membership):
    counts = {
        str(folder.relative_to(membership)): len(list(folder.glob("*.png")))
        for folder in membership.glob("*/*/")
    }
    assert counts == {
        "train/generated": 400,
        "train/real_used": 60,
        "train/real_not_used": 60,
        "test/generated": 200,
        "test/real_unknown": 200,
    }
    labels = read_csv(membership / "test/labels.csv")
    assert sorted(labels.values()) == ["0"] * 100 + ["1"] * 100
    assert set(labels) == {f"real_unknown_{k}.png" for k in range(1, 201)}


def test_images_are_palette_png_of_grey_levels(membership):
    image = Image.open(membership / "train/generated/generated_1.png")
    assert (image.mode, image.size) == ("P", (64, 64))
    index = np.asarray(image)
    assert np.array_equal(index, np.asarray(image.convert("L")))
    assert index.std() > 30


def test_patients_do_not_cross_sets_or_truths(membership):
    groups = read_csv(membership / "groups.csv")
    labels = read_csv(membership / "test/labels.csv")
    sets = {}
    for file, group in groups.items():
        part = file.rsplit("/", 1)[0]
        sets.setdefault((part, labels.get(file.rsplit("/", 1)[1])), set()).add(group)
    assert len(groups) == 320
    assert len(sets) == 4
    assert sum(map(len, sets.values())) == len(set().union(*sets.values()))
    assert max(list(groups.values()).count(group) for group in groups.values()) == 3


def test_the_leak_is_partial_and_no_image_is_copied(membership):
    generated = np.concatenate(
        [pixels(membership / "train/generated")[0], pixels(membership / "test/generated")[0]]
    )
    labels = read_csv(membership / "test/labels.csv")
    unknown, names = pixels(membership / "test/real_unknown")
    truth = [int(labels[name]) for name in names]
    distance = cdist(flat(unknown), flat(generated)).min(axis=1)
    assert distance.min() > 100
    assert 0.70 < roc_auc_score(truth, -distance) < 0.85


@pytest.mark.parametrize("seed", [0, 1])
def test_who_sees_no_generated_image_is_at_chance(tmp_path, seed):
    folder = write_toy_membership(tmp_path / "toy", seed=seed)
    used, _ = pixels(folder / "train/real_used")
    unused, _ = pixels(folder / "train/real_not_used")
    unknown, names = pixels(folder / "test/real_unknown")
    labels = read_csv(folder / "test/labels.csv")
    truth = [int(labels[name]) for name in names]
    order = [int(name.split("_")[-1].removesuffix(".png")) for name in names]

    def features(images):
        return flat(images.reshape(-1, 16, 4, 16, 4).mean(axis=(2, 4)))

    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=1000))
    model.fit(features(np.concatenate([used, unused])), [1] * 60 + [0] * 60)
    # Four standard errors of the AUC at 100/100 under the null.
    assert abs(roc_auc_score(truth, model.decision_function(features(unknown))) - 0.5) < 0.164
    assert abs(roc_auc_score(truth, order) - 0.5) < 0.164


def test_attribution_is_between_chance_and_perfect(attribution):
    labels = read_csv(attribution / "test/labels.csv")
    unknown, names = pixels(attribution / "test/generated_unknown")
    truth = np.array([labels[name] for name in names])
    assert len(truth) == 300
    assert {name: list(truth).count(name) for name in set(truth)} == {
        f"t{k}": 60 for k in range(1, 6)
    }
    for kind, prefix, count in (("real", "", 40), ("generated", "gen_", 80)):
        sets = [pixels(attribution / f"train/{kind}/{prefix}t{k}")[0] for k in range(1, 6)]
        assert [len(images) for images in sets] == [count] * 5
        owner = np.repeat([f"t{k}" for k in range(1, 6)], count)
        distance = cdist(flat(unknown), flat(np.concatenate(sets)))
        assert distance.min() > 50
        assert 0.4 <= np.mean(owner[distance.argmin(axis=1)] == truth) < 0.9


def test_attribution_subsets_share_no_patient(attribution):
    groups = read_csv(attribution / "groups.csv")
    sets = {}
    for file, group in groups.items():
        sets.setdefault(file.split("/")[2], set()).add(group)
    assert sorted(sets) == ["t1", "t2", "t3", "t4", "t5"]
    assert sum(map(len, sets.values())) == len(set().union(*sets.values()))


def test_a_seed_gives_the_same_bytes_and_another_seed_others(membership, tmp_path):
    assert digest(write_toy_membership(tmp_path / "again")) == digest(membership)
    other = digest(write_toy_membership(tmp_path / "other", seed=1))
    same = dict(digest(membership)).items() & dict(other).items()
    assert same == set()


def test_a_finished_toy_is_kept_and_a_strange_folder_refused(tmp_path):
    folder = write_toy_attribution(tmp_path / "toy", size=32)
    before = digest(folder)
    assert write_toy_attribution(folder, size=32) == folder
    assert digest(folder) == before
    with pytest.raises(UserError, match="holds something else"):
        write_toy_attribution(folder, seed=1, size=32)


def test_counts_and_size_are_free(tmp_path):
    counts = MembershipCounts(labelled=3, test=4, generated_train=7, generated_test=5)
    folder = write_toy_membership(tmp_path / "m", size=96, counts=counts)
    found = {str(f.relative_to(folder)): len(list(f.glob("*.png"))) for f in folder.glob("*/*/")}
    assert found == {
        "train/generated": 7,
        "train/real_used": 3,
        "train/real_not_used": 3,
        "test/generated": 5,
        "test/real_unknown": 8,
    }
    assert Image.open(folder / "test/generated/generated_5.png").size == (96, 96)
    each = AttributionCounts(real=4, train=3, test=6)
    folder = write_toy_attribution(tmp_path / "a", size=32, counts=each)
    labels = read_csv(folder / "test/labels.csv")
    assert sorted(path.name for path in (folder / "test/generated_unknown").iterdir()) == sorted(
        f"generated_unknown_{k}.png" for k in range(1, 31)
    )
    assert sorted(labels.values()) == sorted(f"t{k}" for k in range(1, 6) for _ in range(6))
    with pytest.raises(UserError, match="holds something else"):
        write_toy_attribution(folder, size=32)


def test_threads_change_no_pixel(monkeypatch):
    members = np.random.default_rng(0).integers(0, 256, (9, 80, 80)).astype(np.uint8)
    monkeypatch.setattr(toy_generator, "_CHUNK_PIXELS", 4 * 80 * 80)
    drawn = []
    for threads in (1, 3):
        monkeypatch.setattr(toy_generator, "usable_cpus", lambda threads=threads: threads)
        drawn.append(ToyGenerator().sample(members, 18, np.random.default_rng(1)))
    np.testing.assert_array_equal(*drawn)
    assert len(drawn[0]) == 18
    assert len({image.tobytes() for image in drawn[0]}) == 18


def test_a_field_is_enlarged_as_scipy_does():
    field = np.random.default_rng(0).standard_normal((12, 12)).astype(np.float32)
    grown = _enlarging(12, 30) @ field @ _enlarging(12, 30).T
    peer = zoom(field, 2.5, order=1, mode="grid-wrap", grid_mode=True)
    np.testing.assert_allclose(grown, peer, atol=1e-6)
