"""Recipes: named sets of options, ours and the user's own. Data; :class:`enlarger.Options` applies and checks them."""

from __future__ import annotations

import os
import sys
import tomllib
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from enlarger.errors import UsageError


class Recipe(BaseModel):
    """A named set of options. ``path`` is the user's file that it comes from, ``None`` for ours."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    about: str = ""
    options: dict[str, Any]
    path: str | None = None


def list_recipes() -> list[Recipe]:
    """All recipes by name; the user's own go before ours of the same name. Raises :class:`UsageError` for a file that is none."""
    own = user_file()
    found = {recipe.name: recipe for recipe in (*_built_in(), *(_read(own.read_bytes(), own) if own.is_file() else ()))}
    return [found[name] for name in sorted(found)]


def recipe_named(name: str) -> Recipe:
    """Raises :class:`UsageError` that names those there are."""
    recipes = {recipe.name: recipe for recipe in list_recipes()}
    if name not in recipes:
        raise UsageError(f"there is no recipe {name!r}", hint=f"known are {', '.join(recipes)}", subject="--recipe")
    return recipes[name]


def user_file() -> Path:
    """``enlarger/recipes.toml`` in the user's configuration folder, whether it is there or not."""
    said = Path(os.environ.get("XDG_CONFIG_HOME", ""))
    if said.is_absolute():
        base = said
    elif sys.platform == "win32" and os.environ.get("APPDATA"):
        base = Path(os.environ["APPDATA"])
    else:
        base = Path.home() / ".config"
    return base / "enlarger" / "recipes.toml"


@cache
def _built_in() -> tuple[Recipe, ...]:
    return _read(files("enlarger").joinpath("recipes.toml").read_bytes(), None)


def _read(data: bytes, path: Path | None) -> tuple[Recipe, ...]:
    where = str(path or "recipes.toml")
    try:
        tables = tomllib.loads(data.decode("utf-8"))
    except ValueError as error:
        raise UsageError(f"this is no TOML ({str(error).lower()})", hint="mend it, or move it away", subject=where) from error
    recipes = []
    for name, table in tables.items():
        if not isinstance(table, dict) or not isinstance(table.get("about", ""), str) or "recipe" in table:
            raise UsageError(f"{name} is no recipe", hint="write [name], and below it about and options", subject=where)
        options = {key.replace("-", "_"): value for key, value in table.items() if key != "about"}
        recipes.append(Recipe(name=name, about=table.get("about", ""), options=options, path=None if path is None else str(path)))
    return tuple(recipes)
