"""Recipes: data that is checked, beaten by what is said beside it, and told in full by plans and reports."""

from __future__ import annotations

import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow
from skimage import data

import enlarger
from enlarger.errors import UsageError
from enlarger.interfaces import cli
from enlarger.options import Options
from enlarger.recipes import list_recipes, recipe_named, user_file

OURS = ["art", "catalog", "document", "photo", "pixel-art", "poster", "restore", "web"]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration folder of its own: recipes of whoever runs the tests must not matter."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path / "config" / "enlarger"


def write(home: Path, text: str) -> Path:
    home.mkdir(parents=True, exist_ok=True)
    path = home / "recipes.toml"
    path.write_text(text, "utf-8")
    return path


def test_ours_are_there_valid_and_explained() -> None:
    assert [recipe.name for recipe in list_recipes()] == OURS
    for recipe in list_recipes():
        options = Options(recipe=recipe.name)
        named = Options(**recipe.options)
        assert {name: getattr(options, name) for name in recipe.options} == {name: getattr(named, name) for name in recipe.options}
        assert recipe.about.endswith(".")
        assert recipe.path is None


def test_what_is_said_beside_a_recipe_goes_before() -> None:
    assert (Options(recipe="catalog").quality, Options(recipe="catalog", quality=70).quality) == (85, 70)
    assert Options(recipe="poster").to == "8k"
    assert (Options(recipe="poster", scale=4).to, Options(recipe="poster", scale=4).dpi) == (None, 300)
    assert Options(recipe="poster", to="16k").to == "16k"
    assert (Options(recipe="catalog", width=900).scale, Options(recipe="catalog", width=900).width) == (4.0, 900)
    assert (Options(recipe="web").max_size, Options(recipe="web", quality=70).max_size) == (400_000, None)
    assert (Options(recipe="catalog", max_size="90kB").quality, Options(recipe="catalog", max_size="90kB").max_size) == (None, 90_000)
    assert Options(recipe="document").self_ensemble
    assert Options(recipe="document", style="crisp").detail == 75
    assert Options(recipe="document", style="crisp").resemblance == 100
    assert Options(recipe="photo", on_doubt="warn").on_doubt == "warn"


def test_a_recipe_survives_being_handed_on_with_what_was_said_beside_it() -> None:
    for options in (Options(recipe="poster", scale=4), Options(recipe="photo", texture=50), Options(recipe="web")):
        assert Options(**options.asked()) == options
        assert Options.of(options) == options
        again = Options(**options.resolved())
        assert again.model_dump(exclude={"recipe"}) == options.model_dump(exclude={"recipe"})
    assert Options.of(Options(recipe="poster"), scale=2).to is None


def test_the_users_own_go_before_ours(home: Path) -> None:
    path = write(home, '[shop]\nabout = "Ours."\nlong-edge = 2000\nformat = "webp"\n[photo]\nscale = 3\n')
    assert user_file() == path
    assert [recipe.name for recipe in list_recipes()] == sorted([*OURS, "shop"])
    assert recipe_named("shop").path == str(path)
    assert (Options(recipe="shop").long_edge, Options(recipe="shop").format) == (2000, "webp")
    assert (Options(recipe="photo").scale, Options(recipe="photo").texture) == (3, 50)


@pytest.mark.parametrize(
    ("text", "name", "message"),
    [
        ("", "nope", "--recipe: there is no recipe 'nope'; known are art, catalog, document, photo"),
        ("[shop]\nscale = 99\n", "shop", "recipes.toml: --scale: scale must be a number from 1 to 16"),
        ("[shop]\nsize = 2\n", "shop", "recipes.toml: size: unknown option; known options are scale, width"),
        ("[shop]\nscale = 2\nto = '4k'\n", "shop", "recipes.toml: --to: contradicts --scale"),
        ("[shop\n", "photo", "recipes.toml: this is no TOML"),
        ("shop = 3\n", "photo", "recipes.toml: shop is no recipe; write [name]"),
        ("[shop]\nrecipe = 'photo'\n", "shop", "recipes.toml: shop is no recipe"),
    ],
)
def test_what_is_wrong_with_a_recipe_is_one_line(text: str, name: str, message: str, home: Path) -> None:
    write(home, text)
    with pytest.raises(UsageError) as caught:
        Options(recipe=name)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_through_the_python_api_and_its_report(tmp_path: Path) -> None:
    array = np.full((60, 80, 3), 255, np.uint8)
    array[10:50, 20:60] = data.astronaut()[80:120, 200:240]
    Pillow.fromarray(array).save(tmp_path / "a.png")
    result = enlarger.enlarge(tmp_path / "a.png", output=tmp_path / "a.webp", recipe="catalog", engine="resample")
    out = result.report.output
    assert (out.width, out.height, out.format, out.quality) == (160, 120, "webp", 85)
    assert result.plan.recipe == "catalog"
    told = {"scale": 2.0, "engine": "resample", "quality": 85, "on_doubt": "repair", "strip": "private", "protect": "graphics"}
    assert result.plan.options == told
    with Pillow.open(tmp_path / "a.webp") as picture:
        corner = np.asarray(picture.convert("RGB"))[:12]
    assert (corner == 255).all(), "white must stay white"


def test_an_outputs_name_goes_before_a_recipes_format(tmp_path: Path) -> None:
    Pillow.fromarray(data.astronaut()[:200, :300]).save(tmp_path / "a.png")
    result = enlarger.enlarge(tmp_path / "a.png", output=tmp_path / "b.png", recipe="web", engine="resample", verify="off")
    assert (result.report.output.format, result.report.output.quality) == ("png", None)
    words = shlex.split(result.report.reproduce.command)
    assert "--format" not in words
    assert "--recipe" not in words
    assert words[words.index("--to") + 1] == "2k"


def test_pixel_art_keeps_its_blocks_and_colours() -> None:
    array = np.random.default_rng(0).integers(0, 256, (6, 5, 3), np.uint8)
    result = enlarger.enlarge(array, recipe="pixel-art").image
    np.testing.assert_array_equal(result, array.repeat(4, 0).repeat(4, 1))


def test_the_command_line_lists_and_uses_them(tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(home, '[tiny]\nabout = "A test."\nscale = 2\nengine = "resample"\n')
    assert cli.main(["recipes"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:]] == sorted([*OURS, "tiny"])
    assert "--scale 2 --engine resample" in lines[-2]
    assert cli.main(["recipes", "--json"]) == 0
    assert '"name": "tiny"' in capsys.readouterr().out
    Pillow.fromarray(data.astronaut()[:20, :30]).save(tmp_path / "a.png")
    assert cli.main([str(tmp_path / "a.png"), "--recipe", "tiny"]) == 0
    with Pillow.open(tmp_path / "a-2x.png") as picture:
        assert picture.size == (60, 40)
    capsys.readouterr()
    assert cli.main([str(tmp_path / "a.png"), "--recipe", "nope"]) == 2
    assert capsys.readouterr().err.startswith("enlarger: --recipe: there is no recipe 'nope'; known are art, catalog")
