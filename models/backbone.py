"""Timm networks as feature extractors: weights by hub, by file or none, normalising inside."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import huggingface_hub
import timm
import torch
from safetensors.torch import load_file
from timm.layers.norm_act import freeze_batch_norm_2d
from timm.models import get_pretrained_cfg
from torch import Tensor, nn
from torch.nn import functional as F

_PROBE_SECONDS = 5.0


class Backbone(nn.Module):
    """Images (B, 3, H, W) in [0, 1] to features (B, `width`).

    Without `stages` the features are those before the network's classifier. With `stages` they are the spatial means
    of intermediate maps, and nothing behind the last of them is computed. Every image is also seen at the other
    `scales`; the features of all scales and stages are concatenated, as in DifferNet (Rudolph et al. 2021, 3.1).

    Args:
        name: timm model name; vision transformers take any image size their patches divide.
        weights: "hub" for timm's pretrained weights, "none" for a random start, else the path of a state dict
            (`.pth` or `.safetensors`, any float type, with or without the classifier), relative to the working folder.
        stages: indices into timm's `feature_info`, e.g. [2, 3] of `mobilenetv2_100` for strides 8 and 16.
        scales: image sizes relative to H x W; shrinking averages over areas.
        frozen_batch_norm: keep batch normalisation at its stored statistics in training too, as small batches ask for.
            Files dequantised from 8-bit models need it: their statistics are folding constants, not moments.
        timm_options: further arguments of `timm.create_model`; those a file may need are `pad_type: same` and
            `pretrained_cfg_overlay: {mean: [.5, .5, .5], std: [.5, .5, .5]}`.

    Raises:
        ConnectionError: "hub", and neither the cache nor the network has the weights; within seconds.
        FileNotFoundError, ValueError: no such file, model or stage, or a state dict of another network.
    """

    def __init__(
        self,
        name: str,
        weights: str = "hub",
        stages: Sequence[int] | None = None,
        scales: Sequence[float] = (1.0,),
        timm_options: dict[str, Any] | None = None,
        frozen_batch_norm: bool = False,
    ) -> None:
        super().__init__()
        self.name, self.stages, self.scales = name, None if stages is None else list(stages), list(scales)
        # Channels last halves the time of MobileNet's forward and backward on a CPU; values move by 1e-5.
        self.network = _create(name, weights, dict(timm_options or {})).to(memory_format=torch.channels_last)
        config = self.network.pretrained_cfg
        if frozen_batch_norm:
            self.network = freeze_batch_norm_2d(self.network)  # type: ignore[no-untyped-call]
        self.mean: Tensor
        self.std: Tensor
        # Not persistent: they come with the name, and a state dict of the network alone stays loadable.
        self.register_buffer("mean", torch.tensor(config["mean"]).view(1, -1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(config["std"]).view(1, -1, 1, 1), persistent=False)
        self.width = sum(self._channels()) * len(self.scales)

    def _channels(self) -> list[int]:
        if self.stages is None:
            # Some networks widen after pooling (MobileNetV3): num_features would be the width before that.
            return [int(getattr(self.network, "head_hidden_size", self.network.num_features))]
        known = [(stage["reduction"], stage["num_chs"]) for stage in self.network.feature_info]
        if not hasattr(self.network, "forward_intermediates") or not self.stages or not known:
            raise ValueError(f"{self.name}: stages {self.stages} asked for, intermediate maps there are {known}")
        wrong = [stage for stage in self.stages if not 0 <= stage < len(known)]
        if wrong or len(set(self.stages)) < len(self.stages):
            listed = ", ".join(f"{i}: stride {stride}, {width} wide" for i, (stride, width) in enumerate(known))
            raise ValueError(f"{self.name}: stages {self.stages} are not distinct indices of ({listed})")
        return [int(known[stage][1]) for stage in self.stages]

    def forward(self, image: Tensor) -> Tensor:
        features: list[Tensor] = []
        for scale in self.scales:
            size = [max(1, round(side * scale)) for side in image.shape[-2:]]
            scaled = image if scale == 1 else F.interpolate(image, size=size, mode="area")
            scaled = (scaled - self.mean) / self.std
            if self.stages is None:
                features.append(self.network(scaled))
                continue
            maps = self.network.forward_intermediates(
                scaled, indices=self.stages, stop_early=True, intermediates_only=True, output_fmt="NCHW"
            )
            features.extend(stage.mean(dim=(2, 3)) for stage in maps)
        return torch.cat(features, dim=1)

    def freeze(self) -> Backbone:
        """Take no gradient and stay in evaluation mode; gradients still flow through to the image."""
        self.requires_grad_(False)
        return self.eval()

    @property
    def weights_hash(self) -> str:
        """sha256 over the network's tensors by name, for the identity of a cell."""
        digest = hashlib.sha256()
        for key, value in sorted(self.network.state_dict().items()):
            digest.update(f"{key} {value.dtype} {tuple(value.shape)};".encode())
            digest.update(value.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()

    def extra_repr(self) -> str:
        mean, std = self.mean.flatten().tolist(), self.std.flatten().tolist()
        return f"{self.name}, stages={self.stages}, scales={self.scales}, mean={mean}, std={std}"


def _create(name: str, weights: str, options: dict[str, Any]) -> Any:
    if not timm.is_model(name):
        near = ", ".join(difflib.get_close_matches(name, timm.list_models(), n=4)) or "none; see timm.list_models()"
        raise ValueError(f"backbone {name!r} is no timm model; near: {near}")
    config = get_pretrained_cfg(name)
    if config is not None and config.fixed_input_size:
        options.setdefault("dynamic_img_size", True)
    if weights == "hub":
        return _from_hub(name, config, options)
    network = timm.create_model(name, pretrained=False, num_classes=0, **options)
    if weights != "none":
        _load(network, name, Path(weights))
    return network


def _load(network: nn.Module, name: str, path: Path) -> None:
    if not path.is_file():
        raise FileNotFoundError(f"weights {str(path)!r} of {name}: no such file (looked from {Path.cwd()})")
    try:
        state = load_file(path) if path.suffix == ".safetensors" else torch.load(path, "cpu", weights_only=True)
        # The files timm publishes carry the ImageNet classifier; everything else has to match.
        heads: Any = network.pretrained_cfg["classifier"]  # type: ignore[index]
        heads = (heads,) if isinstance(heads, str) else tuple(heads or ())
        own = set(network.state_dict())
        state = {k: v for k, v in state.items() if k in own or not k.startswith(tuple(f"{h}." for h in heads))}
        network.load_state_dict(state, strict=True)
    except Exception as error:
        reason = " ".join(str(error).split())[:300]
        raise ValueError(f"weights {str(path)!r} do not fit {name}: {reason}") from error


def _from_hub(name: str, config: Any, options: dict[str, Any]) -> Any:
    if config is None or not (config.hf_hub_id or config.url or config.file):
        raise ValueError(f"timm has no pretrained weights for {name!r}; give a file, or weights 'none'")
    cached = [
        huggingface_hub.try_to_load_from_cache(config.hf_hub_id, file)
        for file in ("model.safetensors", "pytorch_model.bin")
        if config.hf_hub_id
    ]
    files = [path for path in cached if isinstance(path, str)]
    if files:
        options["pretrained_cfg_overlay"] = {**options.get("pretrained_cfg_overlay", {}), "file": files[0]}
    try:
        if not files and not config.file:
            # The hub's own client retries for most of a minute before it says that there is no network.
            address = huggingface_hub.constants.ENDPOINT if config.hf_hub_id else config.url
            huggingface_hub.get_session().head(address, timeout=_PROBE_SECONDS)
        return timm.create_model(name, pretrained=True, num_classes=0, **options)
    except Exception as error:
        raise ConnectionError(
            f"pretrained weights of {name} are neither in the local cache nor could they be fetched "
            f"({type(error).__name__}: {str(error)[:200]}); give a file, or weights 'none'"
        ) from error
