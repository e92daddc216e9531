"""A picture with the places that a model takes for defects."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from reshift.datamodules.image_file import Pixels, read_image
from reshift.results.atomic_write import write_atomically

_COLOUR = np.array([230, 159, 0], dtype=np.float32)
"""Orange of Okabe and Ito, which the colour-blind tell from grey and from most metals."""


def write_overlay(path: Path, picture: Path, heat: NDArray[np.float32], scale: float) -> None:
    """Write the picture at its own size, in grey, with orange where the anomaly map is high, as PNG.

    Opaque is the map's largest value, or `scale` if that is more: where a map stays below what good pictures show, no
    place stands out.

    Args:
        heat: anomaly map (H, W), non-negative; brought to the picture's size.
        scale: largest value of maps of good pictures.
    """
    pixels = read_image(picture)
    grey = pixels if pixels.ndim == 2 else cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    opaque = max(float(heat.max()), scale, float(np.finfo(np.float32).tiny))
    shown = blended(np.asarray(grey, dtype=np.uint8), heat, opaque)
    path.parent.mkdir(parents=True, exist_ok=True)
    written, png = cv2.imencode(".png", shown[..., ::-1])
    assert written
    write_atomically(path, png.tobytes())


def blended(grey: NDArray[np.uint8], heat: NDArray[np.float32], opaque: float) -> Pixels:
    """A grey picture (H, W) with orange where the map is high, (H, W, 3) uint8 RGB.

    Args:
        heat: anomaly map, non-negative; brought to the picture's size.
        opaque: value from which on nothing of the picture is seen, positive.
    """
    height, width = grey.shape
    share = np.asarray(cv2.resize(heat / np.float32(opaque), (width, height)), dtype=np.float32)
    opacity = np.clip(share, 0, 1)[..., None]
    shown = grey[..., None].astype(np.float32) * (1 - opacity) + _COLOUR * opacity
    return shown.round().astype(np.uint8)
