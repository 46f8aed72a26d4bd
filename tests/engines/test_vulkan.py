"""ncnn on Vulkan. Mesa's llvmpipe, which is the CPU in disguise, is enough."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from tests.nets import FLOATS, MODELS, nets

from enlarger.engines.contract import check
from enlarger.engines.engine import Device
from enlarger.engines.ncnn import engine, find_gpus

pytestmark = [pytest.mark.vulkan, pytest.mark.skipif(not find_gpus(), reason="no Vulkan driver")]

FAST = MODELS["enlarger-photo-x4"]


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(-10 * np.log10(np.mean((np.clip(a, 0, 1) - np.clip(b, 0, 1)) ** 2) + 1e-20))


def both(id_: str, side: int, **settings: object) -> float:
    """PSNR in dB of the GPU's answer against the CPU's in floats."""
    tile = np.random.default_rng(1).random((side, side + 5, 3), np.float32)
    answers = []
    for device, chosen in ((Device("cpu", threads=1), FLOATS[id_]), (engine.device("gpu", 1), settings)):
        net = engine.open(MODELS[id_], device, engine.spec.settings(**chosen))
        answers.append(net(tile))
        net.close()
    return psnr(*answers)


@pytest.mark.parametrize("id_", nets("enlarger-photo-x4", "realesr-animevideov3-x3", "realesrgan-x4plus-anime"))
def test_gpu_equals_cpu(id_: str) -> None:
    assert both(id_, 16) > 60


def test_fp16_is_really_fp16() -> None:
    assert 30 < both(FAST.id, 16, fp16=True) < 90


def test_gpu_keeps_the_contract() -> None:
    device = engine.device("gpu", None)
    assert device.kind == "gpu"
    assert device.name
    check(engine, FAST, device)


def test_auto_leaves_software_drivers_alone() -> None:
    expected = "gpu" if any(not gpu.software for gpu in find_gpus()) else "cpu"
    assert engine.device("auto", None).kind == expected


@pytest.mark.parametrize("end", ["", "net.close()", "sys.exit(3)", "raise SystemError"])
def test_leaving_the_interpreter_with_a_net_on_the_gpu(end: str) -> None:
    """Nets must go before the Vulkan instance, and that before the driver: otherwise Python dies with a signal."""
    code = (
        "import sys, numpy as np\n"
        "from enlarger.engines.ncnn import engine\n"
        f"net = engine.open(next(m for m in engine.models() if m.id == {FAST.id!r}), engine.device('gpu', 1), engine.spec.settings())\n"
        "other = [engine.open(engine.models()[2], engine.device('gpu', 1), engine.spec.settings())]\n"
        "other.append(other)  # a cycle, which nobody collects in time\n"
        f"net(np.full((9, 9, 3), 0.5, np.float32))\n{end}\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == {"sys.exit(3)": 3, "raise SystemError": 1}.get(end, 0), done.stderr[-2000:]
    assert "llvmpipe" not in done.stderr, "ncnn's list of devices is not for people"


def test_listing_devices_is_quiet_and_keeps_standard_error() -> None:
    code = "import os, sys; from enlarger.engines.ncnn import find_gpus; find_gpus(); os.write(2, b'still here')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr == "still here"


def test_without_a_driver_there_is_no_gpu() -> None:
    code = (
        "from enlarger.engines.ncnn import engine\nfrom enlarger.errors import DeviceError\n"
        "assert engine.device('auto', None).kind == 'cpu'\n"
        "try:\n    engine.device('gpu', None)\nexcept DeviceError as error:\n    print(error)"
    )
    environment = {"VK_DRIVER_FILES": "/dev/null", "VK_ICD_FILENAMES": "/dev/null"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True, env=environment)
    assert done.stdout == "gpu: no GPU or no Vulkan driver was found; use --device cpu\n"
    assert done.stderr == ""
