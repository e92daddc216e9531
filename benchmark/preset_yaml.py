"""YAML to plain values, with no more of them than the text spells out a few times over."""

from __future__ import annotations

from typing import Any

import yaml

MOST_VALUES, DEEPEST = 100_000, 50
"""Bounds of what a document stands for with every alias written out; the largest preset has some hundreds, 10 deep."""


def plain_yaml(text: str) -> Any:
    """Mappings, lists, texts, numbers, booleans and None; tags of any other type are refused, see `yaml.SafeLoader`.

    Aliases let a few lines stand for more values than memory holds, or for themselves; whoever copies or merges them
    pays for each, the loader included, so they are counted before anything is built of them.

    Raises:
        ValueError: not YAML, or beyond `MOST_VALUES` or `DEEPEST`.
    """
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        _count(node, {}, 0)
        return loader.construct_document(node)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error
    except RecursionError as error:
        raise ValueError(f"nested more than {DEEPEST} deep") from error


def _count(node: yaml.Node, known: dict[int, int], depth: int) -> int:
    """How many values a node stands for; `known` are those of nodes counted before."""
    if depth > DEEPEST:
        raise ValueError(f"nested more than {DEEPEST} deep, or an alias holds itself")
    if id(node) not in known:
        inner: list[yaml.Node] = []
        if isinstance(node, yaml.SequenceNode):
            inner = node.value
        elif isinstance(node, yaml.MappingNode):
            inner = [side for pair in node.value for side in pair]
        known[id(node)] = 1 + sum(_count(part, known, depth + 1) for part in inner)
    if known[id(node)] > MOST_VALUES:
        raise ValueError(f"stands for more than {MOST_VALUES} values; write aliases out, or fewer of them")
    return known[id(node)]
