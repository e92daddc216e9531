"""The tutorial as it stands: its files are saved, its commands typed, with the smaller settings its comments state."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pytest

from reshift.benchmark.cli import build_parser, main

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"(?:<!-- the test runs: (.+?) => (.+?) -->\n)?```(sh|python)(?: title=(\S+))?\n(.*?)```", re.S)


class Block(NamedTuple):
    """What a reader copies: a shell session, or a file to be saved under `title`."""

    language: str
    title: str
    text: str


def blocks() -> list[Block]:
    """All blocks of the page in order; a replacement that no longer matches its block is an error."""
    found = []
    for old, new, language, title, text in BLOCK.findall(PAGE):
        assert not old or old in text, f"{old!r} is not in the block below it"
        found.append(Block(language, title, text.replace(old, new) if old else text))
    return found


def execute(command: list[str]) -> None:
    """One line of a shell session, as it would end in a terminal."""
    match command:
        case ["reshift", *words]:
            assert main(words) == 0, command
        case ["python", script]:
            subprocess.run([sys.executable, script], check=True)
        case ["cp", source, target]:
            shutil.copy(source, target)
        case ["source", ".venv/bin/activate"]:
            pass  # the test's own environment is that one
        case _:
            pytest.fail(f"the tutorial types {command}, which this test does not know")


@pytest.mark.timeout(240)
def test_the_tutorial_runs_from_its_first_line_to_its_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(ROOT / "examples", tmp_path / "examples", ignore=shutil.ignore_patterns("__pycache__"))
    # Stands for `make benchmark`, which tests/test_quick_preset.py trains.
    committed = Path("results", "leaderboards", "tiles-tuned")
    shutil.copytree(ROOT / committed, tmp_path / committed)
    monkeypatch.chdir(tmp_path)
    for block in blocks():
        if block.language == "python":
            Path(block.title).write_text(block.text, encoding="utf-8")
            continue
        for line in block.text.splitlines():
            execute(shlex.split(line, comments=True))
    told = capsys.readouterr().out
    assert "18 cells to compute, nothing was written" in told  # 3 models on 5 folds and one noisy split
    assert "FAIL" not in told and "cannot show: components" in told
    board = pd.read_csv("runs/mine/leaderboards/overall.csv")
    assert {"good_mean", "gaussian", "size_brightness"} <= set(board["model"])
    found = pd.read_csv("found.csv")
    assert len(found) == len(list(Path("photos/scratch").glob("*.png")))
    assert set(found["decision"]) <= {"good", "defective"}


def test_what_it_promises_is_there() -> None:
    _, actions = build_parser()
    assert set(re.findall(r"\breshift ([a-z]+(?:-[a-z]+)?)\b", PAGE)) <= set(actions)
    for link in re.findall(r"\]\(([^)]+)\)", PAGE):
        assert (ROOT / "docs" / link).exists(), link
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in set(re.findall(r"`make ([a-z-]+)", PAGE)):
        assert re.search(rf"^[a-z -]*\b{target}\b[a-z -]*:", makefile, re.M), target
