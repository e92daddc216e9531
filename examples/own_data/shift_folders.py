"""A data set of one's own: `<shift>/<part>-<camera>-<verdict>.png`, as a station on the line might write it."""

from pathlib import Path

import pandas as pd

from reshift.datamodules.dataset import DataError, Dataset, Reader
from reshift.datamodules.image_cache import content_hash
from reshift.splits.samples import validate_table

VERDICTS = {"ok": 0, "nok": 1}


class ShiftFolders(Reader):
    """One folder a shift, one picture a part and camera; the verdict stands in the file's name."""

    name = "shift_folders"

    def __init__(self, root: str) -> None:
        self.root = Path(root)

    def read(self) -> Dataset:
        rows = [self._row(file) for file in sorted(self.root.glob("*/*.png"))]
        if not rows:
            raise DataError(f"{self.root}: no <shift>/<part>-<camera>-<verdict>.png below it; correct root")
        # Images of one part share a part, so that no split tears them apart; a shift is an acquisition.
        return Dataset(self.name, self.version, self.root, validate_table(pd.DataFrame(rows), str(self.root)))

    def _row(self, file: Path) -> dict[str, object]:
        part, camera, verdict = (*file.stem.rsplit("-", 2), "", "")[:3]
        if verdict not in VERDICTS:
            raise DataError(f"{file}: its name ends in neither -ok nor -nok; rename it")
        return {
            "sample": file.relative_to(self.root).as_posix(),
            "label": VERDICTS[verdict],
            "part": part,
            "view": camera,
            "acquisition": file.parent.name,
            "content": content_hash(file),
        }
