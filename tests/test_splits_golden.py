"""Digests of every protocol on a small fixed table: a change here is a new protocol version."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from reshift.splits.acquisition import Acquisition
from reshift.splits.chronological import Chronological
from reshift.splits.contamination import Contamination
from reshift.splits.contamination_verified import ContaminationVerified
from reshift.splits.in_distribution import InDistribution
from reshift.splits.label_flips import LabelFlips
from reshift.splits.official import Official
from reshift.splits.protocol import Protocol
from reshift.splits.published_tiles import PublishedTiles
from reshift.splits.random_image import RandomImage
from reshift.splits.samples import validate_table
from reshift.splits.unseen_component import UnseenComponent
from reshift.splits.unseen_defect import UnseenDefect
from reshift.splits.unseen_transmission import UnseenTransmission

GOLDEN = Path(__file__).parent / "golden" / "split_digests.json"
PROTOCOLS: tuple[Protocol, ...] = (
    InDistribution(),
    RandomImage(),
    Acquisition(),
    UnseenComponent(always_train=("gear",)),
    UnseenTransmission(),
    UnseenDefect(),
    Contamination(rates=(0.0, 0.1, 0.2), repeats=2),
    ContaminationVerified(verified=6, rates=(0.0, 0.2), repeats=2, max_good=45),
    LabelFlips(folds_used=1),
    Official(),
    PublishedTiles(),
    Chronological(),
)


def fixed_table() -> pd.DataFrame:
    """Sixty parts of three views, by arithmetic: half of them defective, each third view of those looks good."""
    rows = []
    for part in range(60):
        for view in range(3):
            bad = part % 2 == 1 and view < 2
            rows.append(
                {
                    "sample": f"{part:02d}/{view}.png",
                    "label": int(bad),
                    "component": ("gear", "ring", "spline")[part // 2 % 3],
                    "defect": ("pit", "scratch")[part // 6 % 2] if bad else "",
                    "transmission": ("E36", "Mini")[part // 4 % 2],
                    "acquisition": f"exp{view}",
                    "part": f"part{part:02d}",
                    "time": str(part * 10 + view),
                    "official_split": "test" if part % 5 in (0, 3) else "train",
                    "content": "twice" if (part, view) in ((0, 0), (5, 1)) else f"{part}-{view}",
                }
            )
    return validate_table(pd.DataFrame(rows), "fixed table")


def digests() -> dict[str, str]:
    """Digest of every split, by protocol, version and split name."""
    table = fixed_table()
    return {
        f"{protocol.name} v{protocol.version} {split.name}": split.digest
        for protocol in PROTOCOLS
        for split in protocol.splits(table, seed=0)
    }


def test_split_digests_are_the_recorded_ones() -> None:
    assert digests() == json.loads(GOLDEN.read_text(encoding="utf-8"))


if __name__ == "__main__":  # python tests/test_splits_golden.py writes the file anew, after a version was raised
    GOLDEN.write_text(json.dumps(digests(), indent=1) + "\n", encoding="utf-8")
