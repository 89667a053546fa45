from __future__ import annotations

import csv

import numpy as np
import pytest
from PIL import Image

from gansfp.forge.benchmarks.canaries import body, mark, paint
from gansfp.forge.benchmarks.membership import MembershipBenchmark


@pytest.mark.parametrize("size", [16, 32, 64])
def test_pixels_differ_inside_the_mark_alone_and_the_mark_is_inside_the_body(discs, size):
    for seed, image in enumerate(discs(12, size=size).pixels):
        opacity, painted = mark(image, seed), paint(image, seed)
        changed = painted != image
        assert changed.any()
        assert not (changed & (opacity == 0)).any()
        assert (painted >= image).all()
        assert painted[opacity == 1].min() >= 250
        assert body(image)[opacity > 0].all()


def test_marks_are_soft_and_of_their_seed(discs):
    image = discs(1, size=64).pixels[0]
    opacity = mark(image, 5)
    assert ((opacity > 0.05) & (opacity < 0.95)).any()
    np.testing.assert_array_equal(mark(image, 5), opacity)
    assert not np.array_equal(mark(image, 6), opacity)
    outline = opacity > 0.5
    y, x = np.nonzero(outline)
    distance = np.hypot(y - y.mean(), x - x.mean())
    assert distance.max() > 1.25 * np.sqrt(outline.sum() / np.pi)  # no disc


def test_an_image_without_a_body_is_painted_all_the_same():
    black = np.zeros((32, 32), np.uint8)
    assert (paint(black, 0) > 200).any()


def test_written_pixels_are_those_trained_on(discs, forged, tmp_path):
    source = discs(60)
    benchmark = MembershipBenchmark(generated_train=6, generated_test=4, canaries=3)
    card = forged(benchmark, tmp_path, source)
    prepared = benchmark.prepare(source, 3)
    row_of = {name: row for row, name in enumerate(source.names)}
    for file, name in card["real"].items():
        written = np.asarray(Image.open(tmp_path / file).convert("L"))
        np.testing.assert_array_equal(written, prepared.pixels[row_of[name]])
    changed = {k for k in range(60) if (prepared.pixels[k] != source.pixels[k]).any()}
    assert changed == {row_of[entry["name"]] for entry in card["canaries"]}
    with (tmp_path / "test/labels.csv").open() as stream:
        labels = dict(list(csv.reader(stream))[1:])
    trained = set(benchmark.generators(source, 3)[0].rows)
    assert len(card["canaries"]) == 6
    for entry in card["canaries"]:
        is_member = entry["role"] == "member"
        assert (row_of[entry["name"]] in trained) == is_member
        assert labels[entry["file"].rpartition("/")[2]] == str(int(is_member))
        assert card["real"][entry["file"]] == entry["name"]


def test_without_canaries_nothing_is_touched(discs):
    source = discs(20)
    assert MembershipBenchmark(generated_train=6, generated_test=4).prepare(source, 0) is source
