"""python -m training.export CHECKPOINT.safetensors --out DIR: the net for ncnn and for ONNX, each compared with the trained one.

Writes NAME.param, NAME.bin (fp16 weights), NAME.onnx, NAME.safetensors and, from the template, NAME.md (fill in what it asks for).
"""

import argparse
import copy
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from training import ncnn_files, weights
from training.metrics import psnr
from training.nets import CONDITIONS, Compact
from training.photos import photo_sets

ENOUGH = 60.0  # dB between an exported and the trained net, over float outputs on the 0-255 scale
NEARER = 6.0  # dB by which integers in ncnn must be nearer to the net trained for them than its own floats are
Pixels = NDArray[np.float32]


def with_torch(net: Compact, x: Pixels) -> Pixels:
    """(3 and one per condition, h, w) -> (3, h * scale, w * scale), both in [0, 1]."""
    with torch.inference_mode():
        return np.asarray(net.eval()(torch.from_numpy(x)[None])[0].numpy())


def with_ncnn(param: Path, weights_file: Path, x: Pixels, *, winograd: bool = True) -> Pixels:
    """The same with ncnn on the CPU, in fp32 arithmetic where the graph does not say otherwise."""
    import ncnn

    net = ncnn.Net()
    net.opt.use_vulkan_compute = False
    net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = net.opt.use_bf16_storage = False
    net.opt.use_winograd_convolution = winograd
    net.opt.num_threads = 2
    if net.load_param(str(param)) or net.load_model(str(weights_file)):
        raise ValueError(f"ncnn does not read {param}")
    extractor = net.create_extractor()
    picture = np.ascontiguousarray(x)
    data = ncnn.Mat(picture).clone()  # channels begin at multiples of 16 bytes, as Crop takes them to
    extractor.input("data", data)
    status, out = extractor.extract("output")
    if status:
        raise ValueError(f"ncnn does not run {param}")
    return np.array(out)


def with_ncnn_in_eight_bits(param: Path, weights_file: Path, ranges: Sequence[float], x: Pixels) -> Pixels:
    """The same as Enlarger runs it on a CPU: all convolutions but the first in 8-bit integers."""
    from enlarger.engines.ncnn_weights import in_eight_bits

    graph, data = in_eight_bits(param.read_text(encoding="ascii"), weights_file.read_bytes(), ranges)
    with tempfile.TemporaryDirectory() as folder:
        files = Path(folder, "net.param"), Path(folder, "net.bin")
        files[0].write_text(graph, encoding="ascii")
        files[1].write_bytes(data)
        return with_ncnn(*files, x, winograd=False)


def with_onnx(path: Path, x: Pixels) -> Pixels:
    """The same with onnxruntime on the CPU."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"data": x[None]})[0][0])


def write_onnx(net: Compact, path: Path) -> None:
    """fp32, height and width free, input `data` and output `output`, one file."""
    import onnx

    height, width = torch.export.Dim("height"), torch.export.Dim("width")
    torch.onnx.export(
        net.eval(),
        (torch.rand(1, net.shape.inputs, 32, 40),),
        path,
        input_names=["data"],
        output_names=["output"],
        dynamic_shapes={"x": {2: height, 3: width}},
        dynamo=True,
        external_data=False,
        verbose=False,
    )
    model = onnx.load(path)
    for node in model.graph.node:  # the exporter notes file names and stack traces of the machine it ran on
        node.ClearField("metadata_props")
        node.ClearField("doc_string")
    for value in [*model.graph.value_info, *model.graph.input, *model.graph.output, *model.graph.initializer]:
        value.ClearField("metadata_props")
    model.graph.ClearField("metadata_props")
    model.ClearField("metadata_props")
    onnx.save(model, path)


def probe(conditions: int = 0, seed: int = 5) -> Pixels:
    """(3 + conditions, 47, 55) in [0, 1], sides odd: smooth colour, edges and noise; behind them constant planes of random strength."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:47, 0:55] / 8
    smooth = np.stack([np.sin(x + y), np.cos(x - 2 * y), np.sin(x) * np.cos(y)]) * 0.3 + 0.5
    edges = np.where((x % 2 > 1) ^ (y % 3 > 1), 0.25, -0.25)
    colours = np.clip(smooth + edges + random.normal(0, 0.03, smooth.shape), 0, 1)
    planes = np.broadcast_to(random.uniform(0.1, 0.9, (conditions, 1, 1)), (conditions, *x.shape))
    return np.concatenate([colours, planes]).astype(np.float32)


