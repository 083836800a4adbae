import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glassnet.randomness import CounterRandom


def draw(rows, width, *, seed=1, layer=2, step=3, row=0):
    out = np.full((rows, CounterRandom.row_length(width)), np.nan, np.float32)
    CounterRandom(seed, layer).uniform(out, step, row)
    return out


def test_the_length_of_a_row():
    assert [CounterRandom.row_length(width) for width in (1, 7, 8, 9, 100)] == [8, 8, 8, 16, 104]


def test_the_numbers_are_philox_4x64():
    """The documented stream: NumPy's own Philox, its counter advanced by hand, two float32 a word."""
    bits = np.random.Philox(key=1 + (2 << 64), counter=5 * 2 + (3 << 128))  # row 5 of 16 numbers, step 3
    words = bits.random_raw(8)
    halves = np.stack([words & 0xFFFFFFFF, words >> 32], axis=1).ravel()
    np.testing.assert_array_equal(draw(1, 16, row=5)[0], (halves >> 8) / 2**24)


@settings(deadline=None)
@given(
    width=st.integers(1, 40),
    cuts=st.lists(st.integers(1, 5), min_size=1, max_size=5),
    step=st.integers(0, 2**63),
    seed=st.integers(0, 2**64 - 1),
)
def test_blocks_do_not_matter(width, cuts, step, seed):
    at_once = draw(sum(cuts), width, step=step, seed=seed)
    random, row = CounterRandom(seed, 2), 0
    for n in cuts:
        block = np.empty((n, at_once.shape[1]), np.float32)
        random.uniform(block, step, row)
        np.testing.assert_array_equal(block, at_once[row : row + n])
        row += n


def test_what_was_drawn_before_does_not_matter():
    random = CounterRandom(1, 2)
    odd = np.empty((3, 8), np.float32)
    random.uniform(odd, 99, 7)
    again = np.empty((4, 16), np.float32)
    random.uniform(again, 3, 0)
    np.testing.assert_array_equal(again, draw(4, 16))
    random.uniform(odd, 99, 7)
    np.testing.assert_array_equal(odd, draw(3, 8, step=99, row=7))


@pytest.mark.parametrize("other", [{"seed": 2}, {"layer": 3}, {"step": 4}, {"row": 10}, {"seed": 2, "layer": 1}])
def test_another_seed_layer_step_or_row_gives_other_numbers(other):
    a, b = draw(10, 80), draw(10, 80, **other)
    assert (a != b).mean() > 0.99
    assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 5 / np.sqrt(a.size)


def test_steps_never_come_round_again():
    steps = [0, 1, 100, 1000, 2**16, 2**31, 2**32, 2**53, 2**53 + 1, 2**64 - 1]
    assert len({draw(1, 8, step=step).tobytes() for step in steps}) == len(steps)


def test_large_seeds_are_told_apart():
    seeds = [0, 1, 2**63 - 1, 2**63, 2**63 + 1, 2**64 - 2, 2**64 - 1]
    assert len({draw(1, 8, seed=seed).tobytes() for seed in seeds}) == len(seeds)


def test_uniform_in_zero_to_one():
    u = draw(1000, 1000)
    n = u.size
    assert u.min() >= 0
    assert u.max() < 1
    u = u.astype(np.float64)
    assert abs(u.mean() - 1 / 2) < 5 * np.sqrt(1 / 12 / n)
    assert abs(u.var() - 1 / 12) < 5 * np.sqrt(1 / 180 / n)
    counts = np.histogram(u, bins=100, range=(0, 1))[0]
    chi2 = ((counts - n / 100) ** 2 / (n / 100)).sum()
    assert abs(chi2 - 99) < 5 * np.sqrt(2 * 99)
    for a, b in ((u[:, 1:], u[:, :-1]), (u[1:], u[:-1])):  # neighbours in a row, and in a column
        assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 5 / np.sqrt(n)
