"""A cell's log: what it holds, that it stays small, and that nothing depends on it."""

from __future__ import annotations

import logging
import re
import sys
import warnings
from pathlib import Path

import pytest
from conftest import write_parts
from report_runs import hostile_run

from reshift.benchmark.cell_log import cell_log, warnings_aside
from reshift.benchmark.cli import main
from reshift.results.log_file import LOG_FILE, MOST_BYTES, LogFile, log_tail
from reshift.results.plan import PlannedCell
from reshift.results.store import RunStore, Status

CELL = PlannedCell("c" * 20, {}, "tiles", "mine", "in_distribution", "fold=0", 0)
SECRET = "s3cr3t-0123456789abcdef"
TALKATIVE = """\
import logging, os, warnings
import torch
from reshift.models.base import InspectionModule

class Talkative(InspectionModule):
    '''Says a lot.'''

    name, version, views, learns_from = "talkative", 1, "one", "labels"

    def __init__(self) -> None:
        super().__init__()
        self.net = torch.nn.Linear(3, 1)

    def training_step(self, batch, batch_idx):
        print("a loss, and the key", os.environ["MY_API_KEY"])
        warnings.warn("odd batch", UserWarning)
        logging.getLogger("mine").warning("a strange \\x1b[31mpicture")
        return self.validation_loss(batch)

    def validation_loss(self, batch):
        return torch.nn.functional.binary_cross_entropy_with_logits(self.score(batch), batch["label"].float())

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)

    def score(self, batch):
        if not os.path.exists("works"):
            raise KeyError("no such thing")
        return self.net(batch["image"].mean((2, 3)))[:, 0]
"""
PRESET = """\
description: a model that talks
datasets: [{use: manifest, args: {csv: photos/parts.csv}}]
protocols: [{use: in_distribution, splits: [fold=0]}]
models: [{use: "talkative.py:Talkative"}]
seeds: [0]
steps: 4
batch_size: 8
checks: 2
size: 32
"""


def lines_of(folder: Path) -> list[str]:
    return (folder / LOG_FILE).read_text().splitlines()


