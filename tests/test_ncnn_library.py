"""The library ncnn is loaded once, whoever asks first, and leaves the environment as it was."""

from __future__ import annotations

import subprocess
import sys

import pytest

AT_ONCE = """
import importlib, os, sys, threading, time
sys.setswitchinterval(1e-6)
from enlarger import ncnn_library
from enlarger.ncnn_library import library
seen, failed = [], []
def slow(name, load=importlib.import_module):
    seen.append(os.environ.get(ncnn_library.WAITING))
    time.sleep(0.05)
    return load(name)
ncnn_library.import_module = slow
ready = threading.Barrier(8)
def ask():
    ready.wait()
    try:
        library()
    except BaseException as error:
        failed.append(repr(error))
threads = [threading.Thread(target=ask) for _ in range(8)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print(failed, seen[0], seen[1:] == [os.environ.get(ncnn_library.WAITING)] * 7, os.environ.get(ncnn_library.WAITING))
"""


@pytest.mark.parametrize(("told", "expected"), [(None, "[] passive True None"), ("active", "[] active True active")])
def test_many_ask_at_once(told: str | None, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    if told:
        monkeypatch.setenv("OMP_WAIT_POLICY", told)
    done = subprocess.run([sys.executable, "-c", AT_ONCE], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.strip() == expected
