"""Backbones: where weights come from, which features come out, and what an error says."""

import time
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch.nn import functional as F

from reshift.models.backbone import Backbone

SHARED = Path(__file__).parents[2] / "shared" / "weights" / "mobilenetv2_100_imagenet_fp16.pth"
TILES_OPTIONS = {"pad_type": "same", "pretrained_cfg_overlay": {"mean": [0.5] * 3, "std": [0.5] * 3}}


def image(rows: int = 2, size: int = 64) -> torch.Tensor:
    return torch.rand(rows, 3, size, size, generator=torch.Generator().manual_seed(0))


def test_pooled_features_are_timms_own_on_normalised_images() -> None:
    backbone = Backbone("test_resnet", "none").eval()
    config = backbone.network.pretrained_cfg
    mean, std = (torch.tensor(config[key]).view(3, 1, 1) for key in ("mean", "std"))
    assert torch.equal(backbone(image()), backbone.network((image() - mean) / std))


@pytest.mark.parametrize("name", ["test_resnet", "mobilenetv3_small_050", "densenet121", "test_vit"])
def test_width_is_what_comes_out(name: str) -> None:
    backbone = Backbone(name, "none").eval()
    assert backbone(image()).shape == (2, backbone.width)


@pytest.mark.parametrize("name", ["test_vit", "swin_tiny_patch4_window7_224"])
def test_transformers_take_other_sizes_than_their_own(name: str) -> None:
    backbone = Backbone(name, "none", stages=[1], scales=(1.0, 0.5)).eval()
    assert backbone(image()).shape == (2, backbone.width)


def test_stages_at_scales_are_means_of_intermediate_maps() -> None:
    backbone = Backbone("mobilenetv2_100", "none", [2, 3], (1.0, 0.5), TILES_OPTIONS).eval()
    reference = timm.create_model("mobilenetv2_100", features_only=True, out_indices=(2, 3), pad_type="same").eval()
    reference.load_state_dict(backbone.network.state_dict(), strict=False)
    expected = []
    for scaled in (image(), F.avg_pool2d(image(), 2)):
        expected += [stage.mean(dim=(2, 3)) for stage in reference(scaled * 2 - 1)]
    assert backbone.width == (32 + 96) * 2
    torch.testing.assert_close(backbone(image()), torch.cat(expected, dim=1))


def test_nothing_behind_the_last_stage_is_computed() -> None:
    backbone = Backbone("mobilenetv2_100", "none", [3]).eval()
    for late in backbone.network.blocks[5:]:
        late.forward = None
    assert backbone(image()).shape == (2, 96)


@pytest.mark.skipif(not SHARED.exists(), reason="no shared weights beside this checkout")
def test_half_precision_file_loads_strictly_into_float32() -> None:
    backbone = Backbone("mobilenetv2_100", str(SHARED), [3], timm_options=TILES_OPTIONS)
    stored = torch.load(SHARED, weights_only=True)
    state = backbone.network.state_dict()
    assert set(stored) == set(state)
    assert all(torch.equal(stored[key].to(state[key].dtype), state[key]) for key in stored)
    assert {value.dtype for value in state.values()} == {torch.float32, torch.int64}
    assert backbone.mean.flatten().tolist() == [0.5] * 3


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_file_with_its_classifier_loads(tmp_path: Path, suffix: str) -> None:
    whole = timm.create_model("test_resnet").half()
    path = tmp_path / f"whole{suffix}"
    (torch.save if suffix == ".pth" else save_file)(whole.state_dict(), path)
    loaded = Backbone("test_resnet", str(path)).network.state_dict()
    assert all(torch.equal(loaded[key], whole.state_dict()[key].to(loaded[key].dtype)) for key in loaded)


def test_relative_path_is_looked_up_from_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.save(Backbone("test_resnet", "none").network.state_dict(), tmp_path / "own.pth")
    monkeypatch.chdir(tmp_path)
    Backbone("test_resnet", "own.pth")
    with pytest.raises(FileNotFoundError, match=f"'other.pth' of test_resnet.*{tmp_path.name}"):
        Backbone("test_resnet", "other.pth")


def test_file_of_another_network_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.pth"
    torch.save(timm.create_model("test_resnet", num_classes=0).state_dict(), path)
    with pytest.raises(ValueError, match="do not fit test_efficientnet"):
        Backbone("test_efficientnet", str(path))


def test_file_with_code_inside_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "pickled.pth"
    torch.save(timm.create_model("test_resnet"), path)
    with pytest.raises(ValueError, match="do not fit test_resnet"):
        Backbone("test_resnet", str(path))


def test_hub_out_of_reach_is_an_error_within_seconds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *_: None)
    started = time.monotonic()
    with pytest.raises(ConnectionError, match=r"weights of resnet18 are neither .* give a file, or weights 'none'"):
        Backbone("resnet18", "hub")
    assert time.monotonic() - started < 10


def test_cached_hub_weights_need_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    published = timm.create_model("test_resnet")
    save_file(published.state_dict(), tmp_path / "model.safetensors")
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *_: str(tmp_path / "model.safetensors"))
    monkeypatch.setattr("huggingface_hub.get_session", None)
    loaded = Backbone("test_resnet", "hub").network.state_dict()
    assert torch.equal(loaded["conv1.0.weight"], published.state_dict()["conv1.0.weight"])


def test_network_without_published_weights_is_an_error() -> None:
    with pytest.raises(ValueError, match="no pretrained weights for 'ghostnet_050'"):
        Backbone("ghostnet_050", "hub")


def test_unknown_name_lists_near_ones() -> None:
    with pytest.raises(ValueError, match=r"'resnet17' is no timm model; near: .*resnet18"):
        Backbone("resnet17", "none")


@pytest.mark.parametrize("stages", [[], [7], [-1], [2, 2]])
def test_wrong_stages_are_an_error(stages: list[int]) -> None:
    with pytest.raises(ValueError, match=r"stages \["):
        Backbone("test_resnet", "none", stages)


def test_hash_names_the_weights() -> None:
    torch.manual_seed(0)
    first = Backbone("test_resnet", "none")
    torch.manual_seed(0)
    assert Backbone("test_resnet", "none", [1]).weights_hash == first.weights_hash
    with torch.no_grad():
        next(first.network.parameters())[0] += 1e-6
    torch.manual_seed(0)
    assert Backbone("test_resnet", "none").weights_hash != first.weights_hash


def test_frozen_backbone_passes_gradient_to_the_image_only() -> None:
    backbone, pixels = Backbone("test_resnet", "none").freeze(), image().requires_grad_()
    backbone(pixels).sum().backward()
    assert pixels.grad is not None and pixels.grad.any()
    assert all(parameter.grad is None for parameter in backbone.parameters())