def test_a_failed_cell_tells_all_and_the_next_attempt_is_written_below(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MY_API_KEY", SECRET)
    monkeypatch.setenv("RESHIFT_CACHE", str(tmp_path / "cache"))
    write_parts(tmp_path / "photos", 60)
    Path("talkative.py").write_text(TALKATIVE)
    Path("own.yaml").write_text(PRESET)
    assert main(["run", "--preset", "own.yaml"]) == 1
    said = capfd.readouterr()
    assert "a loss" not in said.out + said.err and "odd batch" not in said.err, "the progress stays readable"

    store = RunStore(Path("runs/own"))
    (cell,) = [c.id for c in store.read_plan().cells if c.model == "talkative"]
    failure = store.failure(cell)
    assert failure is not None and failure.message.endswith(f"; see cells/{cell}/log.txt")
    assert f"cells/{cell}/log.txt" in said.err
    text = (store.folder(cell) / LOG_FILE).read_text()
    assert SECRET not in text and "printed: a loss, and the key ***" in text
    assert text.count("UserWarning: odd batch") == text.count("warning: mine: a strange") == 1, "said with every batch"
    assert "\x1b" not in text
    for wanted in (
        r"^=== attempt 1: talkative on parts/in_distribution/fold=0 seed 0, started 20\d\d-",
        r"device cpu: .*torch \d",
        r"data: .*test images \d+",
        r"fit: 4 steps from scratch on \d+ images, 0 of weight 0",
        r"^ +Traceback \(most recent call last\):|s  Traceback",
        r"KeyError: 'no such thing'",
        r"failed after [\d.]+ s$",
    ):
        assert re.search(wanted, text, re.MULTILINE), wanted

    Path("works").touch()
    assert main(["run", "--preset", "own.yaml"]) == 0
    assert store.status(cell) is Status.DONE
    again = (store.folder(cell) / LOG_FILE).read_text()
    assert again.startswith(text) and "\n=== attempt 2: talkative" in again
    assert re.search(r"step 4: validation loss [\d.]+", again) and again.rstrip().endswith(" s")
    assert (store.folder(cell) / "record.json").read_text().count(LOG_FILE) == 0

    before = {path.name: path.read_bytes() for path in Path("runs/own/leaderboards").glob("*.csv")}
    for path in Path("runs/own/cells").glob(f"*/{LOG_FILE}"):
        path.unlink()
    assert store.status(cell) is Status.DONE, "a cell without a log, as of an older version, is as good"
    assert main(["board", "own"]) == 0
    assert before == {path.name: path.read_bytes() for path in Path("runs/own/leaderboards").glob("*.csv")}


def test_a_log_stays_within_its_bound_and_keeps_both_ends(tmp_path: Path) -> None:
    with cell_log(tmp_path, CELL):
        for number in range(30_000):
            print(f"batch {number} of many")
    size = (tmp_path / LOG_FILE).stat().st_size
    found = lines_of(tmp_path)
    assert 64 * 2**10 < size <= MOST_BYTES
    assert found[0].startswith("=== attempt 1") and found[1].endswith("batch 0 of many")
    assert found[-2].endswith("batch 29999 of many") and " done after " in found[-1]
    assert sum("left out" in line for line in found) == 1
    with cell_log(tmp_path, CELL):
        pass
    assert "=== attempt 2" in (tmp_path / LOG_FILE).read_text()


def test_a_progress_bar_is_one_line_and_an_endless_one_is_cut(tmp_path: Path) -> None:
    with cell_log(tmp_path, CELL):
        for percent in range(101):
            print(f"\r{percent} %", end="")
        print()
        print("x" * 100_000, end="")
    found = lines_of(tmp_path)
    assert [line for line in found if "%" in line] == [found[1]] and found[1].endswith("printed: 100 %")
    assert len(found) == 4 and "xxx [...]" in found[2] and len(found[2]) < 3000 and " done after " in found[3]


def test_what_cannot_be_written_does_not_fail_the_cell(tmp_path: Path) -> None:
    (tmp_path / LOG_FILE).mkdir()
    with cell_log(tmp_path, CELL):
        print("nobody hears this")
    full = LogFile(Path("/dev/full"))
    full.line("neither this")
    full.close()


def test_afterwards_everything_is_as_it_was(tmp_path: Path) -> None:
    before = (sys.stdout, warnings.showwarning, logging.root.handlers[:], logging.getLogger("reshift").level)
    with pytest.raises(KeyboardInterrupt), cell_log(tmp_path, CELL):
        assert sys.stdout is not before[0]
        raise KeyboardInterrupt
    assert (sys.stdout, warnings.showwarning, logging.root.handlers[:], logging.getLogger("reshift").level) == before
    assert "KeyboardInterrupt" in (tmp_path / LOG_FILE).read_text()


def test_warnings_aside_are_silent_without_a_log(capfd: pytest.CaptureFixture[str]) -> None:
    with warnings_aside():
        warnings.warn("nobody's business", stacklevel=1)
    assert capfd.readouterr().err == ""


def test_the_tail_of_a_log_is_cut_at_lines(tmp_path: Path) -> None:
    (tmp_path / LOG_FILE).write_text("one\ntwo\nthree\n")
    assert log_tail(tmp_path, 9, 99) == "one\ntwo\nthree"
    assert log_tail(tmp_path, 2, 99) == "[...]\ntwo\nthree"
    assert log_tail(tmp_path, 9, 9) == "[...]\nthree"
    assert log_tail(tmp_path, 9, 3) == "[...]\nree"
    assert log_tail(tmp_path / "nowhere", 9, 9) == ""


def test_a_merged_cell_brings_its_log(tmp_path: Path) -> None:
    there, here = hostile_run(tmp_path / "there"), RunStore(tmp_path / "here")
    first, second = (c.id for c in there.read_plan().cells[:2])
    (there.folder(first) / LOG_FILE).write_text("=== attempt 1: it went well\n")
    (there.folder(second) / LOG_FILE).unlink()
    here.take(first, there)
    here.take(second, there)
    assert log_tail(here.folder(first), 5, 100) == "=== attempt 1: it went well"
    assert not (here.folder(second) / LOG_FILE).exists()
