"""The engine ncnn on the CPU: equal to the plain net, frugal, and honest about what fails."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import ncnn
import numpy as np
import pytest
from tests.nets import FLOATS, MODELS, NEEDS_CLASSIC, nets

from enlarger.engines import find, ncnn_weights
from enlarger.engines import ncnn as engine_module
from enlarger.engines.engine import Device, ModelSpec, NoSettings
from enlarger.engines.ncnn import Net, engine, pieces
from enlarger.engines.weights import locate
from enlarger.errors import DeviceError, EngineError, OutOfMemoryError, UnsupportedError, WeightsError
from enlarger.image import Tile
from enlarger.threads import default_threads

FAST, ANIME = MODELS["enlarger-photo-x4"], MODELS["realesrgan-x4plus-anime"]
CPU = Device("cpu", threads=1)


def opened(model: ModelSpec, device: Device = CPU, **settings: object) -> Net:
    return engine.open(model, device, engine.spec.settings(**settings))


def picture(height: int, width: int, seed: int = 0) -> Tile:
    tile = np.random.default_rng(seed).random((height, width, 3), np.float32)
    tile.flags.writeable = False
    return tile


def plain(model: ModelSpec, tile: Tile) -> Tile:
    """The net in one piece, called the way ncnn's own examples do."""
    net = ncnn.Net()
    net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = False
    net.opt.use_bf16_storage = False
    param, weights = locate(model).values()
    assert (net.load_param(str(param)), net.load_model(str(weights))) == (0, 0)
    conditions = np.zeros((len(model.settings.get("conditions", ())), *tile.shape[:2]), np.float32)
    planes = np.concatenate([tile.transpose(2, 0, 1), conditions])
    extractor = net.create_extractor()
    mat = ncnn.Mat(planes).clone()
    extractor.input("data", mat)
    status, answer = extractor.extract("output")
    assert status == 0
    return np.array(answer).transpose(1, 2, 0)


@pytest.fixture(scope="module")
def fast() -> Iterator[Net]:
    net = opened(FAST)
    yield net
    net.close()


@pytest.mark.parametrize("id_", nets(*(id_ for id_ in MODELS if id_ != "realesrgan-x4plus")))
@pytest.mark.parametrize("size", [(1, 1), (3, 5), (7, 13), (33, 20)])
def test_equals_the_plain_net(id_: str, size: tuple[int, int]) -> None:
    tile = picture(*size)
    assert np.array_equal(opened(MODELS[id_], **FLOATS[id_])(tile), plain(MODELS[id_], tile))


@pytest.mark.parametrize("id_", [id_ for id_ in MODELS if id_.startswith("enlarger-")])
def test_odd_sides_answer_as_even_ones(id_: str) -> None:
    """Far from where a row or column is missing the answer is the same, wherever channels begin in memory."""
    tile, scale = picture(44, 48), MODELS[id_].scale
    net = opened(MODELS[id_])
    whole, odd = net(tile).copy(), net(tile[:43, :45]).copy()
    far = slice(0, (43 - 20) * scale), slice(0, (45 - 20) * scale)
    assert np.abs(whole[far] - odd[far]).max() < 1e-3


@pytest.mark.parametrize("id_", nets("realesrgan-x4plus", "realesrgan-x4plus-anime"))
def test_a_net_run_in_pieces_equals_the_net_in_one(id_: str) -> None:
    """Smaller pieces than usual, so that a small tile has cuts in both directions."""
    model = MODELS[id_]
    assert model.settings["split_blob"]
    small = model.model_copy(update={"settings": {**model.settings, "split_area": 256}})
    tile = picture(37, 45)
    assert len(list(pieces(37, 45, 256, 2))) == 9
    assert np.array_equal(opened(small)(tile), plain(model, tile))


@NEEDS_CLASSIC
def test_a_wrong_halo_would_show() -> None:
    """The test above can fail: without context the pieces do not fit."""
    bare = ANIME.model_copy(update={"settings": {**ANIME.settings, "split_area": 256, "split_halo": 0}})
    tile = picture(37, 45)
    assert np.abs(opened(bare)(tile) - plain(ANIME, tile)).max() > 1e-3


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1), (37, 45), (64, 64), (65, 129)])
@pytest.mark.parametrize("area", [256, 4096])
def test_pieces_partition(size: tuple[int, int], area: int) -> None:
    covered = np.zeros(size, int)
    index = np.arange(size[0] * size[1]).reshape(size)
    for piece in pieces(*size, area, 2):
        covered[piece.write] += 1
        read = index[piece.read]
        assert np.array_equal(read[piece.keep], index[piece.write])
        assert piece.write[0].start % 2 == piece.write[1].start % 2 == 0
        assert index[piece.write].size <= area
    assert (covered == 1).all()


