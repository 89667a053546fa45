from __future__ import annotations

import numpy as np
import torch
from scipy import stats

from gansfp.data.draws import batch_keys, bits, derive, normal, uniform

# The first numbers of SplitMix64 seeded with 1234567, as published with its reference code.
REFERENCE = [6457827717110365317, 3203168211198807973, 9817491932198370423,
             4593380528125082431, 16408922859458223821]  # fmt: skip


def test_the_stream_is_splitmix64() -> None:
    drawn = bits(torch.tensor([1234567]), 5)[0].numpy().astype(np.uint64)
    assert drawn.tolist() == REFERENCE


def test_uniform_numbers_are_the_top_bits_and_uniform() -> None:
    expected = np.array([value >> 40 for value in REFERENCE]) / 2**24
    np.testing.assert_array_equal(uniform(torch.tensor([1234567]), 5)[0].numpy(), expected)
    drawn = uniform(batch_keys(0, 0, 0, 2000), 10).numpy().ravel()
    assert stats.kstest(drawn, "uniform").pvalue > 0.01
    assert drawn.min() >= 0
    assert drawn.max() < 1


def test_normal_numbers_are_normal_and_uncorrelated() -> None:
    drawn = normal(batch_keys(3, 1, 4, 3000), 7).numpy()
    assert drawn.shape == (3000, 7)
    assert stats.kstest(drawn.ravel(), "norm").pvalue > 0.01
    correlation = np.corrcoef(drawn.T) - np.eye(7)
    assert abs(correlation).max() < 4 / np.sqrt(3000)


def test_every_part_of_a_key_counts() -> None:
    keys = [batch_keys(*place, 50) for place in [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)]]
    keys += [derive(keys[0], number) for number in (-1, 0, 1)]
    assert len(torch.cat(keys).unique()) == 50 * len(keys)


def test_a_share_of_a_batch_has_the_numbers_of_the_whole() -> None:
    keys = batch_keys(0, 2, 5, 12)
    torch.testing.assert_close(uniform(keys[1::3], 4), uniform(keys, 4)[1::3], rtol=0, atol=0)