def agreement(a: Pixels, b: Pixels) -> float:
    return psnr(a * np.float32(255), b * np.float32(255))


def export(checkpoint: Path, folder: Path, name: str) -> dict[str, float]:
    """Writes all files and returns dB of agreement per runtime. ValueError below ENOUGH."""
    net = weights.load(checkpoint)
    folder.mkdir(parents=True, exist_ok=True)
    param, binary, graph = (folder / f"{name}.{kind}" for kind in ("param", "bin", "onnx"))
    ncnn_files.write(net, param, binary)
    plain = copy.deepcopy(net)
    plain.ranges = ()  # the files hold floats; what runs them decides whether to take integers
    write_onnx(plain, graph)
    if checkpoint.resolve() != (folder / f"{name}.safetensors").resolve():
        shutil.copyfile(checkpoint, folder / f"{name}.safetensors")
    x = probe(net.shape.conditions)
    wanted = with_torch(plain, x)
    found = {"ncnn": agreement(wanted, with_ncnn(param, binary, x)), "onnx": agreement(wanted, with_onnx(graph, x))}
    if net.ranges:
        trained = with_torch(net, x)
        found["ncnn in 8 bits"] = agreement(trained, with_ncnn_in_eight_bits(param, binary, net.ranges, x))
    for runtime, decibel in found.items():
        # A sum on the edge between two integers goes either way, and layer after layer that adds up: to less than rounding itself does.
        enough = agreement(trained, wanted) + NEARER if runtime == "ncnn in 8 bits" else ENOUGH
        if not decibel >= enough:
            raise ValueError(f"{name} in {runtime} is only {decibel:.1f} dB from the trained net")
    card(net, folder / f"{name}.md", name, found)
    return found


def card(net: Compact, path: Path, name: str, found: dict[str, float]) -> None:
    """A model card from model_card.md; an existing one is left alone."""
    if path.exists():
        return
    template = Path(__file__).with_name("model_card.md").read_text(encoding="utf-8")
    pictures = "\n".join(f"| {s.title} | {s.licence} | {s.source} | {s.attribution} |" for s in photo_sets())
    parameters = sum(p.numel() for p in net.parameters())
    agreements = ", ".join(f"{runtime} {decibel:.0f} dB" for runtime, decibel in found.items())
    shape = f"{net.shape.blocks + 2} convolutions, {net.shape.channels} channels, {net.shape.skip} skip, {parameters:,} parameters"
    if net.shape.conditions:
        shape += f"; {net.shape.inputs} input channels: RGB and constant planes in [0, 1], {', '.join(CONDITIONS[: net.shape.conditions])}"
    if net.ranges:
        shape += f"; in 8 bits the convolutions read up to {', '.join(f'{largest:.4g}' for largest in net.ranges)}"
    words = {"name": name, "scale": net.shape.scale, "shape": shape, "pictures": pictures, "agreements": agreements}
    path.write_text(template.format(**words), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m training.export", description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--name", help="default: the checkpoint's name")
    asked = parser.parse_args()
    found = export(asked.checkpoint, asked.out, asked.name or asked.checkpoint.stem)
    print(", ".join(f"{runtime}: {decibel:.1f} dB" for runtime, decibel in found.items()))
    if ranges := weights.load(asked.checkpoint).ranges:
        print(f"ranges = {[float(f'{largest:.6g}') for largest in ranges]}")


if __name__ == "__main__":
    main()
