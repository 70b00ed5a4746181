"""What comes next is worked on while what came before is used, in order and never more than that."""

from __future__ import annotations

import threading

import pytest

from ingest.ahead import AT_ONCE, ahead


def test_answers_come_in_the_order_of_the_items() -> None:
    first_may_end = threading.Event()

    def work(item: int) -> int:
        if item == 0:
            assert first_may_end.wait(10), "the second is at work beside the first"
        else:
            first_may_end.set()
        return item * item

    assert list(ahead(work, range(20))) == [item * item for item in range(20)]
    assert list(ahead(work, [])) == []


def test_no_more_is_begun_than_is_asked_for() -> None:
    begun: list[int] = []
    answers = ahead(lambda item: begun.append(item) or item, range(100))  # type: ignore[func-returns-value]
    for expected in range(5):
        assert next(answers) == expected
        assert max(begun) <= expected + AT_ONCE
    answers.close()  # type: ignore[attr-defined]
    assert len(begun) <= 5 + AT_ONCE


def test_an_error_comes_at_its_place_and_what_follows_is_not_begun() -> None:
    begun: list[int] = []

    def work(item: int) -> int:
        begun.append(item)
        if item == 3:
            raise ValueError("the fourth")
        return item

    answers = ahead(work, range(100))
    assert [next(answers) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="the fourth"):
        next(answers)
    assert max(begun) <= 3 + AT_ONCE - 1
