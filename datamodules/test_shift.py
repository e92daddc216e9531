"""Disturbs test pictures: what a camera on the line may do to them after a model was trained."""

from __future__ import annotations

import hashlib

import albumentations as A
import cv2
import numpy as np
from numpy.typing import NDArray

from reshift.datamodules.augment import augmentation_key, kept_copy
from reshift.datamodules.image_cache import CachedImages

_STOPS = (0.25, 0.5, 0.75, 1.0, 1.5)
_SIGMA = (0.004, 0.008, 0.012, 0.016, 0.024)
_SPREAD = (0.02, 0.04, 0.08, 0.12, 0.18)
_TILT = (0.02, 0.04, 0.06, 0.08, 0.12)


def shift_transform(kind: str, severity: int, size: int) -> A.Compose:
    """The disturbance of a kind at severity 1 to 5 for squares of side `size`.

    lighting: darker or brighter by a quarter to one and a half stops. blur: Gaussian, sigma .4 to 2.4 % of the side.
    noise: Gaussian per pixel and channel, sigma 2 to 18 % of the range. pose: corners moved by up to 2 to 12 % of the
    side, as a tilted camera would; the border is continued.
    """
    step = severity - 1
    transform: A.BasicTransform | A.BaseCompose
    if kind == "lighting":
        gains = (2.0 ** -_STOPS[step], 2.0 ** _STOPS[step])
        still = {"contrast": (1.0, 1.0), "saturation": (1.0, 1.0), "hue": (0.0, 0.0)}
        transform = A.OneOf([A.ColorJitter(brightness=(gain, gain), **still, p=1.0) for gain in gains], p=1.0)
    elif kind == "blur":
        sigma = _SIGMA[step] * size
        transform = A.GaussianBlur(blur_limit=0, sigma_limit=(sigma, sigma), p=1.0)
    elif kind == "noise":
        transform = A.GaussNoise(std_range=(_SPREAD[step], _SPREAD[step]), p=1.0)
    elif kind == "pose":
        transform = A.Perspective(scale=(_TILT[step], _TILT[step]), border_mode=cv2.BORDER_REPLICATE, p=1.0)
    else:
        raise ValueError(f"no disturbance {kind!r}; there are blur, lighting, noise and pose")
    return A.Compose([transform])


def disturbed(images: CachedImages, rows: NDArray[np.int64], shift: tuple[str, int]) -> CachedImages:
    """The images of these rows, disturbed, in this order. How a picture is disturbed depends on its content alone."""
    kind, severity = shift
    transform = shift_transform(kind, severity, images.size)
    contents = tuple(images.contents[row] for row in rows)
    pixels = np.stack([kept_copy(images.pixels[row], transform, images.contents[row], severity) for row in rows])
    text = "\x1f".join((images.key, augmentation_key(transform), str(severity), *contents))
    return CachedImages(hashlib.sha256(text.encode()).hexdigest(), contents, pixels, images.extent[rows])
