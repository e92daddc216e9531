"""Which values of the environment are secrets, by the names they go under."""

from __future__ import annotations

import re
from collections.abc import Mapping

_NAMED = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL", re.IGNORECASE)
_SHORTEST = 8


def environment_secrets(environment: Mapping[str, str]) -> dict[str, str]:
    """Variables that are named like a key or a password; a shorter value than 8 characters would stand in any text."""
    return {name: value for name, value in environment.items() if _NAMED.search(name) and len(value) >= _SHORTEST}