@NEEDS_CLASSIC
def test_threads_do_not_change_the_answer() -> None:
    tile = picture(61, 47)
    assert np.array_equal(opened(ANIME, Device("cpu", threads=1))(tile), opened(ANIME, Device("cpu", threads=3))(tile))


def test_tiles_of_changing_size_do_not_disturb_each_other(fast: Net) -> None:
    """Larger, much smaller and again larger tiles go through the reserved memory."""
    sizes = [(20, 20), (90, 70), (9, 9), (70, 90), (20, 20)]
    first = [fast(picture(*size)) for size in sizes]
    assert all(np.array_equal(fast(picture(*size)), answer) for size, answer in zip(sizes, first, strict=True))
    assert np.array_equal(first[0], first[-1])


def test_any_layout_of_a_tile_is_read_right(fast: Net) -> None:
    tile = picture(16, 24)
    planar = np.ascontiguousarray(tile.transpose(2, 0, 1)).transpose(1, 2, 0)
    larger = np.zeros((40, 40, 3), np.float32)
    larger[5:21, 3:27] = tile
    assert np.array_equal(fast(planar), fast(tile))
    assert np.array_equal(fast(larger[5:21, 3:27]), fast(tile))


def test_answers_outlive_the_engine() -> None:
    net = opened(FAST)
    answer = net(picture(30, 30))
    kept = answer.copy()
    net.close()
    del net
    assert np.array_equal(answer, kept)


def test_other_threads_run_meanwhile(fast: Net) -> None:
    """extract() lets go of the interpreter lock, or else progress and cancelling would stand still."""
    ticks, stop = [0], threading.Event()

    def count() -> None:
        while not stop.wait(0.001):
            ticks[0] += 1

    counter = threading.Thread(target=count)
    counter.start()
    fast(picture(256, 256))
    stop.set()
    counter.join()
    assert ticks[0] >= 10


@pytest.mark.parametrize(
    "tile",
    [
        np.zeros((4, 4), np.float32),
        np.zeros((4, 4, 1), np.float32),
        np.zeros((4, 4, 3), np.float64),
        np.zeros((0, 4, 3), np.float32),
    ],
)
def test_what_is_no_tile_is_refused(fast: Net, tile: Any) -> None:
    with pytest.raises(EngineError, match="float32"):
        fast(tile)


def test_a_closed_engine_says_so() -> None:
    net = opened(FAST)
    net.close()
    net.close()
    with pytest.raises(EngineError, match="closed"):
        net(picture(4, 4))


# --- what fails -------------------------------------------------------------------------------------------------------


class FailingExtractor:
    def __init__(self, answers: dict[str, Any]) -> None:
        self.answers = answers

    def input(self, name: str, mat: Any) -> int:
        return int(self.answers.get("input", 0))

    def extract(self, name: str) -> tuple[int, Any]:
        answer = self.answers.get("extract", (0, ncnn.Mat(1, 1, 3)))
        if isinstance(answer, BaseException):
            raise answer
        return answer  # type: ignore[no-any-return]


