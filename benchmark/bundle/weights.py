"""Backbone weights as files of the hub's cache: which networks the suite takes from there, and where they lie."""

from __future__ import annotations

from pathlib import Path

from huggingface_hub import try_to_load_from_cache
from huggingface_hub.constants import PYTORCH_WEIGHTS_NAME, SAFETENSORS_SINGLE_FILE
from timm.models import get_pretrained_cfg

from reshift.benchmark.bundle.manifest import BundleError
from reshift.benchmark.catalog import find_class, full_arguments, own_classes
from reshift.benchmark.preset import ModelSpec, load_preset
from reshift.benchmark.world import MODELS
from reshift.models.backbone import Backbone
from reshift.models.base import InspectionModule


def default_backbones() -> list[str]:
    """The timm names that models load from the hub when nobody says otherwise, sorted.

    Those that published experiments name (gigabytes) are not among them.
    """
    specs = [ModelSpec(use=name) for name in own_classes(MODELS, InspectionModule)]
    specs += load_preset("manifest").models
    found = set()
    for spec in specs:
        arguments = full_arguments(find_class(spec.use, MODELS, InspectionModule), spec.args, spec.name or spec.use)
        if arguments.get("weights") == "hub":
            found.add(str(arguments["backbone"]))
    return sorted(found)


def hub_files(name: str) -> dict[str, Path]:
    """The two files by which a hub cache answers for a timm network, by their paths in that cache.

    Raises:
        BundleError: neither the cache nor the network has the weights, or they come from no hub repository.
        ValueError: no timm model of that name, or one without pretrained weights.
    """
    try:
        Backbone(name)  # fetches what the cache lacks, and shows that it loads
    except ConnectionError as error:
        raise BundleError(
            f"weights of {name}: not in the local cache, and the hub cannot be reached; "
            f"connect, or choose others: WEIGHTS='NAME ...', or WEIGHTS=none"
        ) from error
    config = get_pretrained_cfg(name)
    for file in (SAFETENSORS_SINGLE_FILE, PYTORCH_WEIGHTS_NAME):
        cached = try_to_load_from_cache(config.hf_hub_id, file) if config and config.hf_hub_id else None
        if isinstance(cached, str):
            weights = Path(cached)  # models--OWNER--NAME/snapshots/COMMIT/FILE; refs/main says which commit
            repository = weights.parents[2]
            return {str(path.relative_to(repository.parent)): path for path in (repository / "refs" / "main", weights)}
    raise BundleError(f"weights of {name} do not come from a hub repository and cannot be packed; leave it out")
