"""The library ncnn, imported on first use and so that its threads wait as they should: engines run nets with it, and triage a small one."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from threading import Lock
from typing import Any

WAITING = "OMP_WAIT_POLICY"
"""How threads wait between two layers. benchmarks/README.md has the figures."""


_LOADING = Lock()
"""Triage may ask for the library in the moment in which an engine does."""


def library() -> Any:
    """The module ncnn; it carries no types."""
    with _LOADING:
        if "ncnn" in sys.modules or WAITING in os.environ:
            return import_module("ncnn")
        # Its OpenMP reads this once, while it is loaded. Threads that wait by spinning keep the processor from whoever has work.
        os.environ[WAITING] = "passive"
        try:
            return import_module("ncnn")
        finally:
            del os.environ[WAITING]
