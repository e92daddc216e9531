"""The crops and changes of light under which contrastive pre-training is to know an image again."""

from __future__ import annotations

import albumentations as A


def simclr_augmentation(size: int, smallest_crop: float) -> A.Compose:
    """SimCLR's crops, flips, brightness and blur at side `size`; no hue, which is a mark of corrosion.

    Args:
        smallest_crop: least share of the image that a random crop keeps.
    """
    return A.Compose(
        [
            A.RandomResizedCrop((size, size), scale=(smallest_crop, 1.0), ratio=(0.8, 1.25)),
            A.HorizontalFlip(p=0.5),
            A.VerticalFlip(p=0.5),
            A.RandomBrightnessContrast(brightness_limit=0.3, contrast_limit=0.3, p=0.8),
            A.GaussianBlur(blur_limit=(3, 3), p=0.3),
        ]
    )
