"""Batches side by side: in order, a thread each, and no more taken than needed."""

import itertools
import threading
import time
from collections.abc import Iterator

import pytest
import torch

from triptych.runtime.streams import in_streams


@pytest.fixture(autouse=True)
def three_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def test_results_come_in_order_and_each_stream_uses_one_thread() -> None:
    streams = set()

    def work(number: int) -> tuple[int, int]:
        streams.add(threading.get_ident())
        time.sleep(0.002 * (number % 3))
        return number, torch.get_num_threads()

    assert list(in_streams(work, range(40))) == [(number, 1) for number in range(40)]
    assert len(streams) == 3
    assert threading.get_ident() not in streams


def test_the_threads_of_all_others_are_left_as_they_were() -> None:
    assert list(in_streams(lambda x: x, [1])) == [1]
    assert torch.get_num_threads() == 3
    found = []
    thread = threading.Thread(target=lambda: found.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    assert found == [3]


def test_no_more_is_taken_than_two_a_stream_ahead() -> None:
    given = itertools.count()
    found = in_streams(lambda x: x, given)
    assert [next(found), next(found)] == [0, 1]
    found.close()
    assert next(given) <= 2 + 6


def test_an_error_in_a_stream_is_raised() -> None:
    def work(number: int) -> int:
        if number == 5:
            raise ValueError("five")
        return number

    found = in_streams(work, range(10))
    assert [next(found) for _ in range(5)] == [0, 1, 2, 3, 4]
    with pytest.raises(ValueError, match="five"):
        next(found)
    assert torch.get_num_threads() == 3


def test_nothing_given_is_nothing_made() -> None:
    assert list(in_streams(lambda x: x, [])) == []


def test_one_thread_is_the_one_that_asks() -> None:
    torch.set_num_threads(1)
    assert list(in_streams(lambda _: threading.get_ident(), [1])) == [threading.get_ident()]
