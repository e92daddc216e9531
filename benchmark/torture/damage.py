"""Damage as disks and power cuts do it: files cut short, bits flipped."""

from __future__ import annotations

import random
from pathlib import Path

from reshift.benchmark.torture.study import RUN

KINDS = {
    "plan": f"runs/{RUN}/plan.json",
    "records": f"runs/{RUN}/cells/*/record.json",
    "scores": f"runs/{RUN}/cells/*/scores.npz",
    "weights": f"runs/{RUN}/cells/*/weights.pt",
    "failures": f"runs/{RUN}/cells/*/failure.json",
    "board rows": f"runs/{RUN}/.boards/*.rows",
    "boards": f"runs/{RUN}/leaderboards/*.csv",
    "images": "cache/images/*/*.npy",
    "features": "cache/features/*/*.npy",
    "suspicion": "cache/suspicion/*/suspicion.*",
}
"""What is damaged, as patterns below the place of a run."""


def damage_some(place: Path, rng: random.Random, most: int = 4) -> list[Path]:
    """Cut or flip up to `most` files of kinds that are there; returns which."""
    found = {kind: sorted(place.glob(pattern)) for kind, pattern in KINDS.items()}
    kinds = [kind for kind, paths in found.items() if paths]
    chosen = {rng.choice(found[rng.choice(kinds)]) for _ in range(rng.randint(1, most))} if kinds else set()
    return [path for path in sorted(chosen) if damage(path, rng)]


def damage(path: Path, rng: random.Random) -> bool:
    """Cut the file short or flip one to eight of its bits; whether there was anything to damage."""
    whole = path.read_bytes()
    if not whole:
        return False
    if rng.random() < 0.4:
        path.write_bytes(whole[: rng.randrange(len(whole))])
        return True
    flipped = bytearray(whole)
    while bytes(flipped) == whole:
        for _ in range(rng.randint(1, 8)):
            flipped[rng.randrange(len(whole))] ^= 1 << rng.randrange(8)
    path.write_bytes(bytes(flipped))
    return True
