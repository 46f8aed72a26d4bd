"""The contract: all built-in models keep it, and every clause can be broken."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from pydantic import BaseModel
from tests.nets import NEEDS_CLASSIC

from enlarger.engines import contract, find
from enlarger.engines.contract import CLAUSES, PICTURE_CLAUSES, ContractError, check
from enlarger.engines.engine import Device, EngineSpec, ModelSpec
from enlarger.errors import DeviceError, EngineError
from enlarger.image import Box, Samples, Tile

MODELS = [
    pytest.param(name, model.id, marks=NEEDS_CLASSIC if model.extra else ())
    for name in ("ncnn", "resample")
    for model in find(name).models()
]


@pytest.mark.parametrize(("name", "id_"), MODELS)
def test_built_in_models_keep_the_contract(name: str, id_: str) -> None:
    engine = find(name)
    model = next(model for model in engine.models() if model.id == id_)
    kept = check(engine, model, Device("cpu", threads=1))
    assert len(kept) == len(CLAUSES) + (len(PICTURE_CLAUSES) if name == "resample" else 0)


class Toy:
    """A tile engine that keeps the contract (scale 2, pixels repeated), to be broken in one place at a time."""

    def __init__(self, answer: Callable[[Tile], Tile] | None = None, **broken: Any) -> None:
        self.answer = answer or double
        self.broken = broken
        self.spec = EngineSpec(name="toy", title="Toy", scope="tile", **broken.get("spec", {}))

    def models(self) -> tuple[ModelSpec, ...]:
        row = {"id": "toy", "engine": "toy", "title": "Toy", "purpose": "Doubles.", "scale": 2}
        return (ModelSpec.model_validate(row | self.broken.get("model", {})),)

    def device(self, wanted: str, threads: int | None) -> Device:
        if wanted not in ("auto", "cpu") and not self.broken.get("any_device"):
            raise DeviceError("CPU only")
        return Device(self.broken.get("auto", "cpu"))

    def open(self, model: ModelSpec, device: Device, settings: BaseModel) -> Any:
        return self.broken.get("opened", Opened)(self.answer)


class Opened:
    def __init__(self, answer: Callable[[Tile], Tile]) -> None:
        self.answer = answer

    def __call__(self, tile: Tile) -> Tile:
        return self.answer(tile)

    def close(self) -> None:
        pass


def double(tile: Tile) -> Tile:
    return np.repeat(np.repeat(tile, 2, axis=0), 2, axis=1)


def shifted(tile: Tile) -> Tile:
    return np.roll(double(tile), 1, axis=1)


def writing(tile: Tile) -> Tile:
    tile.flags.writeable = True
    tile *= 0.999
    return double(tile)


def in_place(tile: Tile) -> Tile:
    tile += 0
    return double(tile)


def spotted(tile: Tile) -> Tile:
    answer = double(tile)
    answer[-1, -1, 1] = np.nan
    return answer


def loud(tile: Tile) -> Tile:
    return (double(tile) - 0.5) * 4 + 0.5


def drifting() -> Callable[[Tile], Tile]:
    calls = [0]

    def answer(tile: Tile) -> Tile:
        calls[0] += 1
        return double(tile) + np.float32(1e-6 * calls[0])

    return answer


def reusing() -> Callable[[Tile], Tile]:
    buffers: dict[tuple[int, ...], Tile] = {}

    def answer(tile: Tile) -> Tile:
        out = buffers.setdefault(tile.shape, double(tile))
        out[:] = double(tile)
        return out

    return answer


class Shared(Opened):
    """All opened models share one resource, which the first to close takes away."""

    gone = False

    def __call__(self, tile: Tile) -> Tile:
        return double(tile) * (0.99 if Shared.gone else 1)

    def close(self) -> None:
        Shared.gone = True


class NoClose:
    def __init__(self, answer: Callable[[Tile], Tile]) -> None:
        self.close = None

    def __call__(self, tile: Tile) -> Tile:
        return double(tile)


class Lenient(BaseModel):
    pass


BREACHES: dict[str, tuple[str, Callable[[], Toy]]] = {
    "another engine's model": ("description", lambda: Toy(model={"engine": "x"})),
    "feather beyond halo": ("description", lambda: Toy(model={"feather": 3, "halo": 2})),
    "no scale": ("description", lambda: Toy(model={"scale": 0})),
    "any device will do": ("devices", lambda: Toy(any_device=True)),
    "a device that the spec hides": ("devices", lambda: Toy(auto="gpu")),
    "unknown settings vanish": ("settings", lambda: Toy(spec={"settings": Lenient})),
    "a dial nobody knows": ("settings", lambda: Toy(spec={"dials": ("volume",)})),
    "a dial that is never heard": ("settings", lambda: Toy(spec={"dials": ("detail",)})),
    "a dial that leads to nobody": ("settings", lambda: Toy(model={"toward": "x"})),
    "writes to its input": ("input untouched", lambda: Toy(in_place)),
    "unlocks and writes to its input": ("input untouched", lambda: Toy(writing)),
    "too small": ("shape", lambda: Toy(lambda tile: double(tile)[:-1])),
    "transposed": ("shape", lambda: Toy(lambda tile: double(tile).transpose(1, 0, 2))),
    "planar": ("shape", lambda: Toy(lambda tile: double(tile).transpose(2, 0, 1))),
    "float64": ("shape", lambda: Toy(lambda tile: double(tile).astype(np.float64))),
    "a list": ("shape", lambda: Toy(lambda tile: double(tile).tolist())),
    "one NaN": ("shape", lambda: Toy(spotted)),
    "0 to 255": ("range", lambda: Toy(lambda tile: double(tile) * 255)),
    "too much contrast": ("range", lambda: Toy(loud)),
    "black": ("likeness", lambda: Toy(lambda tile: double(tile) * 0)),
    "negative": ("likeness", lambda: Toy(lambda tile: 1 - double(tile))),
    "too bright": ("flat stays flat", lambda: Toy(lambda tile: double(tile) + np.float32(0.08))),
    "BGR": ("colour order", lambda: Toy(lambda tile: 0.55 * double(tile) + 0.45 * double(tile)[..., ::-1])),
    "half a pixel off": ("phase", lambda: Toy(shifted)),
    "another answer each time": ("deterministic", lambda: Toy(drifting())),
    "one buffer for all answers": ("answers are the caller's", lambda: Toy(reusing())),
    "closing one closes all": ("close", lambda: Toy(opened=Shared)),
}


def test_the_toy_keeps_the_contract() -> None:
    toy = Toy()
    assert check(toy, toy.models()[0], Device()) == tuple(name for name, _ in CLAUSES)


@pytest.mark.parametrize("what", BREACHES)
def test_every_breach_is_found(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Shared, "gone", False)
    clause, make = BREACHES[what]
    toy = make()
    model = toy.models()[0]
    with pytest.raises(ContractError) as caught:
        check(toy, model, Device())
    assert caught.value.clause == clause
    assert isinstance(caught.value, EngineError)
    assert "toy/toy" in str(caught.value)


def test_mirroring_that_phase_would_not_see() -> None:
    """An engine that transposes square tiles only: shapes, colours and the middle of a disc on the diagonal would pass."""

    def transposing(tile: Tile) -> Tile:
        square = tile.shape[0] == tile.shape[1] == 32
        return double(np.ascontiguousarray(tile.transpose(1, 0, 2)) if square else tile)

    toy = Toy(transposing)
    with pytest.raises(ContractError) as caught:
        check(toy, toy.models()[0], Device())
    assert caught.value.clause == "mirror"


def test_an_unlisted_model() -> None:
    toy = Toy()
    with pytest.raises(ContractError, match="does not list"):
        check(toy, toy.models()[0].model_copy(update={"id": "other"}), Device())


def test_opened_without_close() -> None:
    toy = Toy(opened=NoClose)
    with pytest.raises(ContractError, match="description"):
        check(toy, toy.models()[0], Device())


def test_an_engine_that_says_it_is_not_deterministic_need_not_be() -> None:
    toy = Toy(drifting(), spec={"deterministic": False})
    assert "deterministic" in check(toy, toy.models()[0], Device())


def test_sizes_keep_to_the_rules_of_the_model() -> None:
    seen = []

    def picky(tile: Tile) -> Tile:
        seen.append(tile.shape[:2])
        return double(tile)

    toy = Toy(picky, model={"min_side": 10, "multiple_of": 8})
    check(toy, toy.models()[0], Device())
    assert min(min(shape) for shape in seen) == 16
    assert all(side % 8 == 0 for shape in seen for side in shape)


class PictureToy(Toy):
    """Built on our own resampler and broken on top of it."""

    def __init__(self, change: Callable[[Tile, Samples, Box], Tile] = lambda answer, samples, box: answer) -> None:
        super().__init__()
        self.spec = replace(self.spec, scope="picture")
        self.change = change

    def open(self, model: ModelSpec, device: Device, settings: BaseModel) -> Any:
        resample = find("resample")
        opened = resample.open(resample.models()[2], device, settings)
        change = self.change

        class Changed:
            def __call__(self, samples: Samples, size: tuple[int, int], box: Box) -> Tile:
                return change(opened(samples, size, box), samples, box)  # type: ignore[call-arg, arg-type]

            def close(self) -> None:
                opened.close()

        return Changed()


@pytest.mark.parametrize(
    ("clause", "change"),
    [
        ("boxes", lambda answer, samples, box: answer + np.float32(1e-4 * (box.width < 50))),
        ("bands", lambda answer, samples, box: answer[..., :3]),
        ("bands", lambda answer, samples, box: answer * np.float32(0.99 if answer.shape[2] == 4 else 1)),
        ("shape", lambda answer, samples, box: answer[1:]),
    ],
)
def test_breaches_of_picture_engines(clause: str, change: Callable[[Tile, Samples, Box], Tile]) -> None:
    toy = PictureToy(change)
    with pytest.raises(ContractError) as caught:
        check(toy, toy.models()[0], Device())
    assert caught.value.clause == clause


def test_picture_toy_keeps_the_contract() -> None:
    toy = PictureToy()
    assert set(check(toy, toy.models()[0], Device())) == {name for name, _ in (*CLAUSES, *PICTURE_CLAUSES)}


def test_every_clause_is_broken_by_some_test() -> None:
    broken = {clause for clause, _ in BREACHES.values()} | {"mirror", "boxes", "bands"}
    assert broken == {name for name, _ in (*CLAUSES, *PICTURE_CLAUSES)}


def test_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert contract.main(["resample", "--model", "bilinear"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("resample/bilinear on cpu: kept 16 clauses: description")
    assert out.count("\n") == 1
    assert contract.main(["no-such-engine"]) == 7
    assert contract.main(["resample", "--model", "x"]) == 7
    assert contract.main(["resample", "--device", "gpu"]) == 7
    assert capsys.readouterr().err.count("error: ") == 3
