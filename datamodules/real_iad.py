"""Real-IAD, one category a data set: five views of every sample, labelled view by view in published JSON lists."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args

import pandas as pd

from reshift.datamodules.dataset import DataError, Dataset, Reader
from reshift.datamodules.image_cache import content_hash
from reshift.datamodules.progress import tracked
from reshift.datamodules.source import NOT_STATED, Source
from reshift.splits.samples import DEFECTIVE, GOOD, validate_table

Lists = Literal[
    "realiad_jsons",
    "realiad_jsons_sv",
    "realiad_jsons_fuiad_0.0",
    "realiad_jsons_fuiad_0.1",
    "realiad_jsons_fuiad_0.2",
    "realiad_jsons_fuiad_0.4",
]
Pictures = Literal["realiad_256", "realiad_512", "realiad_1024", "realiad_raw"]

DEFECTS = {
    "AK": "AK_pit",
    "BX": "BX_deformation",
    "CH": "CH_abrasion",
    "HS": "HS_scratch",
    "PS": "PS_damage",
    "QS": "QS_missing_part",
    "YW": "YW_foreign_object",
    "ZW": "ZW_contamination",
}
"""Code of a defect in the lists -> the same with its name."""

_SAMPLE = re.compile(r"(?P<part>(OK|NG/[^/]+)/S\d+)/[^/]*_(?P<view>C[1-5])_[^/]*\.jpg")


class RealIAD(Reader):
    """Real-IAD: every sample photographed from five sides, one category at a time (Wang et al. 2024).

    `<resolution>/<category>/{OK,NG/<defect>}/SXXXX/*_C<view>_*.jpg`, listed by `<splits>/<category>.json`. The label is
    the list's `anomaly_class` against `meta.normal_class`, never the folder: many pictures lie under `NG/` and show no
    defect from their side. The part is the sample folder (`OK/S0001`, `NG/AK/S0001`), the view is C1 to C5, the
    category is the component, and `official_split` is the list a picture stands in; pictures that no list names have no
    row. Some mirrors nest the folder of lists once more, in itself or in `realiad_jsons`; both are found.

    In `fuiad` lists a part of the training samples is defective, and the table says which pictures. The benchmark
    treats them all as good: that is `Official(train_as_good=True)`.

    Args:
        root: the folder that holds `realiad_256` or a larger one, and the folder of lists.
        category: e.g. "audiojack".
        splits: the lists: all views, single view (`sv`, C1 only), or fully unsupervised (`fuiad`) at one noise rate.
        resolution: the folder of pictures.
    """

    name: ClassVar[str] = "real_iad"
    version: ClassVar[int] = 1
    source: ClassVar[Source | None] = Source(
        address="https://realiad4ad.github.io/Real-IAD/",
        licence="CC BY-NC-SA 4.0: no commercial use",
        size=f"151,050 pictures in 30 categories at four resolutions; download size {NOT_STATED}",
        get="ask the authors for access on that page; unpack one resolution and the JSON lists beside each other",
        verify="over all 30 categories of realiad_jsons reshift check-data reports 151,050 images, and its notes "
        "add up to 26,881 test images under NG/ that are labelled good",
    )

    def __init__(
        self, root: Path, category: str, splits: Lists = "realiad_jsons", resolution: Pictures = "realiad_256"
    ) -> None:
        for key, value, known in (
            ("splits", splits, get_args(Lists)),
            ("resolution", resolution, get_args(Pictures)),
        ):
            if value not in known:
                raise DataError(f"real_iad: {key} {value!r} is unknown; choose from {', '.join(known)}")
        self.root = Path(root)
        self.category = category
        self.splits: str = splits
        self.resolution: str = resolution

    def read(self) -> Dataset:
        """Build the table; every listed image is read once for its content hash."""
        lists = self._lists()
        content = _load(lists)
        folder = self.root / self.resolution / content["meta"]["prefix"]
        if not folder.is_dir():
            found = ", ".join(_names(self.root / self.resolution)) or ", ".join(_names(self.root)) or "nothing"
            raise DataError(f"{folder}: no such folder, which {lists} asks for; found {found}; unpack it there")
        rows = [
            self._row(entry, f"{lists}, {split}[{number}]", content["meta"]["normal_class"], folder, split)
            for split in ("train", "test")
            for number, entry in enumerate(content[split])
        ]
        for row in tracked(rows, f"{self.name}: reading"):
            row["content"] = content_hash(folder / str(row["sample"]))
        table = validate_table(pd.DataFrame(rows), str(lists))
        variant = self.splits.removeprefix("realiad_jsons").removeprefix("_")
        return Dataset(
            name=":".join(filter(None, (self.name, self.category, variant))),
            version=self.version,
            root=folder,
            table=table,
            parts="given",
            notes=self._notes(table),
        )

    def _lists(self) -> Path:
        folders = [Path(self.splits), Path(self.splits, self.splits), Path("realiad_jsons", self.splits)]
        wanted = {self.root / folder / f"{self.category}.json" for folder in folders}
        found = sorted(path for path in wanted if path.is_file())
        if not found:
            seen = [f"{folder}: {', '.join(names[:8])}" for folder in folders if (names := _names(self.root / folder))]
            raise DataError(
                f"{self.root}: expected {self.splits}/{self.category}.json; found "
                f"{'; '.join(dict.fromkeys(seen)) or ', '.join(_names(self.root)[:8]) or 'nothing'}; "
                f"name a category that is there, or unpack the lists"
            )
        if len(found) > 1:
            raise DataError(f"{found[0]} and {found[1]}: two lists of one category; keep one of them")
        return found[0]

    def _row(self, entry: Any, where: str, normal: str, folder: Path, split: str) -> dict[str, object]:
        try:
            category, found = entry["category"], entry["anomaly_class"]
            path, mask = str(entry["image_path"]), str(entry["mask_path"] or "")
        except (KeyError, TypeError) as error:
            raise DataError(
                f"{where}: expected category, anomaly_class, image_path and mask_path; found {entry!r}; copy it again"
            ) from error
        if category != self.category:
            raise DataError(f"{where}: is of category {category!r}, not {self.category!r}; copy the list again")
        if found != normal and found not in DEFECTS:
            raise DataError(f"{where}: anomaly_class {found!r} is neither {normal!r} nor one of {', '.join(DEFECTS)}")
        match = _SAMPLE.fullmatch(path)
        if match is None:
            raise DataError(
                f"{where}: {path!r} is no sample picture; expected OK/SXXXX/*_C1_*.jpg or NG/<defect>/SXXXX/*_C1_*.jpg"
            )
        for name in filter(None, (path, mask)):
            if not (folder / name).is_file():
                raise DataError(f"{where}: {folder / name} is not there; unpack the category again")
        return {
            "sample": path,
            "label": GOOD if found == normal else DEFECTIVE,
            "component": self.category,
            "defect": DEFECTS.get(found, ""),
            "part": match["part"],
            "view": match["view"],
            "mask": mask,
            "official_split": split,
        }

    def _notes(self, table: pd.DataFrame) -> tuple[str, ...]:
        notes = [f"Pictures of {self.resolution}, lists of {self.splits}."]
        hidden = table[table["sample"].str.startswith("NG/") & (table["label"] == GOOD)]
        if len(hidden):
            tested = int((hidden["official_split"] == "test").sum())
            notes.append(
                f"{len(hidden)} images lie under NG/ and are labelled good, {tested} of them test images: their view "
                f"does not show the defect."
            )
        training = table[table["official_split"] == "train"]
        bad = int((training["label"] == DEFECTIVE).sum())
        if bad:
            notes.append(
                f"{bad} of {len(training)} training images really show a defect; the benchmark calls all of them good "
                f"(protocol official with train_as_good)."
            )
        return tuple(notes)


def _load(lists: Path) -> dict[str, Any]:
    try:
        content = json.loads(lists.read_text(encoding="utf-8"))
        whole = all(isinstance(content["meta"][key], str) for key in ("prefix", "normal_class"))
        whole = whole and all(isinstance(content[key], list) for key in ("train", "test"))
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{lists}: expected meta with prefix and normal_class, train and test; copy it again"
        ) from error
    if not whole:
        raise DataError(f"{lists}: prefix and normal_class must be texts, train and test lists; copy it again")
    return dict(content)


def _names(folder: Path) -> list[str]:
    return sorted(item.name for item in folder.iterdir()) if folder.is_dir() else []
