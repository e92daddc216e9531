"""Pictures that look nearly alike although they belong to different parts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from reshift.datamodules.dataset import Dataset
from reshift.datamodules.survey import HASH_BITS, Survey

MOST_BITS = 22
"""Two pictures whose hashes differ in at most so many of 256 bits are near-duplicates.

JPEG of quality 50, half the resolution, noise of sd 10 and a shift by 1 % of the side stay within it in 90 % of
pictures or more. On the magnetic tiles it makes 65 pairs of pictures of different inferred tiles, and the fine texture
of every pair agrees (correlation .84 or more; one pair of tiles in a thousand reaches .60). Of 307,000 pairs of
different rendered gearbox parts, many of one shape in one pose, it makes none; the closest differs in 24 bits.
"""

LEAST_COSINE = 0.95
"""Two pictures whose standardised features have at least this cosine are near-duplicates.

Raw cosines are useless for it: two tiles reach .86 in the median on a network's middle layers. With MobileNetV2's
middle layers this line makes 22 pairs of different inferred tiles, each of one texture, and 3 wrong ones out of 64,000
pairs of rendered parts; with its last layer 6 and none.
"""

MOST_PAIRS = 100_000
"""Where more pairs than this are alike, nothing is told apart and the search ends."""

LUMP = 10
"""Being one object is transitive, looking alike is not: chance likeness chains parts into one large lump. Where one
group links more parts than this and than a tenth of all, the measure is taken as unable to tell parts apart."""

_BLOCK = 4_000_000  # similarities held at once: 16 MB


@dataclass(frozen=True)
class NearDuplicates:
    """Near-duplicate pictures of a data set by one measure.

    Attributes:
        measure: what was compared and where the line is, for messages.
        pairs: sample ids of different parts, never of identical files, the closest pair first; none unless
            `tells_parts_apart`.
        within: number of near-duplicate pairs inside parts, which are expected.
        alike: number of parts that have a near-duplicate in another part.
        groups: sizes of the groups of parts that such pairs link, the largest first.
        tells_parts_apart: whether likeness means anything here. It does not where it lumps a tenth of the parts
            together, where more than half of the parts that a data set names or infers are alike, and where there are
            more than `MOST_PAIRS` pairs; the search then ends early, and the numbers are those so far.
    """

    measure: str
    pairs: tuple[tuple[str, str], ...]
    within: int
    alike: int
    groups: tuple[int, ...]
    tells_parts_apart: bool


def alike_by_hash(dataset: Dataset, survey: Survey) -> NearDuplicates:
    """Near-duplicates by perceptual hash: the same view of the same thing in the same place of the picture."""
    measure = f"perceptual hash, at most {MOST_BITS} of {HASH_BITS} bits differ"
    vectors = survey.hashes.astype(np.float32) / HASH_BITS**0.5
    return _near_duplicates(dataset, vectors, 1 - 2 * MOST_BITS / HASH_BITS, measure)


def alike_by_features(dataset: Dataset, features: NDArray[np.float32], network: str) -> NearDuplicates:
    """Near-duplicates by the features of a frozen network; pooled ones care less than the hash where something stands.

    Each feature is standardised over the data set first, so that what all pictures share counts for nothing and one
    line serves every network.

    Args:
        features: (N, D) in the row order of the table, for example `feature_cache.cached_features(...)[:, 0]`.
        network: its name, for messages.

    Raises:
        ValueError: another number of rows than the table has.
    """
    if features.ndim != 2 or len(features) != len(dataset.table):
        raise ValueError(
            f"{network}: features of shape {features.shape} for {len(dataset.table)} pictures; give one row each"
        )
    spread = features.std(axis=0)
    vectors = (features - features.mean(axis=0)) / np.where(spread > 0, spread, 1)
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors = (vectors / np.where(length > 0, length, 1)).astype(np.float32)
    measure = f"features of {network}, standardised, cosine at least {LEAST_COSINE:g}"
    return _near_duplicates(dataset, vectors, LEAST_COSINE, measure)


def _near_duplicates(dataset: Dataset, vectors: NDArray[np.float32], floor: float, measure: str) -> NearDuplicates:
    table = dataset.table
    part, names = pd.factorize(table["part"])
    content = table["content"].to_numpy(dtype=str) if "content" in table else np.full(len(table), "")
    found: list[tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]] = []
    count = within = 0
    for one, other, similarity in _close(vectors, floor):
        inside = part[one] == part[other]
        within += int(inside.sum())
        # Identical files are a finding of their own, and `splits.groups` keeps them together in every split.
        apart = ~inside & ((content[one] != content[other]) | (content[one] == ""))
        found.append((one[apart], other[apart], similarity[apart]))
        count += int(apart.sum())
        if count > MOST_PAIRS:
            break
    one, other, similarity = (np.concatenate(arrays) for arrays in zip(*found, strict=True))
    order = np.lexsort((other, one, -similarity))
    one, other = one[order], other[order]
    links = coo_array((np.ones(len(one)), (part[one], part[other])), shape=(len(names), len(names)))
    sizes = np.bincount(connected_components(links, directed=False)[1])
    groups = tuple(sorted(sizes[sizes > 1].tolist(), reverse=True))
    alike = sum(groups)
    lumped = max(groups, default=0) > max(LUMP, len(names) / 10)
    # Where parts are assumed, all pictures may well have a twin: exposures of one object. Named parts may not.
    crowded = dataset.parts != "assumed" and alike > max(LUMP, len(names) / 2)
    tells = not (lumped or crowded or count > MOST_PAIRS)
    sample = table["sample"].tolist()
    pairs = [(sample[a], sample[b]) for a, b in zip(one.tolist(), other.tolist(), strict=True)] if tells else []
    return NearDuplicates(measure, tuple(pairs), within, alike, groups, tells)


def _close(
    vectors: NDArray[np.float32], floor: float
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]]:
    """Pairs of rows (first < second) of unit length with at least this product, block by block; zero rows have none."""
    rows = max(1, _BLOCK // len(vectors))
    for start in range(0, len(vectors), rows):
        similarity = vectors[start : start + rows] @ vectors[start:].T
        one, other = np.nonzero(similarity >= floor)
        later = other > one
        one, other = one[later], other[later]
        yield one + start, other + start, similarity[one, other]
