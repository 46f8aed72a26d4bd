"""The published schema of reports is that of the code, and real reports keep to it."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from tests.pictures import pixels

import enlarger
from enlarger.report import REPORT_SCHEMA, Report

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "report.schema.json"
KINDS = {"object": dict, "array": list, "string": str, "integer": int, "number": (int, float), "boolean": bool, "null": type(None)}


def faults(value: Any, schema: dict[str, Any], whole: dict[str, Any], where: str = "$") -> list[str]:
    """Where ``value`` departs from ``schema``: as much of JSON Schema as pydantic writes for a report."""
    if "$ref" in schema:
        return faults(value, whole["$defs"][schema["$ref"].rpartition("/")[2]], whole, where)
    if "anyOf" in schema:
        tries = [faults(value, kind, whole, where) for kind in schema["anyOf"]]
        return [] if [] in tries else min(tries, key=len)
    if "type" in schema and (not isinstance(value, KINDS[schema["type"]]) or (isinstance(value, bool) and schema["type"] != "boolean")):
        return [f"{where} is no {schema['type']}"]
    found = [f"{where} is none of {schema['enum']}"] if "enum" in schema and value not in schema["enum"] else []
    if isinstance(value, dict):
        known, more = schema.get("properties", {}), schema.get("additionalProperties", True)
        found += [f"{where}.{key} is missing" for key in schema.get("required", []) if key not in value]
        for key, item in value.items():
            if key in known or isinstance(more, dict):
                found += faults(item, known.get(key, more), whole, f"{where}.{key}")
            elif more is False:
                found.append(f"{where}.{key} is unknown")
    if isinstance(value, list):
        first = schema.get("prefixItems", [])
        if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)):
            found.append(f"{where} has {len(value)} items")
        for i, item in enumerate(value):
            found += faults(item, first[i] if i < len(first) else schema.get("items", {}), whole, f"{where}[{i}]")
    return found


@pytest.fixture(scope="module")
def report() -> Report:
    """Of a run with verify, from a source in which there is something to measure."""
    return enlarger.enlarge(pixels(96, 128), 4, engine="resample").report


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    read: dict[str, Any] = json.loads(PAGE.read_text("utf-8"))
    return read


def test_schema_is_that_of_the_code() -> None:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    generate = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generate)
    assert PAGE.read_text("utf-8") == generate.report_schema(), "stale: run `python docs/generate.py`"


def test_schema_names_its_version(schema: dict[str, Any]) -> None:
    assert schema["title"] == schema["properties"]["schema"]["default"] == REPORT_SCHEMA


def test_a_real_report_keeps_to_it(report: Report, schema: dict[str, Any]) -> None:
    assert report.fidelity is not None
    assert faults(json.loads(report.model_dump_json()), schema, schema) == []
    without = report.model_copy(update={"fidelity": None})
    assert faults(json.loads(without.model_dump_json()), schema, schema) == []


def test_a_report_survives_json(report: Report) -> None:
    again = Report.model_validate_json(report.model_dump_json())
    assert again == report
    assert json.loads(again.model_dump_json())["schema"] == REPORT_SCHEMA


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("source", "width"), "wide"),
        (("source", "depth"), 8),
        (("fidelity", "verdict"), "fine"),
        (("plan", "stages", 0, "tile_width"), None),
        (("tiles",), []),
        (("reproduce", "libraries", "numpy"), 2),
        (("fidelity", "scale"), [4.0]),
    ],
)
def test_what_is_no_report_is_told(path: tuple[str | int, ...], value: Any, report: Report, schema: dict[str, Any]) -> None:
    data = json.loads(report.model_dump_json())
    inner: Any = data
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    assert len(faults(data, schema, schema)) == 1
    with pytest.raises(ValidationError):
        Report.model_validate_json(json.dumps(data))
