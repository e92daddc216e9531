"""Hostile manifests: odd encodings and cells, links and paths that leave the folder, a million rows."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from random import Random
from typing import Any

from reshift.benchmark.fuzz.mutation import damaged
from reshift.benchmark.fuzz.pictures import png
from reshift.benchmark.fuzz.target import Target, Write, clear, put
from reshift.datamodules.dataset import DataError
from reshift.datamodules.manifest import Manifest
from reshift.splits.samples import TableError, fingerprint

HEADER = "image,label,component,defect,part,view,time,sequence,level,mask,split"
CELLS = (
    "", " ", "NaN", "nan", "-1", "1.0", "2", "1e999", "inf", "true", "OK", "nOK", "text", "0x1", "\u0661", "\ufeff0",
    "0.png", "./0.png", "sub/../0.png", "../out.png", "/etc/passwd", "C:\\0.png", "~/0.png", "file://0.png", ".", "..",
    "out.png", "loop.png", "sub", "sub/loop/sub/loop/0.png", "a\0b", "a" * 300, "a/" * 3000 + "0.png", "x" * 100_000,
    '"', '""', "'", ",", "\n", '"a\nb"', "\r", "\t", "=1+1", "<b>", "\u202e", "\ud7ff", "\U0001f600", "train", "TEST",
)  # fmt: skip
"""What people and programs write into cells, and what a forger might."""


class Manifests(Target):
    """`Manifest.read` on a CSV beside six pictures, a link out of the folder and a loop of links."""

    name = "manifest"
    refusals = (DataError, TableError)
    mention = "parts.csv"

    def __init__(self, folder: Any) -> None:
        super().__init__(folder)
        self.root = folder / "root"
        (self.root / "sub").mkdir(parents=True)
        put(folder / "out.png", png(1, 1, b""))
        for number in range(6):
            put(self.root / f"{number}.png", png(number + 1, 1, b""))
        (self.root / "out.png").symlink_to("../out.png")
        (self.root / "loop.png").symlink_to("loop.png")
        (self.root / "sub" / "loop").symlink_to("..")
        self.csv = self.root / "parts.csv"
        rows = [f"{n}.png,{n % 2},hub,{'spot' * (n % 2)},p{n},v0,{n},s{n},{n}.5,," for n in range(6)]
        self.valid = "\n".join((HEADER, *rows)) + "\n"

    def read(self) -> object:
        return fingerprint(Manifest(self.csv).read().table)

    def write_valid(self) -> None:
        put(self.csv, self.valid.encode())

    def write_random(self, draw: Random) -> None:
        if draw.random() < 0.4:
            put(self.csv, damaged(self.valid.encode(), draw))
            return
        rows = [line.split(",") for line in self.valid.splitlines()]
        for _ in range(draw.randint(1, 3)):
            row = draw.choice(rows)
            kind = draw.random()
            if kind < 0.8 and row:
                row[draw.randrange(len(row))] = draw.choice(CELLS)
            elif kind < 0.9:
                row.insert(draw.randint(0, len(row)), draw.choice(CELLS))
            else:
                rows.insert(draw.randint(0, len(rows)), list(row))
        quote = draw.random() < 0.5
        lines = [",".join('"' + cell.replace('"', '""') + '"' if quote else cell for cell in row) for row in rows]
        text = draw.choice(("\n", "\n", "\r\n", "\r", "\n\n")).join(lines)
        encoding = draw.choice(("utf-8",) * 5 + ("utf-8-sig", "utf-16", "latin-1", "utf-7"))
        put(self.csv, text.encode(encoding, errors="replace"))

    def hand_made(self) -> Sequence[Write]:
        def folder() -> None:
            clear(self.csv)
            self.csv.mkdir()

        def many(name: str, rows: int) -> None:
            put(self.csv, ("image,label\n" + "".join(f"{name.format(n)},0\n" for n in range(rows))).encode())

        contents = [
            b"",
            b"\n",
            b"image,label\n",
            b"\xff\xfe\xff",
            b"image,label\n0.png,\0\n",
            b" label,image,label\n0,0.png,1\n",
            b"image,image,label\n0.png,1.png,0\n",
            b"image,label\n0.png,0,surplus\n",
            b"image,label\n" + b"0.png,0\n" * 2 + b"1.png,0,surplus\n",
            b'image,label\n"0.png,0\n',
            b"image;label\n0.png;0\n",
            b"image,label\n" + b"x" * 5_000_000 + b",0\n",
            b"image,label," + b",".join(b"c%d" % n for n in range(20_000)) + b"\n0.png,0" + b"," * 20_000 + b"\n",
            *(self.valid.encode(code) for code in ("utf-8-sig", "utf-16", "utf-32", "utf-7")),
            *(self.valid.replace("\n", end).encode() for end in ("\r\n", "\r", "\n\n", "\n\r")),
            self.valid.replace("hub", "n\u00e4be").encode("latin-1"),
        ]
        return [
            *(partial(put, self.csv, content) for content in contents),
            partial(many, "0.png", 1_000_000),
            partial(many, "{}.png", 1_000_000),
            partial(clear, self.csv),
            folder,
        ]