class FailingNet:
    """Stands in for a loaded net whose extractor fails."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers

    def create_extractor(self) -> FailingExtractor:
        return FailingExtractor(self.answers)

    def clear(self) -> None:
        pass


@pytest.mark.parametrize(
    ("answers", "error"),
    [
        ({"extract": (-100, None)}, OutOfMemoryError),
        ({"input": -100}, OutOfMemoryError),
        ({"extract": MemoryError()}, OutOfMemoryError),
        ({"extract": (-1, None)}, EngineError),
        ({"input": -1}, EngineError),
        ({}, EngineError),
    ],
)
def test_every_failure_of_ncnn_is_translated(answers: dict[str, Any], error: type[Exception]) -> None:
    net = opened(FAST)
    net._net.clear()
    net._net = FailingNet(**answers)
    with pytest.raises(error) as caught:
        net(picture(8, 8))
    assert type(caught.value) is error
    if error is OutOfMemoryError:
        assert net._pools is not None
        assert net._pools._area == 0, "memory is given back, so that a smaller tile finds some"


def test_memory_that_cannot_be_reserved(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        def fastMalloc(self, size: int) -> None:
            return None

        def clear(self) -> None:
            pass

    net = opened(FAST, **FLOATS[FAST.id])  # nets in integers reserve nothing
    assert net._pools is not None
    net._pools.workspace = Full()
    with pytest.raises(OutOfMemoryError):
        net(picture(10, 10))
    assert net._pools._area == 0


LIMITED = """
import resource, sys
import numpy as np
from enlarger.engines.ncnn import engine
from enlarger.engines.engine import Device
from enlarger.errors import OutOfMemoryError
net = engine.open(next(m for m in engine.models() if m.id == sys.argv[1]), Device("cpu", threads=1), engine.spec.settings())
small = np.full((32, 32, 3), 0.5, np.float32)
before = net(small)
vm = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
limit = vm + int(sys.argv[2]) * 2**20
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
try:
    net(np.full((1000, 1000, 3), 0.5, np.float32))
