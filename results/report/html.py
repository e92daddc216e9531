"""Pieces of HTML. Whatever comes from data passes through `text` or `script_json`, which leave no markup in it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

# Legal in JSON, not inside a script: `</script>` and `<!--` end or bend it, the separators end a line for old parsers.
_IN_SCRIPT = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"})


def text(value: object) -> str:
    """The value as text, for element content and quoted attributes alike."""
    return escape(str(value), quote=True)


def script_json(value: Any) -> str:
    """Compact JSON that a `<script type="application/json">` element can hold."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).translate(_IN_SCRIPT)


def link(target: str, content: str) -> str:
    """A link within the page, `target` without its `#`; `content` is HTML, nothing is linked where it is empty."""
    return f'<a href="#{text(target)}">{content}</a>' if content else ""


def cell(content: str, order: float | str | None = None, kind: str = "") -> str:
    """A table cell holding HTML; `order` is what its column is sorted by, where that is not its text."""
    value = "" if order is None else f' data-v="{text(order)}"'
    return f"<td{value}{_kind(kind)}>{content}</td>"


def row(model: str, cells: Iterable[str], kind: str = "") -> str:
    """A table row that the page's filter finds by its model."""
    return f'<tr data-model="{text(model)}"{_kind(kind)}>{"".join(cells)}</tr>'


def table(head: Sequence[str], rows: Iterable[str], kind: str = "sortable", caption: str = "") -> str:
    """A table that scrolls sideways on its own; `rows` and `caption` are HTML, the head is text."""
    title = f"<caption>{caption}</caption>" if caption else ""
    heads = "".join(f'<th scope="col">{text(name)}</th>' for name in head)
    return (
        f'<div class="scroll"><table{_kind(kind)}>{title}<thead><tr>{heads}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def text_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of plain texts, the first column naming the row."""
    lines = (row(line[0], [heading(text(line[0])), *(cell(text(c)) for c in line[1:])]) for line in rows)
    return table(head, lines, "sortable wrap")


def heading(content: str) -> str:
    """The cell that names a row; HTML."""
    return f'<th scope="row">{content}</th>'


def section(title: str, name: str, content: str) -> str:
    """A part of the page with its heading, `name` being where links go; empty content gives nothing."""
    return f'<section id="{text(name)}"><h2>{text(title)}</h2>{content}</section>' if content else ""


def _kind(kind: str) -> str:
    return f' class="{kind}"' if kind else ""
