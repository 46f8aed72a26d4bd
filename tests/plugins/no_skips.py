"""A pytest plugin for machines that have everything: a test that is skipped there fails.

``python -m pytest -p tests.plugins.no_skips``. Two kinds of test are exempt, because no package can bring what they need:
those marked ``gpu`` (hardware), and those marked ``samples`` (pictures that are not ours to ship) while ``ENLARGER_SAMPLES``
is not set. The latter are deselected, and so counted in the closing line.
"""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if os.environ.get("ENLARGER_SAMPLES"):
        return
    without = [item for item in items if item.get_closest_marker("samples")]
    if without:
        config.hook.pytest_deselected(items=without)
        items[:] = [item for item in items if item not in without]


def refuse(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Turn a skipped report into a failed one that says why it was skipped. Expected failures stay what they are."""
    if report.outcome == "skipped" and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"skipped where nothing may be: {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if not item.get_closest_marker("gpu"):
        refuse(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    refuse(report)
    return report
