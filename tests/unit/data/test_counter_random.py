"""Numbers that belong to their keys: the published sequence, uniform, fair, the same anywhere."""

import numpy as np
import pytest

from triptych.data.counter_random import below, heads, random_bits, uniform


def test_the_published_sequence():
    """The first outputs of SplitMix64 from state 0, as in its authors' test."""
    expected = [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]
    assert random_bits(np.arange(3)).tolist() == expected
    assert [int(random_bits(i)[0]) for i in range(3)] == expected


def test_a_number_depends_on_its_keys_alone():
    rows, columns = np.arange(5)[:, None], np.arange(7)
    table = random_bits(3, rows, columns)
    assert table.shape == (5, 7)
    for i in range(5):
        for j in range(7):
            assert table[i, j] == random_bits(3, i, j)[0]
    assert len(np.unique(table)) == 35
    assert (random_bits(-1) == random_bits(2**64 - 1)).all()


def test_neighbouring_keys_share_nothing():
    """Any two of the streams differ in half of their bits, whichever key moves by one."""
    counters = np.arange(10_000)
    base = random_bits(1, 1, 1, counters)
    for keys in ((2, 1, 1), (1, 2, 1), (1, 1, 2), (0, 1, 1)):
        differing = np.bitwise_count(base ^ random_bits(*keys, counters))
        assert abs(differing.mean() - 32) < 0.2
    assert abs(np.bitwise_count(base[1:] ^ base[:-1]).mean() - 32) < 0.2


@pytest.mark.parametrize("key", range(3))
def test_uniform(key):
    values = uniform(key, np.arange(100_000))
    assert values.min() >= 0
    assert values.max() < 1
    counts = np.histogram(values, 100, (0, 1))[0]
    assert ((counts - 1000) ** 2 / 1000).sum() < 160  # χ² with 99 degrees: 149 at one in 1,000
    assert abs(np.corrcoef(values[1:], values[:-1])[0, 1]) < 0.015


def test_below_reaches_every_number_and_no_other():
    counts = np.bincount(below(7, 1, np.arange(70_000)), minlength=7)
    assert len(counts) == 7
    assert abs(counts - 10_000).max() < 400
    limits = np.tile([1, 2, 3], 100)
    drawn = below(limits, 2, np.arange(300))
    assert (drawn[limits == 1] == 0).all()
    assert set(drawn[limits == 3]) == {0, 1, 2}


def test_heads_counts_the_leading_bits():
    tosses = np.array([0, 1, 63, 64, 65, 0, 200, 1000])
    owner = np.arange(8) + 40
    counted = heads(tosses, 5, owner)
    for n, key, count in zip(tosses.tolist(), owner.tolist(), counted.tolist(), strict=True):
        words = [int(random_bits(5, key, word)[0]) for word in range(-(-n // 64))]
        assert count == "".join(f"{word:064b}" for word in words)[:n].count("1")


def test_heads_are_fair():
    counts = heads(np.full(20_000, 10), 6, np.arange(20_000))
    assert abs(counts.mean() - 5) < 0.05
    assert abs(counts.var() - 2.5) < 0.1
    assert heads(np.zeros(0, dtype=np.int64), 6).tolist() == []
