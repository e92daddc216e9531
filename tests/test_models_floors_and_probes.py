"""Floors and closed-form probes against scikit-learn and numbers worked by hand."""

import pytest
import torch
from sklearn.covariance import LedoitWolf
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from reshift.models.base import Batch
from reshift.models.floors import ClassPrior, NumberOfViews, SizeBrightness
from reshift.models.frozen_probes import Gaussian, LogisticProbe


def rows(n: int = 40, width: int = 24) -> Batch:
    generator = torch.Generator().manual_seed(0)
    label = torch.arange(n) % 2
    # Columns of very different scale, as features of different stages are.
    scale = torch.logspace(-2, 2, width)
    feature = (torch.randn(n, width, generator=generator) + 0.5 * label[:, None]) * scale
    return {"feature": feature, "label": label, "weight": torch.ones(n), "index": torch.arange(n)}


def split(batch: Batch) -> list[Batch]:
    return [{key: value[part] for key, value in batch.items()} for part in (slice(0, 15), slice(15, None))]


def probe() -> LogisticProbe:
    return LogisticProbe("test_resnet", "none", [0], (1.0,))


def test_class_prior_is_the_observed_share() -> None:
    model, batch = ClassPrior(), rows(10)
    batch["label"] = torch.tensor([1, 1, 1, 0, 0, 0, 0, 0, 0, 0])
    model.fit(split(batch))  # type: ignore[arg-type]
    assert model.score(batch)["probability"].tolist() == pytest.approx([0.3] * 10)
    batch["weight"][3], batch["weight"][0] = -1, 2
    model.fit(split(batch))  # type: ignore[arg-type]
    assert model.score(batch)["probability"].tolist() == pytest.approx([5 / 11] * 10)


def test_number_of_views_counts_what_is_present() -> None:
    present = torch.tensor([[True, False, True], [False, False, True]])
    assert NumberOfViews().score({"present": present}).tolist() == [2, 1]


def test_size_brightness_describes_the_file_not_the_square() -> None:
    image = torch.zeros(1, 3, 8, 8)
    image[..., :4] = 1
    found = SizeBrightness.describe({"image": image, "extent": torch.tensor([[30.0, 60.0]])})
    deviation = float(image.std())
    assert found[0].tolist() == pytest.approx([30, 60, 0.5, 1800, 0.5, deviation], rel=1e-5)


def test_size_brightness_finds_a_label_that_hangs_on_the_size() -> None:
    batch = {**rows(40), "image": torch.rand(40, 3, 8, 8), "extent": torch.full((40, 2), 50.0)}
    batch["extent"][batch["label"] == 1, 0] = 70
    model = SizeBrightness()
    model.fit(split(batch))  # type: ignore[arg-type]
    found = model.score(batch)["logit"]
    assert found[batch["label"] == 1].min() > found[batch["label"] == 0].max()


def test_logistic_probe_is_scikit_learns() -> None:
    model, batch = probe(), rows(width=probe().backbone.width)
    batch["weight"] = torch.linspace(0.5, 2, 40)
    model.fit(split(batch))  # type: ignore[arg-type]
    theirs = make_pipeline(StandardScaler(), LogisticRegression(max_iter=5000))
    theirs.fit(batch["feature"].double(), batch["label"], logisticregression__sample_weight=batch["weight"].double())
    expected = theirs.predict_proba(batch["feature"].double())[:, 1]
    assert model.score(batch)["probability"].tolist() == pytest.approx(expected.tolist(), abs=1e-4)


def test_logistic_probe_learns_a_known_bad_row_as_defective() -> None:
    flipped, told = probe(), probe()
    batch = rows(width=flipped.backbone.width)
    batch["label"][0] = 1
    flipped.fit([batch])  # type: ignore[arg-type]
    batch["label"][0], batch["weight"][0] = 0, -1
    told.fit([batch])  # type: ignore[arg-type]
    assert torch.equal(flipped.score(batch)["logit"], told.score(batch)["logit"])


def test_logistic_probe_needs_both_classes() -> None:
    model = probe()
    batch = rows(width=model.backbone.width)
    with pytest.raises(ValueError, match="all 40 rows are of class 0"):
        model.fit([{**batch, "label": torch.zeros_like(batch["label"])}])  # type: ignore[arg-type]


def test_gaussian_is_the_mahalanobis_distance_under_ledoit_wolf() -> None:
    model = Gaussian("test_resnet", "none", [0], (1.0,))
    batch = rows(n=30, width=model.backbone.width)
    model.fit(split(batch))  # type: ignore[arg-type]
    fresh = rows(n=50, width=model.backbone.width)
    # scikit-learn's `mahalanobis` is the squared distance.
    expected = LedoitWolf().fit(batch["feature"].double()).mahalanobis(fresh["feature"].double()) ** 0.5
    assert model.score(fresh).tolist() == pytest.approx(expected.tolist(), rel=1e-4)


def test_gaussian_leaves_known_bad_rows_out() -> None:
    model = Gaussian("test_resnet", "none", [0], (1.0,))
    batch = rows(n=30, width=model.backbone.width)
    model.fit([{key: value[5:] for key, value in batch.items()}])  # type: ignore[arg-type]
    expected = model.score(batch)
    batch["weight"][:5] = -1
    model.fit([batch])  # type: ignore[arg-type]
    assert torch.equal(model.score(batch), expected)
