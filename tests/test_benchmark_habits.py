"""Habits of the command line: help with examples, exit codes, Ctrl-C, plain output, the cost of a dry run."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import tomllib
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

import reshift
from reshift.benchmark.cli import build_parser, main
from reshift.benchmark.dry_run import expected_cost, in_words
from reshift.results.plan import PlannedCell, identity_hash
from reshift.results.record import Record
from reshift.results.store import RunStore

ROOT = Path(__file__).parents[1]
RUN = [sys.executable, "-m", "reshift.benchmark", "run", "--preset", str(ROOT / "tests" / "tiny.yaml")]


def planned(model: str, split: str = "s", seed: int = 0, **settings: Any) -> PlannedCell:
    identity = {"model": {"class": model, "args": {}}, "budget": {"steps": 8}, "size": 32, **settings}
    identity |= {"split": {"name": split}, "seed": seed, "dataset": {"name": "d"}, "protocol": {"class": "p"}}
    return PlannedCell(identity_hash(identity), identity, "d", model, "p", split, seed)


def finish(store: RunStore, cell: PlannedCell, seconds: float, device: str = "cpu: x86_64") -> None:
    texts = ("part", "view", "role", "component", "defect", "transmission", "acquisition")
    row: dict[str, list[Any]] = {"sample": ["a.png"], "label": [0], "observed_label": [0], "score:x": [0.5]}
    scores = pd.DataFrame(row | {name: ["test"] for name in texts})
    store.write(Record.of(cell, "image", {}, {"seconds": seconds, "device": device}), scores)


def test_cost_is_the_mean_of_finished_cells_of_the_same_model_times_the_open_ones(tmp_path: Path) -> None:
    here, beside = RunStore(tmp_path / "here"), RunStore(tmp_path / "beside")
    finish(here, planned("flow", "a"), 100)
    finish(here, planned("flow", "b"), 200)
    finish(beside, planned("flow", "c"), 9000)  # this run knows the model, so the others are not asked
    finish(beside, planned("probe", "a"), 3)
    cells = [planned("flow", "d"), planned("flow", "e", seed=1), planned("probe", "d")]
    flow, probe, total = expected_cost(here, cells, "cpu", 2)[1:]
    assert flow.split() == ["flow", "2", "x", "150.0", "s", "each,", "about", "5.0", "min"]
    assert probe.split()[3:] == ["3.0", "s", "each,", "about", "3", "s"]
    assert total == "in all: about 2.5 min with --workers 2"  # (2 * 150 + 3) / 2 = 151.5 s


@pytest.mark.parametrize("settings", [{"size": 64}, {"budget": {"steps": 1000}}, {"refinement": {"policy": "x"}}])
def test_a_cell_of_other_settings_says_nothing_of_the_cost(tmp_path: Path, settings: dict[str, Any]) -> None:
    store = RunStore(tmp_path / "here")
    finish(store, planned("flow", **settings), 10)
    lines = expected_cost(store, [planned("flow", "b")], "cpu", 1)
    assert "unknown, none finished" in lines[1]
    assert lines[2] == "in all: nothing known, 1 cells of unknown cost not counted"


def test_a_gpu_s_seconds_say_nothing_of_the_cpu_and_unknown_cells_are_not_counted(tmp_path: Path) -> None:
    store = RunStore(tmp_path / "here")
    finish(store, planned("flow"), 10, "cuda: NVIDIA H200")
    finish(store, planned("probe"), 4)
    torn = store.folder("torn")
    torn.mkdir()
    (torn / "record.json").write_text("torn", encoding="utf-8")
    lines = expected_cost(store, [planned("flow", "b"), planned("probe", "b")], "cpu", 1)
    assert lines[-1] == "in all: about 4 s with --workers 1, 1 cells of unknown cost not counted"
    on_gpu = expected_cost(store, [planned("flow", "b")], "cuda", 1)
    assert on_gpu[-1] == "in all: about 10 s with --workers 1"


def test_a_run_that_is_done_or_does_not_exist_yet_costs_what_is_said(tmp_path: Path) -> None:
    store = RunStore(tmp_path / "runs" / "new")
    assert expected_cost(store, [], "cpu", 1) == []
    assert "nothing known" in expected_cost(store, [planned("flow")], "cpu", 1)[-1]
    assert not (tmp_path / "runs" / "new").exists()


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.4, "0 s"), (119, "119 s"), (150, "2.5 min"), (3600, "60 min"), (9000, "2.5 h"), (864000, "10 days")],
)
def test_durations_in_words(seconds: float, words: str) -> None:
    assert in_words(seconds) == f"about {words}"


@pytest.mark.parametrize("command", sorted(build_parser()[1]))
def test_every_command_has_help_with_an_example_that_parses(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "1000")  # no line breaks within the example
    with pytest.raises(SystemExit, match=r"^0$"):
        main([command, "--help"])
    told = capsys.readouterr().out
    example = re.search(r"Example: reshift (.+)$", told, re.M)
    assert example, told
    assert build_parser()[0].parse_args(shlex.split(example[1])).command == command


def test_exit_code_2_is_a_request_that_cannot_be_met(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["status", "nowhere"]) == 2
    with pytest.raises(SystemExit, match=r"^2$"):
        main(["run", "--no-such-option"])


def test_ctrl_c_stops_within_seconds_and_the_same_command_goes_on(parts_manifest: Path, tmp_path: Path) -> None:
    arguments = ["--manifest", str(parts_manifest), "--protocols", "in_distribution"]
    # More steps than anybody waits for, so that the interrupt finds a cell at work.
    command = [*RUN, *arguments, "--steps", "100000", "--models", "size_brightness", "classifier", "--run", "mine"]
    run = subprocess.Popen(
        command,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # A shell that starts these tests in the background hands them an ignored Ctrl-C, and they hand it on.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.default_int_handler),
    )
    assert run.stderr is not None
    told = ""
    while "done    size_brightness" not in told:
        line = run.stderr.readline()
        assert line, told
        told += line
    os.killpg(run.pid, signal.SIGINT)  # what a terminal does: to the parent and to its workers
    out, rest = run.communicate(timeout=60)
    assert run.returncode == 130
    assert rest.strip().endswith("stopped; finished cells are kept, the same command goes on from there")
    assert "Traceback" not in told + rest
    # Plain where nobody sits at a terminal: no escape sequence, no line that overwrites itself.
    assert not re.search(r"[\x1b\r]", out + told + rest)
    status = [*RUN[:3], "status", "mine"]
    done = subprocess.run(status, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1 and "1 done, 0 running, 0 failed, 1 pending of 2 cells" in done.stdout


def test_completion_scripts_know_commands_options_and_choices(tmp_path: Path) -> None:
    pytest.importorskip("shtab", reason="completion scripts are written by shtab, an extra")
    made = subprocess.run([*RUN[:3], "--print_shtab=bash"], capture_output=True, text=True, check=True)
    script = tmp_path / "completion.sh"
    script.write_text(made.stdout, encoding="utf-8")
    function = re.search(r"complete .*-F (\w+) ", made.stdout)
    assert function

    def completions(*words: str) -> list[str]:
        typed = " ".join(shlex.quote(word) for word in ("reshift", *words))
        ask = f"source {script}; COMP_WORDS=({typed}); COMP_CWORD={len(words)}; COMPREPLY=(); {function[1]}"
        told = subprocess.run(
            ["bash", "-c", f"{ask} reshift {words[-1]!r} ''; echo \"${{COMPREPLY[@]}}\""],
            capture_output=True,
            text=True,
        )
        return told.stdout.split()

    assert completions("check-") == ["check-data", "check-model", "check-submission"]
    assert completions("run", "--device", "") == ["auto", "cpu", "cuda"]
    assert "--dry-run" in completions("run", "--dr")


def test_citation_changelog_and_package_name_one_version_and_one_licence() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= set(citation)  # what the format requires
    assert citation["version"] == project["version"] == reshift.__version__
    assert f"## {project['version']}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert citation["license"] == "Apache-2.0"
    assert "Apache License\n" in (ROOT / "LICENSE").read_text(encoding="utf-8")
