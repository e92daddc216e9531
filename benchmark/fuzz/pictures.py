"""Hostile pictures: claims of size, odd depths and colours, things that are no files, damage to every format."""

from __future__ import annotations

import io
import os
import struct
import zlib
from collections.abc import Sequence
from functools import partial
from random import Random
from typing import Any

import numpy as np
from PIL import Image, PngImagePlugin

from reshift.benchmark.fuzz.mutation import damaged
from reshift.benchmark.fuzz.target import Target, Write, clear, put
from reshift.datamodules.dataset import DataError
from reshift.datamodules.image_cache import content_hash
from reshift.datamodules.image_file import read_image, read_mask, to_square


class Pictures(Target):
    """`read_image`, `read_mask`, `to_square` and `content_hash` on one file."""

    name = "image"
    refusals = (DataError,)
    mention = "picture.png"

    def __init__(self, folder: Any) -> None:
        super().__init__(folder)
        self.path = folder / "picture.png"
        self.valid = _valid()

    def read(self) -> object:
        read_mask(self.path)
        return content_hash(self.path), to_square(read_image(self.path), 32)

    def write_valid(self) -> None:
        put(self.path, self.valid[0])

    def write_random(self, draw: Random) -> None:
        content, other = draw.choice(self.valid), draw.choice(self.valid)
        content = damaged(content, draw, other)
        # A wrong check sum ends most damaged PNGs before their content is looked at.
        put(self.path, _png_mended(content) if content[:4] == b"\x89PNG" and draw.random() < 0.7 else content)

    def hand_made(self) -> Sequence[Write]:
        contents = [
            b"",
            b"\0" * 4096,
            b"this is text",
            png(60_000, 60_000, b""),
            png(2**31 - 1, 2**31 - 1, b""),
            png(0, 0, b""),
            png(1 << 21, 1, b""),
            # Small files of a thousand million pixels, the decoder's own limit, and whole.
            png(32_768, 32_767, zlib.compress(b"\0" * (4097 * 32_767), 9)),
            png(16_384, 8_192, zlib.compress(b"\0" * (2049 * 8_192), 9)),
            png(24, 24, zlib.compress(b"\0" * (1 << 28), 1), depth=8),
            *(png(24, 24, b"", extra=((kind, text),)) for kind, text in _bombs()),
            b"BM" + struct.pack("<IHHIIiiHHIIiiII", 54, 0, 0, 54, 40, 2**31 - 1, -(2**31), 1, 24, 0, 0, 0, 0, 0, 0),
            b"BM" + struct.pack("<IHHIIiiHHIIiiII", 54, 0, 0, 54, 40, 30_000, 30_000, 1, 24, 0, 0, 0, 0, 0, 0),
            b"GIF89a" + struct.pack("<HHBBB", 65535, 65535, 0x80, 0, 0) + b"\0" * 64,
            b"\xff\xd8\xff\xc0\x00\x11\x08\xff\xff\xff\xff\x03\x01\x22\x00\x02\x11\x01\x03\x11\x01\xff\xd9",
            b"II*\0\x08\0\0\0" + _tiff_tags(65_000, 65_000, 4),
            b"II*\0\x08\0\0\0" + _tiff_tags(24, 24, 65_535),
            b"MM\0*" + b"\0\0\0\x08\xff\xff" + b"\0" * 64,
            b"#?RADIANCE\n\n-Y 60000 +X 60000\n",
            b"P6 60000 60000 255\n",
            b"P2 2 2 99999999999999999999\n1 2 3 4",
            *self.valid,
        ]
        return [*(partial(put, self.path, content) for content in contents), *self._no_files()]

    def _no_files(self) -> Sequence[Write]:
        def fifo() -> None:
            clear(self.path)
            os.mkfifo(self.path)

        def folder() -> None:
            clear(self.path)
            self.path.mkdir()

        def link(to: str) -> None:
            clear(self.path)
            self.path.symlink_to(to)

        def sparse() -> None:
            put(self.path, b"")
            os.truncate(self.path, 1 << 36)

        links = [partial(link, to) for to in ("picture.png", "nowhere", "/dev/zero")]
        return [fifo, folder, *links, sparse]


