"""Patterns such as `{label}/{component}/{part}_{view}.png`, which read a table off file paths."""

from __future__ import annotations

import re

from reshift.datamodules.dataset import DataError
from reshift.datamodules.manifest import OPTIONAL

FIELDS = ("label", *(column for column in OPTIONAL if column != "mask"))

_TOKEN = re.compile(r"\{([^{}]*)\}|(\*)")


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """A regular expression for whole relative paths; `{field}` and `*` match within one folder or file name.

    Where two fields could share a text, as in `{part}_{view}`, the earlier one takes as much as it can.

    Raises:
        DataError: an unknown field, a field named twice, or no field at all.
    """
    expression, position, seen = "", 0, []
    for token in _TOKEN.finditer(pattern):
        expression += re.escape(pattern[position : token.start()])
        position = token.end()
        field = token[1]
        if token[2]:
            expression += "[^/]*"
        elif field not in FIELDS or field in seen:
            problem = "is named twice" if field in seen else "is no field"
            raise DataError(f"pattern {pattern!r}: {{{field}}} {problem}; use each of {', '.join(FIELDS)} at most once")
        else:
            seen.append(field)
            expression += f"(?P<{field}>[^/]+)"
    rest = pattern[position:]
    if not seen or "{" in rest or "}" in rest:
        problem = "names no field" if not seen else "has a brace without its partner"
        raise DataError(f"pattern {pattern!r} {problem}; write for example '{{label}}/{{part}}_{{view}}.png'")
    return re.compile(expression + re.escape(rest))
