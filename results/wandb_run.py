"""A run of Weights & Biases that is opened and closed within bounded time, or says in one line why not."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from reshift.results.wandb_file import is_finished

Mode = Literal["online", "offline"]
INIT_SECONDS = 15.0
EXIT_SECONDS = 30.0


class PublishError(RuntimeError):
    """Nothing was published; one line with the reason and the remedy."""


def open_run(
    run_dir: Path,
    project: str,
    mode: Mode,
    entity: str | None,
    *,
    id: str | None,
    name: str,
    job_type: str,
    config: Mapping[str, Any] | None = None,
) -> Any:
    """A wandb run in the group of a run folder; offline runs lie under `wandb/` there until `wandb sync` sends them.

    Raises:
        PublishError: no key (within a second) or no server (within 30 seconds).
    """
    # Imported here: wandb takes over a second to import, and nothing else needs it.
    import wandb

    if mode == "online":
        _check_login(wandb)
    settings = wandb.Settings(
        init_timeout=INIT_SECONDS, silent=True, console="off", disable_git=True, save_code=False, x_disable_stats=True
    )
    try:
        return wandb.init(
            project=project,
            entity=entity,
            mode=mode,
            id=id,
            name=name,
            group=run_dir.resolve().name,
            job_type=job_type,
            config=dict(config or {}),
            dir=str(run_dir),
            resume="allow",
            reinit="finish_previous",
            settings=settings,
        )
    except (wandb.errors.Error, OSError) as error:
        raise PublishError(f"Weights & Biases: {_line(error)}; check the network, or use --mode offline") from error


def close_run(run: Any, mode: Mode) -> str:
    """End a wandb run; where it is: an address, or the folder of a complete offline run.

    Raises:
        PublishError: an offline file that never became complete.
    """
    run.finish()
    if mode == "online":
        return str(run.url)
    file = Path(run.settings.sync_file)
    end = time.monotonic() + EXIT_SECONDS
    while not is_finished(file):
        if time.monotonic() > end:
            raise PublishError(f"{file}: still incomplete after {EXIT_SECONDS:.0f} s; delete its folder and try again")
        time.sleep(0.1)
    return str(file.parent)


def _check_login(wandb: Any) -> None:
    # Without a key wandb would ask at the terminal, or wait: look first.
    try:
        known = wandb.login(prompt=False)
    except (wandb.errors.Error, OSError) as error:
        raise PublishError(f"Weights & Biases: {_line(error)}; check key and network, or use --mode offline") from error
    if not known:
        where = os.environ.get("WANDB_BASE_URL", "")
        raise PublishError(
            f"no Weights & Biases key{f' for {where}' if where else ''}; run `wandb login`, set WANDB_API_KEY, or use "
            f"--mode offline"
        )


def _line(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".;")