except OutOfMemoryError as error:
    print("out of memory:", error)
    assert np.array_equal(net(small), before)
    print("went on")
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="RLIMIT_AS binds on Linux only")
@pytest.mark.parametrize("megabytes", [100, 300, 700, 1200, 1900])
def test_a_real_shortage_is_an_error_and_no_crash(megabytes: int) -> None:
    """Under a limit on the address space; afterwards a smaller tile works."""
    command = [sys.executable, "-c", LIMITED, FAST.id, str(megabytes)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "went on" in done.stdout


MEASURED = """
import sys, threading, re
import numpy as np
from enlarger.engines.ncnn import engine
from enlarger.engines.engine import Device
peak, stop = [0], threading.Event()
def watch():
    while not stop.wait(0.002):
        peak[0] = max(peak[0], int(re.search(r"RssAnon:\\s+(\\d+)", open("/proc/self/status").read())[1]) * 1024)
watcher = threading.Thread(target=watch); watcher.start()
net = engine.open(next(m for m in engine.models() if m.id == sys.argv[1]), Device("cpu", threads=2), engine.spec.settings())
side = int(sys.argv[2])
for height, width in ((side, side), (side, side // 2), (side, side)):
    net(np.full((height, width, 3), 0.5, np.float32))
stop.set(); watcher.join()
print(peak[0])
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="RssAnon is Linux's")
@pytest.mark.parametrize(("id_", "side"), [(FAST.id, 320), pytest.param(ANIME.id, 160, marks=NEEDS_CLASSIC)])
def test_memory_keeps_to_the_catalogue(id_: str, side: int) -> None:
    """Peak anonymous memory of the whole process, tiles of changing size, against the row's bound; and the bound is not idle."""
    done = subprocess.run([sys.executable, "-c", MEASURED, id_, str(side)], capture_output=True, text=True, timeout=300, check=True)
    model = MODELS[id_]
    bound = model.memory_fixed + side * side * model.memory_per_pixel
    assert 0.4 * bound < int(done.stdout) <= bound


def broken(model: ModelSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **content: bytes) -> None:
    """``locate`` gives copies of the model's files with other content."""
    files = {}
    for name, path in locate(model).items():
        suffix = path.suffix.removeprefix(".")
        copy = tmp_path / path.name
        copy.write_bytes(content.get(suffix, path.read_bytes()))
        files[name] = copy
    monkeypatch.setattr(ncnn_weights, "locate", lambda _: files)


@pytest.mark.parametrize("content", [{"param": b"no param file"}, {"bin": b""}])
def test_files_that_ncnn_cannot_load(content: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = MODELS["enlarger-photo-x2"]
    broken(plain, tmp_path, monkeypatch, **content)
    with pytest.raises(WeightsError, match="cannot load"):
        opened(plain)
    # What is to run in integers is read by us.
    broken(FAST, tmp_path, monkeypatch, **content)
    with pytest.raises(WeightsError):
        opened(FAST)


def test_a_row_whose_scale_is_wrong_is_found_out() -> None:
    net = opened(FAST.model_copy(update={"scale": 2}))
    with pytest.raises(EngineError, match="where"):
        net(picture(8, 8))


def test_settings_of_a_row_are_checked() -> None:
    with pytest.raises(WeightsError, match="catalogue"):
        opened(FAST.model_copy(update={"settings": {"wides": 64}}))


# --- devices ----------------------------------------------------------------------------------------------------------


def gpus(*found: engine_module.Gpu) -> Callable[[], tuple[engine_module.Gpu, ...]]:
    return lambda: found


CARD, CHIP = engine_module.Gpu(1, "card", 0), engine_module.Gpu(0, "chip", 1)
SOFT = engine_module.Gpu(2, "llvmpipe", engine_module.SOFTWARE)


@pytest.mark.parametrize(
    ("found", "wanted", "device"),
    [
        ((), "auto", "cpu"),
        ((SOFT,), "auto", "cpu"),
        ((CHIP, CARD, SOFT), "auto", "gpu:1"),
        ((CHIP, SOFT), "auto", "gpu:0"),
        ((CHIP, CARD, SOFT), "cpu", "cpu"),
        ((CHIP, CARD, SOFT), "gpu", "gpu:1"),
        ((SOFT,), "gpu", "gpu:2"),
        ((CHIP, CARD, SOFT), "gpu:2", "gpu:2"),
        ((CHIP, CARD, SOFT), "gpu:0", "gpu:0"),
    ],
)
def test_devices(found: tuple[engine_module.Gpu, ...], wanted: str, device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "find_gpus", gpus(*found))
    assert str(engine.device(wanted, 2)) == device
    assert engine.device(wanted, 2).threads == 2


@pytest.mark.parametrize(
    ("found", "wanted", "says"),
    [
        ((), "gpu", "use --device cpu"),
        ((), "gpu:0", "no GPU or no Vulkan driver"),
        ((CARD,), "gpu:0", r"gpu:1 \(card\)"),
        ((CARD,), "tpu", "no such"),
    ],
)
def test_devices_that_are_not_there(found: tuple[engine_module.Gpu, ...], wanted: str, says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "find_gpus", gpus(*found))
    with pytest.raises(DeviceError, match=says):
        engine.device(wanted, None)


def test_opening_on_a_gpu_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "find_gpus", gpus())
    with pytest.raises(DeviceError, match="no such GPU"):
        opened(FAST, Device("gpu"))


def test_no_setting_is_ignored_silently() -> None:
    with pytest.raises(UnsupportedError, match="fp16"):
        opened(FAST, fp16=True)
    with pytest.raises(UnsupportedError, match="fp32"):
        opened(FAST, Device("gpu"), fp32=True)
    with pytest.raises(UnsupportedError, match="enlarger-photo-x2 computes in 32-bit floats"):
        opened(MODELS["enlarger-photo-x2"], fp32=True)
    with pytest.raises(EngineError, match="NcnnSettings"):
        engine.open(FAST, CPU, NoSettings())


def test_cpu_never_touches_vulkan() -> None:
    code = (
        "import numpy as np, ncnn; ncnn.get_gpu_count = ncnn.create_gpu_instance = None\n"
        "from enlarger.engines.ncnn import engine\n"
        f"net = engine.open(next(m for m in engine.models() if m.id == {FAST.id!r}), engine.device('cpu', 1), engine.spec.settings())\n"
        "net(np.zeros((8, 8, 3), np.float32))\n"
        "assert 'vulkan' not in open('/proc/self/maps').read()"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_threads_are_as_many_as_the_process_may_use_unless_said() -> None:
    assert engine.device("cpu", None).threads == default_threads()
    assert engine.device("cpu", 7).threads == 7


def test_found_by_its_entry_point() -> None:
    assert find("ncnn") is engine


@pytest.mark.parametrize(("wish", "policy"), [({}, "PASSIVE"), ({"OMP_WAIT_POLICY": "active"}, "ACTIVE")])
def test_threads_wait_without_spinning_unless_told(wish: dict[str, str], policy: str) -> None:
    """And nothing of it is left in the environment, which other libraries read too."""
    code = "import os; from enlarger.engines.ncnn import library; library(); print(os.environ.get('OMP_WAIT_POLICY'))"
    own = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    words = [sys.executable, "-c", code]
    done = subprocess.run(words, env={**own, **wish, "OMP_DISPLAY_ENV": "true"}, capture_output=True, text=True, check=True)
    assert f"OMP_WAIT_POLICY = '{policy}'" in done.stderr
    assert done.stdout.strip() == wish.get("OMP_WAIT_POLICY", "None")
