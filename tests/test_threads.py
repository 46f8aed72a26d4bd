import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np  # noqa: F401  # brings BLAS
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from enlarger import threads
from enlarger.scratch import scratch, scratch_folder
from enlarger.threads import Lane, aside, at_most, default_threads, in_order, one_blas_thread


def test_default_threads_keep_to_what_the_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    assert 1 <= default_threads() <= len(os.sched_getaffinity(0))
    files = {f"/sys/devices/system/cpu/cpu{n}/topology/thread_siblings_list": f"{n % 4},{n % 4 + 4}" for n in range(8)}
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    monkeypatch.setattr(threads, "_text", lambda path: files.get(path, ""))
    assert default_threads() == 4, "two threads of a core count once"
    files["/sys/fs/cgroup/cpu.max"] = "250000 100000"
    assert default_threads() == 2, "a quota of 2.5 cores is two threads"
    files["/sys/fs/cgroup/cpu.max"] = "50000 100000"
    assert default_threads() == 1


@pytest.mark.parametrize("count", [1, 2, 4])
def test_answers_come_in_order_however_long_each_takes(count: int) -> None:
    later = threading.Event()

    def make(number: int) -> int:
        if number == 0 and count > 1:
            assert later.wait(30), "the second was not begun while the first was being made"
        later.set()
        return number * number

    with at_most(count):
        assert list(in_order(make, range(20))) == [number * number for number in range(20)]


def test_no_more_at_a_time_than_allowed_and_few_waiting() -> None:
    lock, now, most, begun = threading.Lock(), 0, 0, 0

    def make(number: int) -> int:
        nonlocal now, most, begun
        with lock:
            now, begun = now + 1, begun + 1
            most = max(most, now)
        threading.Event().wait(0.002)
        with lock:
            now -= 1
        return number

    with at_most(3):
        for taken in in_order(make, range(50)):
            assert begun <= taken + 1 + 4, "answers that nobody took yet are held in memory"
    assert 1 < most <= 3


def test_an_error_comes_when_its_turn_comes_and_nothing_more_is_begun() -> None:
    begun = []

    def make(number: int) -> int:
        begun.append(number)
        if number == 3:
            raise ValueError("three")
        return number

    with at_most(2):
        coming = in_order(make, range(100))
        assert [next(coming) for _ in range(3)] == [0, 1, 2]
        with pytest.raises(ValueError, match="three"):
            next(coming)
    assert max(begun) < 8


def test_threads_see_what_was_said_where_they_were_asked(tmp_path: Path) -> None:
    with scratch(tmp_path), at_most(2):
        assert set(in_order(lambda _: scratch_folder(), range(6))) == {tmp_path}


def test_the_limit_holds_in_its_own_thread_only_and_ends() -> None:
    def width(patience: float) -> int:
        """How many of two answers were made while the other was."""
        both = threading.Barrier(2)

        def make(_: int) -> bool:
            try:
                both.wait(patience)
            except threading.BrokenBarrierError:
                return False
            return True

        return sum(in_order(make, range(2)))

    with at_most(1):
        assert width(0.3) == 0
        with at_most(None):
            assert width(0.3) == 0, "None changes nothing"
        with at_most(2):
            assert width(30) == 2
        with ThreadPoolExecutor(1) as other:
            assert other.submit(lambda: threads._limit.get()).result() is None


@pytest.mark.parametrize("count", [1, 2])
def test_a_lane_keeps_the_order_and_raises_what_a_call_raised(count: int) -> None:
    done: list[int] = []

    def call(number: int) -> None:
        if number == 5:
            raise ValueError("five")
        done.append(number)

    with at_most(count):
        lane = Lane()
    for number in range(5):
        lane.do(call, number)
    lane.wait()
    assert done == [0, 1, 2, 3, 4]

    def later() -> None:
        lane.do(call, 5)
        lane.wait()

    with pytest.raises(ValueError, match="five"):
        later()


@pytest.mark.parametrize("ahead", [1, 3])
def test_a_lane_works_beside_its_caller_and_lets_few_calls_wait(ahead: int) -> None:
    go, done = threading.Event(), []

    def call(number: int) -> None:
        assert go.wait(30)
        done.append(number)

    with at_most(2):
        lane = Lane(ahead)
    for number in range(ahead):
        lane.do(call, number)
    assert done == [], "they were taken while they could not be done"
    threading.Timer(0.05, go.set).start()
    lane.do(call, ahead)
    assert done[0] == 0, "one more was taken before the first was done"
    lane.do(call, ahead + 1)
    lane.wait()
    assert done == list(range(ahead + 2))


@pytest.mark.parametrize("count", [1, 2])
def test_aside_answers_when_asked(count: int) -> None:
    begun = threading.Event()

    def make() -> int:
        begun.set()
        return 7

    with at_most(count):
        answer = aside(make)
    assert begun.wait(0.3 if count == 1 else 30) is (count > 1), "one thread means: nothing beside the caller"
    assert answer() == 7

    def fail() -> int:
        raise ValueError("no")

    with at_most(count):
        answer = aside(fail)
    with pytest.raises(ValueError, match="no"):
        answer()


def test_blas_has_its_threads_again_when_the_last_of_several_is_done() -> None:
    """One that came while another was inside must not restore what that one had set."""

    def now() -> set[int]:
        return {one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"}

    with threadpool_limits(2, "blas"):
        first, second = one_blas_thread(), one_blas_thread()
        first.__enter__()
        second.__enter__()
        assert now() == {1}
        first.__exit__(None, None, None)
        assert now() == {1}
        second.__exit__(None, None, None)
        assert now() == {2}
