"""Long runs: what counts as flat, and what becomes of cells that hang, run out of memory or lose their GPU."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from reshift.benchmark.failure_kind import GPU_LOST, OUT_OF_MEMORY, failure_kind, hint
from reshift.benchmark.soak.runs import TROUBLES, troubled_run
from reshift.benchmark.soak.usage import FEWEST_SAMPLES, Sampled, growth
from reshift.benchmark.time_limit import HUNG_FILE, TimeLimitError, hung, time_limit

LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="figures are read from /proc")


def test_flat_is_the_last_quarter_against_the_second() -> None:
    loading = [10.0] * 10 + [100.0] * 30
    assert growth("m", loading).flat, "what libraries load in the first quarter is no growth"
    assert growth("m", [100.0] * 30 + [105.0] * 10).flat
    assert not growth("m", [100.0] * 30 + [105.1] * 10).flat
    leak = [100.0 + 0.2 * cell for cell in range(200)]
    assert not growth("m", leak).flat
    held_for_a_moment = [11.0] * 25 + [12.0] * 10 + [11.0] * 5
    assert growth("files", held_for_a_moment, min).flat
    assert not growth("files", [*held_for_a_moment[:30], *[12.0] * 10], min).flat
    assert growth("m", [100.0] * 39 + [500.0]).flat, "one peak is no growth"


HOLDING = """
import os, sys
from reshift.benchmark.soak.usage import open_files, resident_mib
files, memory = open_files(os.getpid()), resident_mib()
held = [open(sys.argv[1], "w") for n in range(7)]
block = bytearray(os.urandom(2**20) * 64)
print(open_files(os.getpid()) - files, resident_mib() - memory, resident_mib(os.getpid()) - memory)
del block
print(resident_mib() - memory)
"""


@LINUX
def test_handles_and_memory_are_those_of_the_process(tmp_path: Path) -> None:
    # In a process of its own: what earlier tests left in this one may be freed at any moment.
    command = [sys.executable, "-c", HOLDING, str(tmp_path / "file")]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert [float(number) for number in told.split()] == pytest.approx([7, 64, 64, 0], abs=10)
    assert told.startswith("7 ")


@LINUX
def test_a_leak_of_handles_is_told_by_process() -> None:
    progress = Sampled([], 0, 1, io.StringIO())
    progress.samples.clear()
    progress.samples[os.getpid()] = [(100.0, 20 + n // 4) for n in range(FEWEST_SAMPLES)]
    progress.samples[1] = [(1.0, n) for n in range(FEWEST_SAMPLES - 1)]
    told = {grown.what: grown.flat for grown in progress.growths()}
    assert told == {"run: resident MiB": True, "run: open files": False}


def test_a_cell_is_stopped_at_its_limit_and_the_next_has_its_own(tmp_path: Path) -> None:
    started = time.monotonic()
    with (
        pytest.raises(TimeLimitError, match=r"stopped after 0\.2 s, its time limit; raise the limit"),
        time_limit(0.2, tmp_path),
    ):
        time.sleep(30)
    assert time.monotonic() - started < 5
    with time_limit(0.2, tmp_path):
        pass
    time.sleep(0.4)  # the alarm of a cell that ended must not ring in another
    assert not (tmp_path / HUNG_FILE).exists()


def test_what_hears_no_signal_ends_with_its_process_and_says_where_it_stood(tmp_path: Path) -> None:
    code = (
        "import signal, sys, time; from pathlib import Path; from reshift.benchmark import time_limit as t\n"
        "t.GRACE_SECONDS = 0.3\n"
        "def deaf():\n"
        "    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})\n"
        "    time.sleep(60)\n"
        "with t.time_limit(0.2, Path(sys.argv[1])):\n"
        "    deaf()\n"
    )
    assert hung(tmp_path) == ""
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], timeout=60)
    assert done.returncode != 0
    assert "in deaf" in (tmp_path / HUNG_FILE).read_text()
    assert hung(tmp_path).startswith("hung beyond its time limit in code that hears no signal")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (MemoryError(), OUT_OF_MEMORY),
        (RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"), OUT_OF_MEMORY),
        (RuntimeError("CUDA error: out of memory"), OUT_OF_MEMORY),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"), OUT_OF_MEMORY),
        (RuntimeError("CUDA error: unspecified launch failure"), GPU_LOST),
        (ValueError("CUDA error is a funny label"), "ValueError"),
        (RuntimeError("training loss is nan"), "RuntimeError"),
    ],
)
def test_failures_are_named_by_what_helps(error: Exception, kind: str) -> None:
    assert failure_kind(error) == kind
    assert bool(hint(kind)) == (kind in (OUT_OF_MEMORY, GPU_LOST))


@LINUX
def test_a_cell_in_trouble_is_a_named_failure_and_costs_only_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RESHIFT_CACHE", str(tmp_path / "cache"))
    said, wrong = troubled_run(tmp_path, workers=1, cell_seconds=15.0)
    assert not wrong
    told = dict(line.split(": ", 1) for line in said)
    assert set(told) == set(TROUBLES)
    assert told["Hanging"].startswith("TimeLimitError: stopped after 15 s, its time limit")
    for model in ("TooLargeForPython", "TooLargeForTorch"):
        assert told[model].startswith("OutOfMemory: ") and "lower batch_size or --size" in told[model]
    assert told["GpuGone"].startswith("GpuLost: CUDA error") and "nvidia-smi" in told["GpuGone"]
