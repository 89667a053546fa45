from __future__ import annotations

import csv

import numpy as np
import pytest

from gansfp.errors import UserError
from gansfp.forge.bank import read_bank
from gansfp.forge.benchmarks.bank import ShadowBank


def known(source, plans):
    member = np.zeros((len(plans), len(source)), dtype=bool)
    for row, plan in enumerate(plans):
        member[row, plan.rows] = True
    return member


def test_of_an_even_bank_each_patient_is_known_to_exactly_half(discs):
    source = discs(60, per_patient=3)
    member = known(source, ShadowBank(8, 4).generators(source, 0))
    assert (member.sum(axis=0) == 4).all()
    for patient in set(source.groups):
        rows = np.array(source.groups) == patient
        assert (member[:, rows] == member[:, rows][:, :1]).all()
    assert len({row.tobytes() for row in member}) == 8
    assert ((member.sum(axis=1) > 25) & (member.sum(axis=1) < 35)).all()


def test_the_halves_of_two_patients_are_independent(discs):
    member = known(discs(40), ShadowBank(400, 4).generators(discs(40), 0))[::2].astype(float)
    together = (member[:, 0] * member[:, 1]).mean()
    assert together == pytest.approx(0.5 * 19 / 39, abs=4 * np.sqrt(0.19 / 200))


def test_an_odd_bank_leaves_out_the_last_half(discs):
    even, odd = (ShadowBank(k, 4).generators(discs(20), 5) for k in (4, 3))
    for one, other in zip(odd, even, strict=False):
        assert one.name == other.name
        np.testing.assert_array_equal(one.rows, other.rows)
    assert len(odd) == 3


def test_a_bank_is_read_as_it_was_written(discs, forged, tmp_path):
    source = discs(24, per_patient=2)
    benchmark = ShadowBank(4, 12)
    forged(benchmark, tmp_path, source)
    bank = read_bank(tmp_path)
    np.testing.assert_array_equal(bank.real, source.pixels)
    np.testing.assert_array_equal(bank.membership, known(source, benchmark.generators(source, 3)))
    assert bank.membership.dtype == bool
    assert tuple(bank.groups) == source.groups
    assert bank.names == ("g001", "g002", "g003", "g004")
    rng = np.random.default_rng(1)
    for name in bank.names:  # 12 images: their names are not in alphabetic order
        np.testing.assert_array_equal(bank.generated[name], rng.integers(0, 256, (12, 32, 32)))


def test_a_damaged_bank_says_what_is_wrong(discs, forged, tmp_path):
    forged(ShadowBank(2, 3), tmp_path, discs(8))
    (tmp_path / "real/real_3.png").unlink()
    with pytest.raises(UserError, match=r"real_3\.png: no such file"):
        read_bank(tmp_path)
    with (tmp_path / "membership.csv").open("a", newline="") as stream:
        csv.writer(stream).writerow(["real/real_9.png", "1"])
    with pytest.raises(UserError, match="every line must have 3 columns"):
        read_bank(tmp_path)
    with pytest.raises(UserError, match="no such file"):
        read_bank(tmp_path / "elsewhere")


def test_a_bank_needs_two_generators_and_two_patients(discs):
    with pytest.raises(UserError, match="at least 2"):
        ShadowBank(1, 4)
    with pytest.raises(UserError, match="two patients"):
        ShadowBank(2, 4).generators(discs(4, per_patient=4), 0)
