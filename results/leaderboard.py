"""Boards onto disk: the CSVs and their Markdown twin, each file replaced in one step."""

from __future__ import annotations

from pathlib import Path

from reshift.results.atomic_write import write_atomically
from reshift.results.board_cache import BoardCache
from reshift.results.boards import Boards, Progress, build_boards
from reshift.results.markdown import markdown
from reshift.results.store import RunStore

FOLDER = "leaderboards"
CACHE_FOLDER = ".boards"


def write_boards(run: Path, progress: Progress | None = None) -> Boards:
    """Rebuild the boards of a run folder from its plan and records and write them to `leaderboards/`.

    What was computed is kept in `.boards/` for the next time. A file whose bytes would not change is left alone; a CSV
    or picture no longer in the plan is removed, so that the folder never mixes two states.

    Args:
        progress: see `build_boards`.

    Raises:
        FileNotFoundError, ValueError: no plan, or one of another schema.
    """
    store = RunStore(run)
    boards = build_boards(store, store.read_plan(), BoardCache(run / CACHE_FOLDER), progress)
    folder = run / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    files = boards.files()
    files["README.md"] = markdown(boards, files).encode()
    for name, content in sorted(files.items()):
        path = folder / name
        if not path.exists() or path.read_bytes() != content:
            write_atomically(path, content)
    for stale in (*folder.glob("*.csv"), *folder.glob("*.svg")):
        if stale.name not in files:
            stale.unlink()
    return boards
