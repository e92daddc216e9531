"""The house rules: imports go down only, nobody imports a room by its bare name, adding a thing is one file."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("benchmark", "datamodules", "models", "refinement", "losses", "splits", "results")
MAY_IMPORT = {
    "benchmark": {"benchmark", "datamodules", "models", "refinement", "losses", "splits", "results"},
    "datamodules": {"datamodules", "splits"},
    "models": {"models", "losses"},
    "refinement": {"refinement"},
    "losses": {"losses"},
    "splits": {"splits"},
    "results": {"results"},
}
FILES = [path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))]


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_go_to_a_lower_level_only(path: Path) -> None:
    room = path.relative_to(ROOT).parts[0]
    used = {name.split(".")[1] for name in imported(path) if name.startswith("reshift.")}
    assert used <= MAY_IMPORT[room]


@pytest.mark.parametrize("path", [*FILES, *sorted((ROOT / "tests").rglob("*.py"))], ids=lambda p: p.name)
def test_no_room_is_imported_by_its_bare_name(path: Path) -> None:
    assert not [name for name in imported(path) if name.split(".")[0] in ROOMS]


@pytest.mark.parametrize("room", ["splits", "results"])
def test_tables_and_boards_need_no_torch(room: str) -> None:
    for path in (ROOT / room).rglob("*.py"):
        assert not {name.split(".")[0] for name in imported(path)} & {"torch", "lightning", "timm"}, path


def test_every_room_is_reached_under_one_name() -> None:
    for room in ROOMS:
        link = ROOT / "src" / "reshift" / room
        assert link.resolve() == ROOT / room
