"""Executor ray on a Ray of this machine: started, used and stopped; a killed worker costs nothing but time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from executor_cells import CELLS, arguments, boards, fits, local_boards, wish, workplace

from reshift.benchmark.cli import main
from reshift.benchmark.executors.ray import STORE_BYTES

ray = pytest.importorskip("ray", reason="the extra ray is not installed")
__all__ = ["local_boards", "workplace"]
pytestmark = pytest.mark.usefixtures("workplace", "own_ray")


@pytest.fixture
def own_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)


@pytest.mark.heavy  # a minute alone, several on busy cores: Ray starts many processes
@pytest.mark.timeout(900)
def test_a_killed_worker_loses_no_cell(local_boards: dict[str, bytes], capsys: pytest.CaptureFixture[str]) -> None:
    wish("SIGKILL")
    assert main(arguments("--executor", "ray", "--workers", "1")) == 0
    assert boards() == local_boards
    assert fits() == CELLS + 1
    assert "Ray lost its worker" in capsys.readouterr().err
    assert not ray.is_initialized()


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has the GPU that the test asks for in vain")
def test_what_no_node_has_is_refused_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments("--executor", "ray", "--workers", "1", "--gpu-share", "0.5")) == 2
    told = capsys.readouterr().err.splitlines()[-1]
    assert "asks for 1 CPU and 0.5 GPU, which no node" in told and "(nodes: 1 CPU, 0 GPU)" in told
    assert not ray.is_initialized()


@pytest.fixture
def cluster() -> Iterator[Any]:
    """A Ray cluster whose head computes nothing, and no other node yet."""
    from ray.cluster_utils import Cluster

    head = {"num_cpus": 0, "include_dashboard": False, "object_store_memory": STORE_BYTES}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    yield cluster
    cluster.shutdown()


@pytest.mark.heavy
def test_a_lost_node_loses_no_cell(
    cluster: Any, local_boards: dict[str, bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    node = cluster.add_node(num_cpus=1, object_store_memory=STORE_BYTES)
    command = [
        Path(sys.executable).with_name("ray"),
        "start",
        "--address",
        cluster.address,
        "--num-cpus",
        "1",
        "--block",
    ]
    late: list[subprocess.Popen[bytes]] = []
    wish("SIGSTOP")  # the first cell stands still until its node goes

    def lose_node() -> None:
        while not Path("fits.txt").exists():
            time.sleep(0.1)
        cluster.remove_node(node, allow_graceful=False)
        with suppress(ProcessLookupError):  # with a machine its processes go, those too that stand still
            os.kill(int(Path("fits.txt").read_text(encoding="utf-8")), signal.SIGKILL)
        late.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))

    thread = threading.Thread(target=lose_node)
    thread.start()
    try:
        assert main(arguments("--executor", "ray", "--ray-address", cluster.address)) == 0
    finally:
        thread.join(60)
        for process in late:
            process.terminate()
            process.wait(60)
    assert boards() == local_boards
    assert fits() == CELLS + 1
    assert "Ray lost its worker" in capsys.readouterr().err
