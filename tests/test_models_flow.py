"""The coupling flow: invertible, its log-determinant against autograd, its clamp and its size."""

import math

import numpy as np
import pytest
import torch

from reshift.models.flow import CouplingFlow


def flow(width: int = 5, **options: int) -> CouplingFlow:
    torch.manual_seed(0)
    built = CouplingFlow(width, **{"blocks": 3, "hidden": 16, **options})
    with torch.no_grad():
        for parameter in built.parameters():
            if parameter.requires_grad:
                parameter.mul_(2)
    return built


@pytest.mark.parametrize("width", [2, 5, 8])
def test_inverts(width: int) -> None:
    built, features = flow(width), torch.randn(7, width)
    latent, _ = built(features)
    assert not torch.allclose(latent, features, atol=0.1)
    torch.testing.assert_close(built.inverse(latent), features, rtol=1e-4, atol=1e-4)


def test_log_determinant_is_that_of_the_jacobian() -> None:
    built = flow().double()
    features = torch.randn(4, 5, dtype=torch.float64)
    _, found = built(features)
    for row, value in zip(features, found, strict=True):
        jacobian = torch.autograd.functional.jacobian(lambda x: built(x[None])[0][0], row)
        assert float(value.detach()) == pytest.approx(float(torch.linalg.slogdet(jacobian)[1]), rel=1e-9)


@pytest.mark.parametrize("s", [-50.0, -3.0, 0.0, 0.7, 8.0])
def test_log_scale_is_clamped_as_published(s: float) -> None:
    # One coupling whose first half sees log scale s and shift 0, and whose second half is left alone.
    built = flow(width=2, blocks=1)
    coupling = built.layers[1]
    with torch.no_grad():
        for network in (coupling.subnet1, coupling.subnet2):
            for parameter in network.parameters():
                parameter.zero_()
        coupling.subnet2[-1].bias[0] = s
    _, log_det = built(torch.ones(1, 2))
    assert float(log_det.detach()) == pytest.approx(3 * 0.636 * math.atan(s / 3), rel=1e-5, abs=1e-7)


def test_published_size() -> None:
    with torch.device("meta"):
        subnet = CouplingFlow(8, blocks=1, hidden=2048).layers[1].subnet1
    shapes = [(layer.in_features, layer.out_features) for layer in subnet if isinstance(layer, torch.nn.Linear)]
    assert shapes == [(4, 2048), (2048, 2048), (2048, 2048), (2048, 8)]
    assert not any(isinstance(module, torch.nn.modules.batchnorm._BatchNorm) for module in subnet.modules())


def test_permutations_are_fixed_differ_by_block_and_leave_numpy_alone() -> None:
    np.random.seed(5)
    expected = np.random.random()
    np.random.seed(5)
    first, second = flow(width=16), flow(width=16)
    assert np.random.random() == expected
    permutations = [first.layers[block].perm for block in (0, 2, 4)]
    assert all(torch.equal(a, second.layers[block].perm) for a, block in zip(permutations, (0, 2, 4), strict=True))
    assert not torch.equal(permutations[0], permutations[1])


def test_one_feature_is_refused() -> None:
    with pytest.raises(ValueError, match="1 feature"):
        CouplingFlow(1)
