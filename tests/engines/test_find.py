"""names() and find(): engines come by entry points, ours like anybody's."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from enlarger.engines import contract, find, names
from enlarger.engines.engine import Device, EngineSpec
from enlarger.errors import EngineError, EngineMissingError

TOY = '''
"""A third party's engine: repeats every pixel three times."""
import numpy as np
from enlarger.engines.engine import Device, EngineSpec, ModelSpec
from enlarger.errors import DeviceError

class Opened:
    def __call__(self, tile):
        return np.repeat(np.repeat(tile, 3, axis=0), 3, axis=1)
    def close(self):
        pass

class Toy:
    spec = EngineSpec(name="toy", title="Toy", scope="tile")
    def models(self):
        return (ModelSpec(id="blocks", engine="toy", title="Blocks", purpose="Repeats pixels.", scale=3),)
    def device(self, wanted, threads):
        if wanted not in ("auto", "cpu"):
            raise DeviceError("the toy knows the CPU only")
        return Device("cpu")
    def open(self, model, device, settings):
        return Opened()

engine = Toy()
'''


def install(folder: Path, distribution: str, entry_points: str, **modules: str) -> None:
    """Make ``folder`` look as if pip had installed a distribution of these modules and entry points there."""
    info = folder / f"{distribution.replace('-', '_')}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[enlarger.engines]\n{entry_points}\n")
    for name, text in modules.items():
        (folder / f"{name}.py").write_text(text)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def test_built_ins_are_entry_points() -> None:
    assert {"ncnn", "resample"} <= set(names())
    assert list(names()) == sorted(names())
    assert find("resample").spec.scope == "picture"
    assert find("ncnn").spec.scope == "tile"


def test_listing_engines_and_models_loads_no_runtime() -> None:
    code = (
        "import sys, enlarger.engines as e; e.names(); assert not any(m.startswith('enlarger.engines.') and m not in "
        "('enlarger.engines.engine',) for m in sys.modules), sys.modules.keys();"
        "assert len(e.find('ncnn').models()) >= 6; e.find('ncnn').device('cpu', None);"
        "assert 'ncnn' not in sys.modules and 'PIL' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_unknown_name_tells_the_known_ones() -> None:
    with pytest.raises(EngineMissingError, match=r"ncnn.*resample") as caught:
        find("no-such-engine")
    assert caught.value.subject == "no-such-engine"


def test_a_third_party_engine_is_one_entry_point(site: Path) -> None:
    install(site, "enlarger-toy", "toy = toy_engine_ok:engine", toy_engine_ok=TOY)
    assert "toy" in names()
    assert "toy_engine_ok" not in sys.modules, "listing must load nothing"
    engine = find("toy")
    (model,) = engine.models()
    assert "phase" in contract.check(engine, model, engine.device("auto", None))
    opened = engine.open(model, Device(), engine.spec.settings())
    tile = np.arange(18, dtype=np.float32).reshape(2, 3, 3) / 18
    assert np.array_equal(opened(tile)[::3, ::3], tile)


def test_the_example_in_the_docs_keeps_the_contract(site: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "engines.md").read_text("utf-8")
    (entry,) = re.findall(r"```toml\n.*?\n(.*?)\n```", page, re.DOTALL)
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    install(site, "enlarger-repeat", entry.replace('"', ""), enlarger_repeat=code)
    engine = find("repeat")
    kept = contract.check(engine, engine.models()[0], engine.device("cpu", None))
    assert [clause for clause in kept if clause not in page] == []


def test_two_engines_of_one_name(site: Path) -> None:
    install(site, "enlarger-toy", "toy = toy_engine_a:engine", toy_engine_a=TOY)
    install(site, "other-toy", "toy = toy_engine_b:engine", toy_engine_b=TOY)
    assert names().count("toy") == 1
    with pytest.raises(EngineError, match=r"enlarger-toy .* and other-toy .*uninstall"):
        find("toy")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("import no_such_library_at_all", "ModuleNotFoundError: No module named 'no_such_library_at_all'"),
        ("def broken(:", "SyntaxError"),
        ("raise RuntimeError('no AVX')", "RuntimeError: no AVX"),
        ("other = 1", "AttributeError"),
        ("engine = 1", "lacks spec, models, device, open"),
        (TOY + "\ndel Toy.open\n", "lacks open"),
        (TOY.replace('name="toy"', 'name="another"'), "calls itself 'another'"),
    ],
)
def test_a_broken_plugin_is_named(site: Path, text: str, says: str, request: pytest.FixtureRequest) -> None:
    module = f"toy_engine_broken_{abs(hash(request.node.name))}"
    install(site, "broken-toy", f"toy = {module}:engine", **{module: text})
    with pytest.raises(EngineError) as caught:
        find("toy")
    assert says in str(caught.value)
    assert "broken-toy" in str(caught.value)
    assert "resample" in names(), "one broken plugin must not hide the others"


def test_spec_names_are_entry_point_names() -> None:
    for name in ("ncnn", "resample"):
        spec = find(name).spec
        assert isinstance(spec, EngineSpec)
        assert spec.name == name
