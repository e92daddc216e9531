"""Groups: parts that must stay together because they are one object or show an identical picture."""

from __future__ import annotations

from collections.abc import Collection

import pandas as pd


def with_groups(table: pd.DataFrame) -> pd.DataFrame:
    """The table sorted by sample, with a column `group`: parts that share a content hash, directly or in a chain.

    A group is named after its first part and is what protocols deal out, so that neither a part nor an identical
    picture crosses roles. It carries every component, defect and transmission of its parts. An empty content hash
    is unknown and joins nothing.
    """
    ordered = table.sort_values("sample", ignore_index=True)
    ordered["group"] = ordered["part"]
    if "content" not in ordered:
        return ordered
    pictures = ordered.loc[ordered["content"] != "", ["content", "part"]].drop_duplicates()
    pictures = pictures[pictures["content"].duplicated(keep=False)]
    leaders: dict[str, str] = {}
    for _, parts in pictures.groupby("content", sort=True)["part"]:
        roots = sorted({_leader(leaders, str(part)) for part in parts})
        leaders.update(dict.fromkeys(roots, roots[0]))
    if leaders:
        joined = {part: _leader(leaders, part) for part in sorted(leaders)}
        ordered["group"] = [joined.get(part, part) for part in ordered["part"]]
    return ordered


def group_frame(grouped: pd.DataFrame) -> pd.DataFrame:
    """One row a group, sorted: `label` (defective if any sample is), `images`, `defects` (defective images)."""
    frame = grouped[["group", "label"]].assign(images=1, defects=grouped["label"])
    return frame.groupby("group", sort=True).agg({"label": "max", "images": "sum", "defects": "sum"})


def samples_of(grouped: pd.DataFrame, groups: Collection[str]) -> list[str]:
    """Sample ids of the groups, sorted."""
    return [str(sample) for sample in grouped.loc[grouped["group"].isin(list(groups)), "sample"]]


def groups_in(rows: pd.DataFrame) -> set[str]:
    """Names of the groups that these rows belong to."""
    return set(map(str, rows["group"]))


def _leader(leaders: dict[str, str], part: str) -> str:
    while leaders.setdefault(part, part) != part:
        leaders[part] = leaders[leaders[part]]  # halve the path, so that long chains stay cheap
        part = leaders[part]
    return part
