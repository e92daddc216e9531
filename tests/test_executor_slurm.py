"""Executor slurm on submitit's local executor: jobs that die or are preempted cost nothing but time."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from executor_cells import CELLS, arguments, boards, fits, local_boards, wish, workplace

from reshift.benchmark.cli import main

__all__ = ["local_boards", "workplace"]

# As much of Slurm as submitit asks for: arrays begun at once, and `scontrol requeue JOB_TASK`.
COMMAND = """
import os, re, subprocess, sys
from pathlib import Path
here, name, given = Path(__file__).parent, Path(__file__).name, sys.argv[1:]
def begin(task):
    ids = {"SLURM_JOB_ID": f"{100 + task}", "SLURM_ARRAY_JOB_ID": "77", "SLURM_ARRAY_TASK_ID": str(task)}
    env = {**os.environ, **ids, "SLURM_PROCID": "0", "SLURM_NTASKS": "1"}
    with open(here / f"log_{task}", "a") as log:
        subprocess.Popen(["bash", here / "script"], env=env, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
def note(text):
    with open(here / "calls", "a") as file:
        file.write(text + "\\n")
if name == "sbatch":
    script = Path(given[0]).read_text()
    (here / "script").write_text(script)
    first, last = re.search(r"--array=(\\d+)-(\\d+)", script).groups()
    note(f"sbatch {first}-{last}")
    for task in range(int(first), int(last) + 1):
        begin(task)
    print("Submitted batch job 77")
elif name == "srun":
    command = given[given.index("--error") + 2 :]
    os.execvp(command[0], command)
elif name == "scontrol":
    note(f"scontrol {given[0]}")
    begin(int(given[1].split("_")[1]))
elif name == "sacct":
    print("JobID|State|NodeList")
"""


def slurm_commands(folder: Path) -> Path:
    folder.mkdir()
    for name in ("sbatch", "srun", "scontrol", "sacct"):
        (folder / name).write_text(f"#!{sys.executable}\n{COMMAND}", encoding="utf-8")
        (folder / name).chmod(0o755)
    return folder


@pytest.fixture
def submitit() -> None:
    pytest.importorskip("submitit", reason="the extra slurm is not installed")


@pytest.mark.usefixtures("submitit", "workplace")
def test_a_killed_and_a_preempted_job_lose_no_cell(
    local_boards: dict[str, bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    wish("SIGKILL", "SIGUSR2")  # the second is what Slurm sends ahead of preemption, as submitit asks it to
    assert main(arguments("--executor", "slurm", "--workers", "1", "--slurm", "{cluster: local, timeout_min: 60}")) == 0
    assert boards() == local_boards
    assert fits() == CELLS + 2
    assert capsys.readouterr().err.count("again") == 1, "a preempted job is requeued, not lost"
    assert list(Path("runs/run/slurm").glob("*_log.err"))


@pytest.mark.usefixtures("submitit")
def test_an_array_shares_the_cells_and_goes_on_after_preemption(
    workplace: Path,
    local_boards: dict[str, bytes],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", f"{slurm_commands(workplace / 'bin')}:{os.environ['PATH']}")
    wish("SIGUSR2")
    assert main(arguments("--executor", "slurm", "--workers", "2", "--slurm", "{timeout_min: 60}")) == 0
    assert boards() == local_boards
    assert fits() == CELLS + 1
    assert (workplace / "bin/calls").read_text().split("\n")[:2] == ["sbatch 0-1", "scontrol requeue"]
    assert "again" not in capsys.readouterr().err


@pytest.mark.usefixtures("submitit", "workplace")
@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("--slurm", "{timeout_min: 5, cluster: local, queue: gpu}"), "--slurm: Parameter 'queue' need to be prefixed"),
        (("--slurm", "{timeout_min: 5}"), "finds no Slurm here"),
        (("--slurm", "{mem_gb: 5}"), "how many minutes a job may take"),
        (("--gpu-share", "0.5"), "whole GPUs"),
        (("--gpu-share", "1.5"), "not above 0 and at most 1"),
        (("--gpu-share", "1", "--device", "cpu"), "drop one of them"),
    ],
)
def test_what_slurm_cannot_do_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, given: tuple[str, ...], message: str
) -> None:
    monkeypatch.setenv("PATH", "")  # also where there is a Slurm
    assert main(arguments("--executor", "slurm", *given)) == 2
    told = capsys.readouterr().err.splitlines()[-1]
    assert told.startswith("reshift run: ") and message in told


@pytest.mark.usefixtures("workplace")
@pytest.mark.parametrize(("engine", "package"), [("slurm", "submitit"), ("ray", "ray")])
def test_a_missing_extra_is_one_line_that_names_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, engine: str, package: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    assert main(arguments("--executor", engine)) == 2
    told = capsys.readouterr().err.splitlines()[-1]
    assert told == (f"reshift run: --executor {engine} needs the package {package}: pip install 'reshift[{engine}]'")
