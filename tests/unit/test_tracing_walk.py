"""The linear system: two solvers, one answer, at any condition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracing.walk import absorb, eliminate


def walk(seed, size, leak):
    """A random walk whose states end with a chance of about ``leak`` each step."""
    rng = np.random.default_rng(seed)
    onward = rng.random((size, size)) * (rng.random((size, size)) < 0.5)
    np.fill_diagonal(onward, 0.0)
    ends = rng.random((size, 3)) * leak
    total = onward.sum(axis=1, keepdims=True) + ends.sum(axis=1, keepdims=True)
    return onward / total, ends / total


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.sampled_from([1.0, 1e-2, 1e-4]))
def test_both_solvers_agree(seed, size, leak):
    onward, ends = walk(seed, size, leak)
    assert absorb(onward, ends) == pytest.approx(eliminate(onward, ends), abs=1e-9)


@settings(max_examples=20, deadline=None, derandomize=True)
@given(st.integers(0, 2**32 - 1), st.integers(2, 30), st.sampled_from([1e-8, 1e-15, 1e-30]))
def test_rows_add_to_one_however_long_the_walk(seed, size, leak):
    onward, ends = walk(seed, size, leak)
    assert absorb(onward, ends).sum(axis=1) == pytest.approx(np.ones(size), abs=1e-9)


def test_a_long_walk_ends_in_proportion_to_its_exits():
    """Two states swap for ever but for exits of 1 and 4 parts in 1e16; LAPACK alone cannot tell them."""
    onward = np.array([[0.0, 1.0], [1.0, 0.0]])
    ends = np.array([[1e-16, 0.0, 0.0], [0.0, 4e-16, 0.0]])
    assert absorb(onward, ends) == pytest.approx(np.array([[0.2, 0.8, 0.0]] * 2), abs=1e-12)


def test_walks_that_cannot_end_take_the_last_way():
    onward = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.5, 0.0, 0.0]])
    ends = np.array([[0.0, 0.0], [0.0, 0.0], [0.5, 0.0]])
    assert absorb(onward, ends).tolist() == [[0.0, 1.0], [0.0, 1.0], [0.5, 0.5]]
