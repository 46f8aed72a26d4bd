"""Result files have the shape that benchmarks/common.py describes, and its arithmetic is right."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest
from pydantic import ValidationError

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
RESULTS = sorted((BENCHMARKS / "results").glob("*.json"))


@pytest.fixture(scope="module")
def common() -> ModuleType:
    spec = importlib.util.spec_from_file_location("benchmarks_common", BENCHMARKS / "common.py")
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules["benchmarks_common"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_there_are_results() -> None:
    assert RESULTS


@pytest.mark.parametrize("path", RESULTS, ids=lambda p: p.stem)
def test_results_have_the_shape(common: ModuleType, path: Path) -> None:
    result = common.Benchmark.model_validate_json(path.read_text("utf-8"))
    assert path.stem == f"{result.suite}-{result.date}"
    assert [row.name for row in result.rows if not row.low <= row.value <= row.high] == []
    assert len({row.name for row in result.rows}) == len(result.rows)


def test_what_is_not_in_the_shape_is_refused(common: ModuleType) -> None:
    good = json.loads(RESULTS[0].read_text("utf-8"))
    for bad in ({**good, "host": "somebody's"}, {**good, "schema": "enlarger.benchmark/0"}, {**good, "rows": []}):
        with pytest.raises(ValidationError):
            common.Benchmark.model_validate_json(json.dumps(bad))


def test_a_row_is_median_least_and_greatest(common: ModuleType) -> None:
    row = common.row("x", "s", [3.0, 1.0, 2.0, 10.0, 2.5], better="lower", target=2.5)
    assert (row.value, row.low, row.high, row.runs, row.met) == (2.5, 1.0, 10.0, 5, True)
    assert common.row("x", "x", [2.9], better="higher", target=3).met is False
    assert common.row("x", "x", [2.9]).met is None


def test_alternately_takes_turns(common: ModuleType) -> None:
    calls: list[str] = []
    tasks = [lambda name=name: calls.append(name) or float(len(calls)) for name in "ab"]
    assert common.alternately(2, *tasks) == [[1.0, 3.0], [2.0, 4.0]]
    assert calls == list("abab")


def test_a_failing_process_stops_the_benchmark(common: ModuleType) -> None:
    assert common.seconds_of([sys.executable, "-c", "pass"]) > 0
    with pytest.raises(SystemExit, match="exit status 3"):
        common.seconds_of([sys.executable, "-c", "import sys; sys.exit(3)"])


def test_machine_names_nobody(common: ModuleType) -> None:
    import getpass
    import socket

    text = common.machine().model_dump_json()
    assert socket.gethostname() not in text
    assert f'"{getpass.getuser()}"' not in text
