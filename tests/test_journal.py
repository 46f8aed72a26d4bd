"""The journal: what was written comes back, what is torn does not, and a lock is a lock."""

import dis
import os
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from enlarger.errors import DiskFullError, OutputError
from enlarger.image import Box
from enlarger.journal import Done, Ledger, Work, clean, work_folder

ENTRIES = [Done(0, 0, 123), Done(0, 1, 456, (Box(0, 0, 8, 8), Box(4, 4, 4, 4)), True), Done(1, 0, 789)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / ".a.png.enlarger"


def fill(folder: Path, key: str = "k") -> None:
    with Work(folder, key) as work:
        for entry in ENTRIES:
            work.add(entry)
        work.canvas(0).write_bytes(b"samples")


def test_what_was_added_comes_back(folder: Path) -> None:
    fill(folder)
    with Work(folder, "k") as work:
        assert list(work.done.values()) == ENTRIES
        assert Ledger(work, 0).done() == {0: ENTRIES[0], 1: ENTRIES[1]}
        assert not work.changed
        work.add(Done(1, 1, 1))
    with Work(folder, "k") as work:
        assert len(work.done) == 4


def test_every_torn_or_damaged_journal_keeps_the_whole_lines_before_it(folder: Path) -> None:
    fill(folder)
    whole = (folder / "journal").read_bytes()
    ends = [i + 1 for i, byte in enumerate(whole) if byte == 10]
    for cut in range(len(whole) + 1):
        (folder / "journal").write_bytes(whole[:cut])
        (folder / "canvas-0").write_bytes(b"samples")
        with Work(folder, "k") as work:
            lines = sum(end <= cut for end in ends)
            assert list(work.done.values()) == ENTRIES[: max(0, lines - 1)]
            # Without its header line nothing of the job can be trusted.
            assert (folder / "canvas-0").exists() == (lines > 0)
            work.done[9, 9] = ENTRIES[0]  # so that closing keeps the folder
    for at in range(len(whole)):
        damaged = bytearray(whole)
        damaged[at] ^= 0x15
        (folder / "journal").write_bytes(damaged)
        with Work(folder, "k") as work:
            assert list(work.done.values()) == ENTRIES[: max(0, sum(end <= at for end in ends) - 1)]
            work.done[9, 9] = ENTRIES[0]


def test_another_job_starts_anew_and_says_so(folder: Path) -> None:
    fill(folder)
    with Work(folder, "another") as work:
        assert work.done == {}
        assert work.changed
        assert not work.canvas(0).exists()


def test_fresh_discards(folder: Path) -> None:
    fill(folder)
    with Work(folder, "k", fresh=True) as work:
        assert work.done == {}
        assert not work.changed


def test_a_finished_job_and_one_without_tiles_leave_no_folder(folder: Path) -> None:
    with Work(folder, "k"):
        assert folder.is_dir()
    assert not folder.exists()
    fill(folder)
    with Work(folder, "k") as work:
        work.discard()
    assert not folder.exists()


def test_two_runs_on_one_output_are_refused_and_a_kill_frees_the_lock(folder: Path) -> None:
    hold = f"""if True:
        import time; from pathlib import Path; from enlarger.journal import Work
        work = Work(Path({str(folder)!r}), "k"); print(1, flush=True); time.sleep(60)"""
    with subprocess.Popen([sys.executable, "-c", hold], stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(OutputError, match=rf"another run is at work on this output \(process {other.pid}\); wait for it"):
            Work(folder, "k")
        other.kill()
    with Work(folder, "k") as work:
        work.add(ENTRIES[0])


def test_a_full_disk_is_typed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Work(folder, "k") as work:

        def full(handle: int, data: bytes) -> int:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "write", full)
        with pytest.raises(DiskFullError, match="the disk is full; free some space and start the same command again"):
            work.add(ENTRIES[0])
        assert work.done == {}


def test_work_folders(tmp_path: Path) -> None:
    assert work_folder(tmp_path / "a.png", None) == tmp_path / ".a.png.enlarger"
    one, two = (work_folder(tmp_path / name / "a.png", tmp_path / "t") for name in "xy")
    assert one.parent == two.parent == tmp_path / "t"
    assert one != two


def test_cleaning_takes_old_unlocked_folders_only(tmp_path: Path) -> None:
    old, new, busy = (tmp_path / f".{name}.png.enlarger" for name in ("old", "new", "busy"))
    for folder in (old, new, busy):
        fill(folder)
    for folder in (old, busy):
        os.utime(folder, (time.time() - 1000, time.time() - 1000))
    (tmp_path / ".mine.enlarger").mkdir()
    with Work(busy, "k"):
        os.utime(busy, (time.time() - 1000, time.time() - 1000))
        assert clean(tmp_path, older_than=500) == [old]
    assert new.is_dir()
    assert (tmp_path / ".mine.enlarger").is_dir()


class Interrupted:
    """Raises KeyboardInterrupt before the ``n``-th instruction of journal.py; ``struck`` says whether there were that many.

    Not before one that returns, where Python looks at no signals, and not in ``__del__``, where it would swallow it.
    """

    def __init__(self, n: int) -> None:
        self.left, self.struck = n, False

    def __call__(self, frame: FrameType, event: str, arg: object) -> Any:
        code = frame.f_code
        if not code.co_filename.endswith("journal.py") or code.co_name == "__del__" or self.struck:
            return None
        frame.f_trace_opcodes = True
        if event == "opcode" and code.co_code[frame.f_lasti] != dis.opmap["RETURN_VALUE"]:
            self.left -= 1
            if self.left < 0:
                self.struck = True
                raise KeyboardInterrupt
        return self


def make_and_close(folder: Path, interrupted: Interrupted) -> None:
    before = sys.gettrace()
    sys.settrace(interrupted)
    try:
        with Work(folder, "k"):
            pass
    except KeyboardInterrupt:
        pass
    finally:
        sys.settrace(before)


def test_a_signal_between_making_and_closing_leaves_nothing(folder: Path) -> None:
    for n in range(10**6):
        interrupted = Interrupted(n)
        make_and_close(folder, interrupted)
        assert not folder.exists(), n
        if not interrupted.struck:
            break
    assert n > 200


def test_a_signal_never_costs_what_is_done(folder: Path) -> None:
    fill(folder)
    for n in range(0, 10**6, 17):
        interrupted = Interrupted(n)
        make_and_close(folder, interrupted)
        with Work(folder, "k") as work:
            assert list(work.done.values()) == ENTRIES, n
        if not interrupted.struck:
            break
