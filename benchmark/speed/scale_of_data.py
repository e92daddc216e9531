"""What pictures, caches and the start of a worker take, against their limits."""

from __future__ import annotations

from collections.abc import Iterator

from reshift.benchmark.speed.scale_costs import Scale, feature_entries
from reshift.benchmark.speed.scale_limits import DAY, DISK, GB, HOUR, MEMORY, RATES, Resource, Term

WORKERS, CACHE = 16, 50 * GB


def data_resources(scale: Scale) -> Iterator[Resource]:
    """Caches, and what every worker reads and draws."""
    yield from _caches(scale)
    yield from _workers(scale)


def _caches(scale: Scale) -> Iterator[Resource]:
    images = scale.study["images"]
    entries = list(feature_entries(scale))
    decoded = scale.pieces["decoded_bytes"] * images
    whole = decoded + sum(entry.bytes for entry in entries)
    yield Resource(
        "decoded pictures against memory",
        (Term(decoded, 1),),
        MEMORY,
        "64 GB of memory",
        "bytes",
        "put the cache on an NVMe disk: what does not fit into memory is read from there again and again",
    )
    yield Resource(
        "all caches at once against the default limit",
        (Term(whole, 1),),
        CACHE,
        "RESHIFT_CACHE_LIMIT of 50 GB",
        "bytes",
        "set RESHIFT_CACHE_LIMIT, or entries push each other out and are built again",
    )
    yield Resource(
        "all caches at once on disk",
        (Term(whole, 1),),
        DISK,
        "one disk of 4 TB",
        "bytes",
        "run models one after the other and keep fewer copies; half-precision features",
    )
    yield Resource(
        "decoding every picture",
        (Term(scale.pieces["decode_seconds"] * images, 1),),
        DAY,
        "24 h of one process",
        "seconds",
        "build the entry in shards, one a core",
    )
    longest = max(entries, key=lambda entry: entry.work.seconds)
    name = f"{longest.copies} copies' features of {longest.model}"
    yield Resource(
        f"{name}, on this core",
        (Term(longest.work.seconds, 1),),
        DAY,
        "24 h of one process",
        "seconds",
        "build it on a GPU; score under fewer transforms",
    )
    drawing = scale.pieces["copy_seconds"] * images * longest.copies
    yield Resource(
        f"{name}, copies drawn on a core, network on a GPU of {RATES[0] / 1e12:g} TFLOP/s",
        (Term(drawing + longest.work.flops / RATES[0], 1),),
        DAY,
        "24 h of one process",
        "seconds",
        "draw the copies on the GPU, or in several processes",
    )


def _workers(scale: Scale) -> Iterator[Resource]:
    study, images = scale.study, scale.study["images"]
    yield Resource(
        "table and splits in a worker",
        (Term(study["splits_bytes"], 1),),
        MEMORY / WORKERS,
        "4 GB, a 16th of 64",
        "bytes",
        "keep row numbers in place of names; one copy in shared memory",
    )
    yield Resource(
        "drawing and checking all splits as a worker starts",
        (Term(study["splits_seconds"], 1),),
        HOUR,
        "1 h",
        "seconds",
        "write the splits beside the plan and read the one that is needed",
    )
    yield Resource(
        "hashing every file as a worker starts",
        (Term(scale.pieces["hash_seconds"] * images, 1),),
        HOUR,
        "1 h",
        "seconds",
        "keep hashes beside size and date of the files, or in the manifest",
    )
    yield Resource(
        "bytes of plan.json",
        (Term(study["plan_bytes"], cells=1),),
        GB,
        "1 GB of JSON in one piece",
        "bytes",
        "one plan a data set or seed",
    )
