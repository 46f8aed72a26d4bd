"""Threads: how many this process may use, and pure functions run in a few of them, their answers in order.

numpy and libvips let go of the interpreter while they compute, so threads do what processes would, and share what they read.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import ContextVar, copy_context
from functools import cache
from pathlib import Path
from typing import TypeVar

from threadpoolctl import threadpool_limits

MOST_THREADS = 64
"""Of a net."""

MOST_SIDE_BY_SIDE = 4
"""Answers of :func:`in_order` that are made at a time: each holds its memory, and above this the disk and one reader set the pace."""

T = TypeVar("T")
R = TypeVar("R")

_limit: ContextVar[int | None] = ContextVar("threads", default=None)


@contextlib.contextmanager
def at_most(threads: int | None) -> Iterator[None]:
    """Inside, in this thread, :func:`in_order` uses at most so many threads; ``None`` changes nothing."""
    token = _limit.set(threads or _limit.get())
    try:
        yield
    finally:
        _limit.reset(token)


_blas = threading.Lock()
_blas_users: list[threadpool_limits] = []
_blas_count = 0


@contextlib.contextmanager
def one_blas_thread() -> Iterator[None]:
    """Inside, BLAS has one thread, for the whole process: products that are small would mostly wait for each other.

    Several threads may be inside at a time. The first one in sets it and the last one out restores what was there: each for itself
    would restore what another one had set.
    """
    global _blas_count
    with _blas:
        if not _blas_count:
            _blas_users.append(threadpool_limits(1, "blas"))  # type: ignore[no-untyped-call]
        _blas_count += 1
    try:
        yield
    finally:
        with _blas:
            _blas_count -= 1
            if not _blas_count:
                _blas_users.pop().restore_original_limits()  # type: ignore[no-untyped-call]


def default_threads() -> int:
    """Physical cores that this process may use: within its affinity mask and its cgroup's quota, at most 64."""
    if not hasattr(os, "sched_getaffinity"):
        return min(MOST_THREADS, os.cpu_count() or 1)
    allowed = os.sched_getaffinity(0)
    # Two threads on one core share its vector units: a second one brings nothing to Winograd.
    cores = {_text(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list") or str(cpu) for cpu in allowed}
    quota, period = (_text("/sys/fs/cgroup/cpu.max") or "max 100000").split()
    limit = len(cores) if quota == "max" else max(1, int(quota) // int(period))
    return max(1, min(len(cores), limit, MOST_THREADS))


def in_order(make: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """``make(item)`` for each of ``items``, in their order, while those of the next items are being made.

    ``make`` must not depend on what it was called with before, and nothing on the number of threads. What it raises is raised here, when
    its turn comes; then, or when the iteration ends early, no further item is begun.
    """
    count = min(_limit.get() or _own_threads(), MOST_SIDE_BY_SIDE)
    coming = iter(items)
    if count == 1:
        yield from map(make, coming)
        return
    with ThreadPoolExecutor(count, "enlarger-side") as pool:
        made: deque[Future[R]] = deque()
        try:
            for item in coming:
                # A context of its own for each: one cannot be entered twice.
                made.append(pool.submit(copy_context().run, make, item))
                if len(made) > count:
                    yield made.popleft().result()
            while made:
                yield made.popleft().result()
        finally:
            for left in made:
                left.cancel()


class Lane:
    """Calls made one after the other in a thread of its own, beside the caller. What one raises, :meth:`do` or :meth:`wait` raises next."""

    def __init__(self, ahead: int = 1) -> None:
        self._pool = ThreadPoolExecutor(1, "enlarger-lane") if (_limit.get() or _own_threads()) > 1 else None
        self._ahead = ahead
        self._coming: deque[Future[object]] = deque()

    def do(self, call: Callable[..., object], *given: object) -> None:
        """Have ``call(*given)`` made after those before it; returns when no more than ``ahead`` are left to do, so no more is held."""
        if self._pool is None:
            call(*given)
            return
        while len(self._coming) >= self._ahead:
            self._coming.popleft().result()
        self._coming.append(self._pool.submit(copy_context().run, call, *given))

    def wait(self) -> None:
        """Return when all calls were made."""
        while self._coming:
            self._coming.popleft().result()


def aside(make: Callable[[], R]) -> Callable[[], R]:
    """Begin ``make()`` in a thread; what is returned waits for its answer, or raises what it raised. With one thread it begins then."""
    if (_limit.get() or _own_threads()) == 1:
        return make
    pool = ThreadPoolExecutor(1, "enlarger-aside")
    coming = pool.submit(copy_context().run, make)
    pool.shutdown(wait=False)
    return coming.result


@cache
def _own_threads() -> int:
    return default_threads()


def _text(path: str) -> str:
    """A small system file, or nothing where there is none."""
    try:
        return Path(path).read_text(encoding="ascii").strip()
    except OSError:
        return ""
