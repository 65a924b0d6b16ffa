"""Simulated processors: fair by weight, and nothing is lost or done twice."""

from __future__ import annotations

import pytest
from benchmarks.sharing import Work, shares, simulate
from hypothesis import given
from hypothesis import strategies as st

weights = st.lists(st.floats(0.1, 10), min_size=1, max_size=8)
works = st.lists(
    st.builds(
        Work,
        st.floats(0, 1000),
        st.floats(0.1, 100),
        st.sampled_from([1.0, 2.0]),
        st.sampled_from(["a", "b", "c", "d"]),
        st.booleans(),
    ),
    min_size=1,
    max_size=30,
)


@given(weights, st.integers(1, 8))
def test_shares_fill_the_processors(weights: list[float], cores: int) -> None:
    """Nobody gets more than one processor, and none stays idle while somebody wants it."""
    given_ = shares(weights, cores)

    assert all(0 < share <= 1 + 1e-9 for share in given_)
    assert sum(given_) == pytest.approx(min(cores, len(weights)))


def test_weight_decides_where_processors_are_short() -> None:
    """On one processor twice the weight is twice the share."""
    assert shares([2.0, 1.0], 1) == pytest.approx([2 / 3, 1 / 3])
    # The heavy one can't use more than a processor; the rest is for the others.
    assert shares([9.0, 1.0, 1.0], 2) == pytest.approx([1.0, 0.5, 0.5])


@given(works, st.integers(1, 4))
def test_every_work_ends_once_and_not_too_early(jobs: list[Work], cores: int) -> None:
    """Each work is done or refused, none before it could be, and no processor works twice."""
    done = simulate(jobs, cores)

    assert sorted(id(work) for work, _ in done) == sorted(map(id, jobs))
    ended = [(work, spent) for work, spent in done if spent is not None]
    assert all(spent >= work.needs_ms - 1e-6 for work, spent in ended)
    assert all(not work.waits for work, spent in done if spent is None)
    total = sum(work.needs_ms for work, _ in ended)
    span = max(work.arrives_ms + spent for work, spent in ended) - min(w.arrives_ms for w in jobs)
    assert total <= span * cores + 1e-6


def test_owner_takes_one_work_at_a_time() -> None:
    """A second part waits for the first, or is refused; another owner's is not held up."""
    first, second = Work(0, 10, owner="a"), Work(1, 10, owner="a")
    refused, other = Work(2, 10, owner="a", waits=False), Work(0, 10, owner="b")

    ends = {id(work): spent for work, spent in simulate([first, second, refused, other], 2)}

    assert ends[id(first)] == pytest.approx(10)
    assert ends[id(second)] == pytest.approx(19)
    assert ends[id(refused)] is None
    assert ends[id(other)] == pytest.approx(10)
