"""Curves, tubes and trees."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from gansfp.data.sources.phantom.curves import (
    Profile,
    Warp,
    Wobble,
    closed_curve,
    ellipse,
    shrunk,
    smooth_field,
)
from gansfp.data.sources.phantom.patient import Patient
from gansfp.data.sources.phantom.plane import AIR, Plane
from gansfp.data.sources.phantom.trees import LEVELS
from gansfp.data.sources.phantom.tubes import Tubes, cut
from gansfp.data.sources.phantom.vessels import Vessels


def area(curve):
    x, y = curve[:, 0], curve[:, 1]
    return abs(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1))) / 2


def tube(start, stop, first, last):
    return Tubes(np.array([start], float), np.array([stop], float), np.r_[first], np.r_[last])


def test_upright_tube_is_cut_in_a_circle():
    outline = cut(tube((3, 4, -10), (3, 4, 10), 2.0, 2.0), 0.0)[0]
    radius = np.hypot(*(outline - (3, 4)).T)
    assert radius == pytest.approx(np.full(16, 2.0), abs=1e-6)


def test_oblique_tube_is_cut_in_an_ellipse():
    # A cylinder at 60 degrees to the axis: half axes r and r / cos(60) = 2 r.
    way = np.array([np.sin(np.pi / 3), 0, np.cos(np.pi / 3)])
    outline = cut(tube(-20 * way, 20 * way, 2.0, 2.0), 0.0)[0]
    assert np.ptp(outline[:, 0]) / 2 == pytest.approx(4.0, rel=0.05)
    assert np.ptp(outline[:, 1]) / 2 == pytest.approx(2.0, rel=0.02)
    assert area(outline) == pytest.approx(np.pi * 8, rel=0.12)


def test_slab_lengthens_oblique_tubes_and_dilutes_flat_ones():
    lying = tube((-9, 0, 0.1), (9, 0, -0.1), 0.5, 0.5)
    upright = tube((0, 0, -9), (0, 0, 9), 0.5, 0.5)
    assert lying.share(2.0)[0] == pytest.approx(0.5, abs=0.01)
    assert upright.share(2.0)[0] == 1
    oblique = tube((-9, 0, -9), (9, 0, 9), 0.5, 0.5)
    thin, thick = (np.ptp(cut(oblique, 0.0, t)[0][:, 0]) for t in (0.0, 3.0))
    assert thick - thin == pytest.approx(3.0, abs=0.2)
    assert not lying.near(2.0)[0]
    assert lying.near(2.0, thick=4.0)[0]


def test_pruned_tree_is_the_tree_where_it_matters():
    vessels = Vessels(Patient(0, 3))
    whole, pruned = vessels.tree(), vessels.tree(30.0)
    assert len(whole.depth) == 4 * (2 ** (LEVELS + 2) - 2)
    assert len(pruned.depth) < len(whole.depth) / 3
    lots = []
    for tree in (whole, pruned):
        near = tree.tubes.near(30.0, 3.5)
        lots.append(tree.tubes[near])
        assert np.all(np.diff(tree.depth) >= 0)
    for name in ("start", "stop", "start_radius", "stop_radius"):
        np.testing.assert_array_equal(getattr(lots[0], name), getattr(lots[1], name))


def test_branches_hang_together_and_taper():
    tree = Vessels(Patient(0, 3)).tree()
    ends = {tuple(end) for end in tree.tubes.stop}
    inner = tree.depth > 0
    assert all(tuple(start) in ends for start in tree.tubes.start[inner])
    mean = [tree.tubes.stop_radius[tree.depth == d].mean() for d in range(LEVELS + 1)]
    assert np.all(np.diff(mean) < 0)
    assert np.all(tree.tubes.stop[tree.owner < 2, 0].mean() < 0)  # the right lung is at negative x


def test_trees_differ_between_patients():
    one, other = (Vessels(Patient(0, number)).tree() for number in (1, 2))
    assert np.abs(one.tubes.stop - other.tubes.stop).mean() > 5


def test_closed_curve_runs_through_its_points():
    points = ellipse((1, 2), (30, 20), count=12)
    curve = closed_curve(points)
    np.testing.assert_allclose(curve[::8], points)
    assert area(curve) == pytest.approx(np.pi * 600, rel=0.02)
    for order in (curve, curve[::-1]):
        assert area(shrunk(order, 2.0)) == pytest.approx(np.pi * 28 * 18, rel=0.03)


def test_profile_meets_its_rows_and_is_constant_beyond():
    profile = Profile([(0, 1, 10), (10, 3, 20), (20, 2, 0)])
    np.testing.assert_allclose(profile(10), [3, 20])
    np.testing.assert_allclose(profile(-5), [1, 10])
    np.testing.assert_allclose(profile(99), [2, 0])
    assert profile.one(5) == pytest.approx(2)
    levels = np.linspace(-5, 25, 61)
    np.testing.assert_array_equal(profile.many(levels), [profile(level) for level in levels])


def test_a_stream_is_that_of_philox_with_the_hash_as_its_key():
    words = repr((5, 7, "ribs", 2)).encode()
    key = np.frombuffer(hashlib.blake2b(words, digest_size=16).digest(), "<u8")
    expected = np.random.Generator(np.random.Philox(key=key)).standard_normal(9)
    np.testing.assert_array_equal(Patient(5, 7).rng("ribs", 2).standard_normal(9), expected)


def test_what_is_painted_later_lies_above():
    plane = Plane(40, 40.0, (0.0, 0.0), 0.0, 0.0, lambda points: points)
    plane.fill(ellipse((0, 0), (15, 15)), 1.0)
    plane.line(np.array([[-18.0, 0.0], [0.0, 0.0], [18.0, 0.0]]), 8.0, 2.0)
    plane.fill(ellipse((0, 0), (6, 6)), 3.0)
    squares = np.array([[[-2, -2], [2, -2], [2, 2], [-2, 2]]] * 2, dtype=float)
    plane.fill_all(squares, np.array([4.0, 5.0]))
    assert plane.pixels[20, [0, 3, 10, 15, 20, 30, 36]].tolist() == [AIR, 2, 2, 3, 5, 2, 2]
    assert plane.pixels[8, 20] == 1


def test_random_shapes_have_the_size_asked_for():
    grid = np.stack(np.meshgrid(np.arange(-100, 101, 20), np.arange(-100, 101, 20)), -1)
    grid = grid.reshape(-1, 2).astype(float)
    moves = [
        Warp.draw(np.random.default_rng(k), 4.0, (100, 300)).at(5.0)(grid) - grid for k in range(99)
    ]
    assert np.sqrt(np.mean(np.square(moves))) == pytest.approx(4.0, rel=0.1)
    circle = ellipse((0, 0), (100, 100))
    bumps = [Wobble.draw(np.random.default_rng(k), 3.0)(circle, 0.0) for k in range(200)]
    radii = np.hypot(*np.stack(bumps).transpose(2, 0, 1))
    assert (radii - 100).std() == pytest.approx(3.0, rel=0.15)


def test_smooth_field_has_unit_variance():
    rng = np.random.default_rng(0)
    fields = np.stack([smooth_field(rng.standard_normal((9, 9)), 64) for _ in range(300)])
    assert fields.std() == pytest.approx(1.0, rel=0.05)
    assert np.abs(np.diff(fields, axis=1)).mean() < 0.15
