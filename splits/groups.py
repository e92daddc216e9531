"""Groups: parts that must stay together because they are one object or show an identical picture."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import pandas as pd


def with_groups(table: pd.DataFrame) -> pd.DataFrame:
    """The table sorted by sample, with a column `group`: parts that share a content hash, directly or in a chain.

    A group is named after its first part and is what protocols deal out, so that neither a part nor an identical
    picture crosses roles. It carries every component, defect and transmission of its parts. An empty content hash
    is unknown and joins nothing. The column is categorical, its categories sorted.
    """
    in_order = table["sample"].is_monotonic_increasing
    ordered = table.reset_index(drop=True) if in_order else table.sort_values("sample", ignore_index=True)
    # Numbers in place of names: a draw looks a hundred thousand groups up a hundred times.
    parts = ordered["part"].astype("category")
    ordered["group"] = parts.cat.remove_unused_categories()
    leaders = _joined(ordered)
    if leaders:
        names = parts.cat.categories.to_numpy(dtype=object)
        group = np.array([leaders.get(name, name) for name in names], dtype=object)
        ordered["group"] = pd.Categorical(group[parts.cat.codes], categories=sorted(set(group)))
    return ordered


def _joined(table: pd.DataFrame) -> dict[str, str]:
    """The first part of the group, by part, for parts that share pictures with others."""
    if "content" not in table:
        return {}
    if len({*table["content"].tolist()}) == len(table):
        return {}
    several = table["content"].duplicated(keep=False) & (table["content"] != "")
    leaders: dict[str, str] = {}
    for _, parts in table[several].groupby("content", sort=True)["part"]:
        roots = sorted({_leader(leaders, str(part)) for part in parts})
        leaders.update(dict.fromkeys(roots, roots[0]))
    return {part: _leader(leaders, part) for part in sorted(leaders)}


def group_frame(grouped: pd.DataFrame) -> pd.DataFrame:
    """One row a group, sorted: `label` (defective if any sample is), `images`, `defects` (defective images)."""
    group = grouped["group"].cat
    images = np.bincount(group.codes, minlength=len(group.categories))
    defects = np.bincount(group.codes, grouped["label"], len(group.categories)).astype(np.int64)
    frame = pd.DataFrame({"label": (defects > 0).astype(np.int64), "images": images, "defects": defects})
    return frame.set_axis(pd.Index(group.categories, name="group"), axis=0)[images > 0]


def samples_of(grouped: pd.DataFrame, groups: Collection[str]) -> list[str]:
    """Sample ids of the groups, sorted."""
    samples: list[str] = grouped.loc[grouped["group"].isin(list(groups)), "sample"].tolist()
    return samples


def groups_in(rows: pd.DataFrame) -> set[str]:
    """Names of the groups that these rows belong to."""
    return set(rows["group"].unique().tolist())


def _leader(leaders: dict[str, str], part: str) -> str:
    while leaders.setdefault(part, part) != part:
        leaders[part] = leaders[leaders[part]]  # halve the path, so that long chains stay cheap
        part = leaders[part]
    return part
