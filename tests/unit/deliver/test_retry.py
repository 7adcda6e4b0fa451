from __future__ import annotations

from random import Random

import pytest

from gateway.deliver.retry import RetryPolicy

POLICY = RetryPolicy(first_seconds=5, factor=2, longest_seconds=60, attempts=8)


@pytest.mark.parametrize(
    ("attempts", "ceiling"),
    [
        (1, 5.0),  # the first failure
        (2, 10.0),
        (4, 40.0),
        (5, 60.0),  # capped
        (7, 60.0),
        (100_000, 60.0),  # the power overflows a float
    ],
)
def test_ceiling_grows_up_to_the_cap(attempts: int, ceiling: float) -> None:
    assert POLICY.ceiling(attempts) == ceiling


def test_jitter_is_full_and_within_the_ceiling() -> None:
    random = Random(1)
    delays = [POLICY.delay(3, random=random) for _ in range(2000)]
    assert all(delay is not None and 0 <= delay <= 20 for delay in delays)
    assert min(delay for delay in delays if delay is not None) < 1
    assert max(delay for delay in delays if delay is not None) > 19


def test_the_same_random_source_gives_the_same_delays() -> None:
    assert POLICY.delay(3, random=Random(7)) == POLICY.delay(3, random=Random(7))


def test_retry_after_is_a_lower_bound() -> None:
    assert POLICY.delay(1, random=Random(1), retry_after=900.0) == 900.0
    assert POLICY.delay(1, random=Random(1), retry_after=0.0) == POLICY.delay(1, random=Random(1))


def test_dead_at_the_limit_even_if_the_peer_names_a_time() -> None:
    assert POLICY.delay(7, random=Random(1)) is not None
    assert POLICY.delay(8, random=Random(1)) is None
    assert POLICY.delay(9, random=Random(1), retry_after=1.0) is None


def test_without_a_limit_it_never_dies() -> None:
    assert RetryPolicy(attempts=None).delay(10**6, random=Random(1)) is not None


@pytest.mark.parametrize(
    "fields",
    [
        {"first_seconds": 0.0},
        {"factor": 0.5},
        {"first_seconds": 10.0, "longest_seconds": 5.0},
        {"attempts": 0},
    ],
)
def test_impossible_policies_are_refused(fields: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="a retry policy needs"):
        RetryPolicy(**fields)  # type: ignore[arg-type]


def test_a_delay_needs_a_failure() -> None:
    with pytest.raises(ValueError, match="at least one failed"):
        POLICY.delay(0, random=Random(1))