def png(width: int, height: int, data: bytes, depth: int = 1, extra: Sequence[tuple[bytes, bytes]] = ()) -> bytes:
    """A grey PNG that claims this size, whatever its data hold."""
    head = struct.pack(">IIBBBBB", width % 2**32, height % 2**32, depth, 0, 0, 0, 0)
    chunks = [(b"IHDR", head), *extra, (b"IDAT", data), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, content) for kind, content in chunks)


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _bombs() -> Sequence[tuple[bytes, bytes]]:
    """Chunks beside the pixels that unpack to 256 MiB each."""
    packed = zlib.compress(b"\0" * (1 << 28), 1)
    return [(b"zTXt", b"key\0\0" + packed), (b"iCCP", b"key\0\0" + packed), (b"iTXt", b"key\0\1\0\0\0" + packed)]


def _png_mended(content: bytes) -> bytes:
    """The check sums of a PNG's chunks made right, as far as its lengths lead."""
    place, mended = 8, content[:8]
    while place + 12 <= len(content):
        (length,) = struct.unpack(">I", content[place : place + 4])
        if place + 12 + length > len(content):
            break
        mended += _chunk(content[place + 4 : place + 8], content[place + 8 : place + 8 + length])
        place += 12 + length
    return mended + content[place:]


def _tiff_tags(width: int, height: int, channels: int) -> bytes:
    tags = {256: width, 257: height, 258: 8, 259: 1, 262: 2, 273: 8, 277: channels, 278: height, 279: 64}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    return struct.pack("<H", len(tags)) + entries + b"\0" * 4


def _valid() -> list[bytes]:
    """A small picture in every format, depth and colour that people have."""
    colour = np.random.default_rng(0).integers(0, 256, (24, 24, 3), dtype=np.uint8)
    rgb, deep = Image.fromarray(colour), Image.fromarray(colour[..., 0].astype(np.uint16) * 257)
    more = [Image.fromarray(255 - colour), Image.fromarray(colour[::-1].copy())]
    turned, text = Image.Exif(), PngImagePlugin.PngInfo()
    turned[0x0112] = 6
    text.add_text("key", "word", zip=True)
    made: list[tuple[Image.Image, str, dict[str, Any]]] = [
        (rgb, "PNG", {"pnginfo": text}),
        (rgb.convert("L"), "PNG", {}),
        (rgb.convert("1"), "PNG", {}),
        (rgb.convert("P"), "PNG", {}),
        (rgb.convert("RGBA"), "PNG", {}),
        (rgb.convert("LA"), "PNG", {}),
        (deep, "PNG", {}),
        (rgb, "PNG", {"save_all": True, "append_images": more}),
        (rgb, "JPEG", {}),
        (rgb, "JPEG", {"progressive": True, "exif": turned}),
        (rgb.convert("CMYK"), "JPEG", {}),
        (rgb.convert("L"), "JPEG", {}),
        (rgb, "BMP", {}),
        (rgb.convert("P"), "BMP", {}),
        (rgb, "TIFF", {}),
        (rgb, "TIFF", {"compression": "tiff_lzw"}),
        (rgb, "TIFF", {"compression": "tiff_adobe_deflate"}),
        (rgb.convert("1"), "TIFF", {"compression": "group4"}),
        (rgb.convert("CMYK"), "TIFF", {}),
        (deep, "TIFF", {"save_all": True, "append_images": [deep]}),
        (rgb.convert("F"), "TIFF", {}),
        (rgb, "WEBP", {}),
        (rgb, "WEBP", {"lossless": True}),
        (rgb, "WEBP", {"save_all": True, "append_images": more}),
        (rgb, "GIF", {"save_all": True, "append_images": more}),
    ]
    contents = []
    for image, form, options in made:
        buffer = io.BytesIO()
        image.save(buffer, form, **options)
        contents.append(buffer.getvalue())
    return contents
