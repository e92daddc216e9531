"""In which fields two identities differ, for messages that people read."""

from __future__ import annotations

from typing import Any


def differing_fields(old: Any, new: Any, path: str = "") -> list[str]:
    """Each differing value of two nested dictionaries as 'budget.steps (200 -> 400)', in the order of their keys."""
    if isinstance(old, dict) and isinstance(new, dict):
        keys = sorted(old.keys() | new.keys())
        return [
            line
            for key in keys
            if old.get(key) != new.get(key)
            for line in differing_fields(old.get(key), new.get(key), f"{path}.{key}")
        ]
    return [f"{path.lstrip('.')} ({_short(old)} -> {_short(new)})"]


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 24 else text[:12] + "..."
