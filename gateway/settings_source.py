"""Where settings come from: a TOML file and variables of the environment, each as one tree of names."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["PREFIX", "SettingsError", "merged_trees", "read_file", "tree_of"]

PREFIX = "MESHGATE_"
_NOT_SETTINGS = ("MESHGATE_CONFIG", "MESHGATE_TESTS_")


class SettingsError(Exception):
    """Settings that cannot be used. ``problems``: one line each, with the setting's name and where it came from."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def read_file(path: Path) -> dict[str, Any]:
    """Read a TOML file; paths in it count from its folder. **Raises** `SettingsError`."""
    try:
        tree = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError([f"{path}: cannot be read ({error.strerror or type(error).__name__})"]) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError([f"{path}: is not valid TOML: {error}"]) from None
    for section, name in ((tree, "catalog_dir"), (tree, "policy_file"), (tree.get("cache"), "contracts_dir")):
        if isinstance(section, dict) and isinstance(section.get(name), str) and section[name] != "off":
            section[name] = path.parent / Path(section[name]).expanduser()
    return tree


def tree_of(environment: Mapping[str, str]) -> dict[str, Any]:
    """Put the variables that are settings into the tree that a file would be. **Raises** `SettingsError`."""
    tree: dict[str, Any] = {}
    for name, value in sorted(environment.items()):
        if not name.startswith(PREFIX) or name.startswith(_NOT_SETTINGS):
            continue
        head, *rest = name.removeprefix(PREFIX).split("__")
        # A product's name keeps its spelling; all else is upper case by the shell's custom.
        keys = [head.lower(), *rest] if head.lower() == "products" else [key.lower() for key in (head, *rest)]
        if keys[0] == "products" and len(keys) > 2:
            # Names of products and ports stand second and fourth.
            keys[2::2] = [key.lower() for key in keys[2::2]]
        at = tree
        for key in keys[:-1]:
            below = at.setdefault(key, {})
            if not isinstance(below, dict):
                raise SettingsError([f"{name}: {key} is set as a value and as a group"])
            at = below
        at[keys[-1]] = value
    return tree


def merged_trees(under: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Lay one tree over another."""
    merged = dict(under)
    for key, value in over.items():
        below = merged.get(key)
        merged[key] = merged_trees(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged
