"""The closed list of words that are understood as labels."""

from __future__ import annotations

from reshift.splits.samples import DEFECTIVE, GOOD

LABEL_WORDS = {
    "0": GOOD,
    "good": GOOD,
    "ok": GOOD,
    "1": DEFECTIVE,
    "defective": DEFECTIVE,
    "nok": DEFECTIVE,
    "ng": DEFECTIVE,
    "nk": DEFECTIVE,
}
"""What a manifest may say, in any case; nothing else is guessed at."""

GOOD_FOLDERS = frozenset({"good", "ok", "free", "normal", "defect_free", "no_defect"})
DEFECTIVE_FOLDERS = frozenset({"bad", "defective", "defect", "nok", "ng", "nk", "anomaly", "anomalous", "broken"})
"""Folder names that say good or defective and nothing more; any other name beside a good one is a defect's."""
