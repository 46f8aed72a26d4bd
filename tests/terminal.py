"""A program watched in a terminal: what it shows to somebody who looks."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence


def shown(words: Sequence[object]) -> bytes:
    """All that a program, which must succeed, writes to a terminal of 120 columns on standard error."""
    master, slave = os.openpty()
    environment = {**os.environ, "COLUMNS": "120", "TERM": "xterm-256color"}
    with subprocess.Popen([str(word) for word in words], stdout=subprocess.PIPE, stderr=slave, env=environment) as process:
        os.close(slave)
        seen = b""
        while True:
            try:
                chunk = os.read(master, 65536)
            except OSError:  # the other end is closed
                break
            if not chunk:
                break
            seen += chunk
    os.close(master)
    assert process.returncode == 0, seen
    return seen
