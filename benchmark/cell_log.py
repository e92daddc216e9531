"""What a cell tells while it runs, kept in a log in its folder: phases, warnings, prints, the traceback of an error."""

from __future__ import annotations

import logging
import os
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from reshift.results.environment_secrets import environment_secrets
from reshift.results.log_file import LOG_FILE, LogFile
from reshift.results.plan import PlannedCell

_OURS = "reshift"
_OF_LIBRARIES = (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning)


@contextmanager
def cell_log(folder: Path, cell: PlannedCell) -> Iterator[None]:
    """Append an attempt to the log of a cell.

    It holds what the suite logs from INFO on, what others log or warn of from WARNING on (each text once), and what is
    printed on stdout, which then does not reach the terminal; stderr stays as it is. An error's whole traceback is
    written before the error goes on.
    """
    with LogFile(folder / LOG_FILE, environment_secrets(os.environ).values()) as log:
        where = f"{cell.model} on {cell.dataset}/{cell.protocol}/{cell.split} seed {cell.seed}"
        log.attempt(f"{where}, started {datetime.now(UTC).isoformat(timespec='seconds')}")
        try:
            with _listening(log), warnings_aside(), redirect_stdout(log):
                yield
        except BaseException as error:
            log.end_line()
            log.line("".join(traceback.format_exception(error)))
            log.line(f"failed after {log.seconds:.1f} s")
            raise
        log.end_line()
        log.line(f"done after {log.seconds:.1f} s")


@contextmanager
def warnings_aside() -> Iterator[None]:
    """Keep warnings off stderr: they are logged, so that a cell's log has them where one is open.

    Those that only the authors of libraries can heed are dropped.
    """
    logger = logging.getLogger("py.warnings")  # the name by which Python itself logs warnings

    def log(
        message: Warning | str, category: type[Warning], filename: str, lineno: int, file: Any = None, line: Any = None
    ) -> None:
        logger.warning("%s:%d: %s: %s", Path(filename).name, lineno, category.__name__, message)

    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        for category in _OF_LIBRARIES:
            warnings.simplefilter("ignore", category)
        warnings.filterwarnings("ignore", category=FutureWarning, module=r"torch\.|lightning\.")
        warnings.showwarning = log
        yield


class _Handler(logging.Handler):
    """Hands records to a log, each text once: a warning that comes with every batch says nothing new."""

    def __init__(self, log: LogFile) -> None:
        super().__init__()
        self._log = log
        self._said: set[tuple[str, str]] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        return record.levelno >= logging.WARNING or record.name.split(".")[0] == _OURS

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = self.format(record)
        except Exception as error:  # arguments that do not fit the message: its author's mistake is no cell's failure
            text = f"{record.msg!r} cannot be formatted ({error})"
        if record.levelno < logging.WARNING:
            self._log.line(text)
        elif (record.name, text) not in self._said:
            self._said.add((record.name, text))
            source = "" if record.name == "py.warnings" else f"{record.name}: "
            self._log.line(f"{record.levelname.lower()}: {source}{text}")


@contextmanager
def _listening(log: LogFile) -> Iterator[None]:
    """Hear everybody's loggers, those that keep to themselves included, and ours from INFO on."""
    handler = _Handler(log)
    known = [logger for logger in logging.root.manager.loggerDict.values() if isinstance(logger, logging.Logger)]
    loggers = [logging.root, *(logger for logger in known if not logger.propagate)]
    ours = logging.getLogger(_OURS)
    before = ours.level
    for logger in loggers:
        logger.addHandler(handler)
    ours.setLevel(logging.INFO)
    try:
        yield
    finally:
        ours.setLevel(before)
        for logger in loggers:
            logger.removeHandler(handler)
