"""How a file of commands adds its own to the command line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from jsonargparse import ArgumentParser, Namespace


class Subcommands(Protocol):
    """Adds a command: its name, what it calls for an exit code, one line of help, and an example."""

    def __call__(self, name: str, action: Callable[[Namespace], int], help: str, example: str) -> ArgumentParser: ...
