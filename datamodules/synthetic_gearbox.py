"""The embedded data set: gearbox parts of two transmissions, rendered in three dimensions."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

import pandas as pd

from reshift.datamodules.cache_folder import build_once, cache_root
from reshift.datamodules.dataset import Dataset, Reader
from reshift.datamodules.gearbox.knobs import Knobs
from reshift.datamodules.gearbox.world import TABLE, build_world
from reshift.datamodules.progress import StderrProgress
from reshift.datamodules.source import Source
from reshift.splits.samples import validate_table


class SyntheticGearbox(Reader):
    """Rendered gearbox parts: five components, two product lines, five defects; no download needed.

    Made on first use, then read from the cache. The component is the kind of part, the transmission is the product
    line, and the acquisition is the lighting (ring or side), which every part's views cross. `parts.csv` beside the
    pictures also holds what only the generator knows: severity, near_tolerance, mask_pixels (at 128 px), dot.

    Args:
        root: where worlds are kept; by default the cache folder.
        parts: how many parts; part i is the same whatever their number.
        views: pictures of each part, 2 to 12.
        size: side of the pictures in pixels, 32 to 512; labels never depend on it.
        seed: another seed is another world.
        defective: share of defective parts.
        shortcut: an inspector's paint dot is on defective parts with probability .5 + shortcut / 2 and on good parts
            with .5 - shortcut / 2 in the automatic transmission, the other way round in the manual one.
        transmission_shift: what separates the two transmissions.
        counterfactuals: also write `counterfactuals/<image>` for every defective view: the same without the defect.

    Raises:
        ValueError: a parameter outside its range.
    """

    name: ClassVar[str] = "synthetic_gearbox"
    version: ClassVar[int] = 1
    source: ClassVar[Source | None] = Source(
        address="rendered on this machine; no photograph of a real part is among them",
        licence="none is needed for pictures that you render yourself",
        size="parts x views pictures, by default 200 x 5 = 1000 of 128 x 128 pixels",
        get="nothing to download: made on first use and kept in the cache",
        verify="reshift check-data reports parts x views images, by default 1000 images of 200 parts",
    )

    def __init__(
        self,
        root: str | None = None,
        parts: int = 200,
        views: int = 5,
        size: int = 128,
        seed: int = 0,
        defective: float = 0.4,
        shortcut: float = 0.0,
        transmission_shift: Literal["all", "geometry", "finish", "light", "none"] = "all",
        counterfactuals: bool = False,
    ) -> None:
        self.knobs = Knobs(parts, views, size, seed, defective, shortcut, transmission_shift, counterfactuals)
        base = Path(root).expanduser() if root else cache_root()
        self.folder = base / self.name / self.knobs.digest(self.version)

    def read(self) -> Dataset:
        """Render the world if it is not there yet, then read its table."""
        progress = StderrProgress(f"rendering {self.knobs.parts} synthetic parts")
        build_once(self.folder, lambda empty: build_world(self.knobs, empty, progress))
        table = pd.read_csv(self.folder / TABLE, dtype=str, keep_default_na=False)
        table["label"] = table["label"].astype("int64")
        return Dataset(self.name, self.version, self.folder, validate_table(table, str(self.folder / TABLE)))
