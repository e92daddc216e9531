"""The frame of the report's page: style and script inline, and a policy that forbids everything else."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from importlib.resources import files

from reshift.results.report.heat_map import heat_style
from reshift.results.report.html import text


def document(title: str, body: str) -> str:
    """A whole HTML page; `title` is text, `body` HTML.

    Only these very bytes may run or style, and nothing may be fetched: what escapes escaping still does nothing.
    """
    folder = files("reshift.results.report")
    style = (folder / "report.css").read_text(encoding="utf-8") + heat_style()
    script = (folder / "report.js").read_text(encoding="utf-8")
    policy = (
        f"default-src 'none'; img-src data:; style-src '{_hash(style)}'; script-src '{_hash(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{text(title)}</title><style>{style}</style></head>\n<body>{body}<script>{script}</script></body></html>\n"
    )


def _hash(content: str) -> str:
    return f"sha256-{b64encode(sha256(content.encode()).digest()).decode()}"
