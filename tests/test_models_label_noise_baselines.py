"""Generalised cross-entropy and confident learning: what wrong labels do to them."""

from typing import Any

import numpy as np
import pytest
import torch
from cleanlab.classification import CleanLearning
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from reshift.losses.generalised_cross_entropy import generalised_cross_entropy
from reshift.losses.weighted_cross_entropy import weighted_cross_entropy
from reshift.models.base import Batch, TrainingInfo
from reshift.models.confident_learning import ConfidentLearning
from reshift.models.frozen_probes import LogisticProbe
from reshift.models.generalised_cross_entropy import GeneralisedCrossEntropy

FROZEN: dict[str, Any] = {"backbone": "test_resnet", "weights": "none", "stages": [0], "scales": (1.0,)}
WIDTH = LogisticProbe(**FROZEN).backbone.width


def images() -> Batch:
    image = torch.rand(8, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    label = torch.tensor([0, 0, 1, 0, 0, 0, 1, 0])
    weight = torch.tensor([1.0, 1, 2, 1, -1, 1, 0.5, 1])
    return {"image": image, "label": label, "weight": weight, "index": torch.arange(8)}


def test_the_generalised_loss_trains_and_plain_cross_entropy_validates() -> None:
    torch.manual_seed(0)
    model = GeneralisedCrossEntropy(backbone="test_resnet", weights="none", q=0.4, class_balanced=True)
    model.prepare(TrainingInfo(steps=10, class_counts=(6, 2), n_groups=1, n_views=1, size=32))
    rows = images()
    logits = model.eval().head(model.backbone(rows["image"]))
    balance = torch.tensor([8 / 12, 8 / 4])
    trained = generalised_cross_entropy(logits, rows["label"], rows["weight"], 0.4, balance)
    watched = weighted_cross_entropy(logits, rows["label"], rows["weight"], balance)
    assert float(model.training_step(rows, 0)) == pytest.approx(float(trained), rel=1e-5)
    assert float(model.validation_loss(rows)) == pytest.approx(float(watched), rel=1e-5)


def noisy(n: int = 300, flipped: float = 0.15, seed: int = 0) -> tuple[Batch, torch.Tensor]:
    """Two classes that overlap a little, with observed labels of which a share is wrong; and the true labels."""
    generator = torch.Generator().manual_seed(seed)
    truth = (torch.rand(n, generator=generator) < 0.4).long()
    feature = torch.randn(n, WIDTH, generator=generator)
    feature[:, :3] += 1.6 * truth[:, None]
    wrong = torch.rand(n, generator=generator) < flipped
    label = torch.where(wrong, 1 - truth, truth)
    return {"feature": feature, "label": label, "weight": torch.ones(n), "index": torch.arange(n)}, truth


def fitted(rows: Batch, model: type[LogisticProbe] = ConfidentLearning, **options: Any) -> LogisticProbe:
    built = model(**FROZEN, **options)
    halves = [{key: value[part] for key, value in rows.items()} for part in (slice(0, 99), slice(99, None))]
    built.fit([half for half in halves if len(half["index"])])  # type: ignore[arg-type]
    return built


class Standardised(LogisticRegression):
    """scikit-learn's regression behind a scaler, in a form cleanlab can hand weights to."""

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> "Standardised":
        self.scaler = StandardScaler().fit(X)
        super().fit(self.scaler.transform(X), y, sample_weight)
        return self

    def predict_proba(self, X: Any) -> Any:
        return super().predict_proba(self.scaler.transform(X))


def test_the_whole_procedure_is_cleanlabs() -> None:
    rows, _ = noisy()
    feature, label = rows["feature"].double().numpy(), rows["label"].numpy()
    one_process = {"n_jobs": 1}  # it forks one per class otherwise, which can hang in a process with threads
    theirs = CleanLearning(Standardised(max_iter=5000), seed=0, cv_n_folds=5, find_label_issues_kwargs=one_process).fit(
        feature, label
    )
    assert 20 < theirs.get_label_issues()["is_label_issue"].sum() < 80
    fresh, _ = noisy(seed=1)
    expected = theirs.predict_proba(fresh["feature"].double().numpy())[:, 1]
    assert fitted(rows).score(fresh)["probability"].tolist() == pytest.approx(expected.tolist(), abs=1e-4)


def test_it_calls_fewer_parts_wrongly_than_the_probe_alone_where_defects_were_missed() -> None:
    error = {ConfidentLearning: 0.0, LogisticProbe: 0.0}
    for seed in range(4):
        rows, truth = noisy(flipped=0.0, seed=seed)
        missed = torch.rand(len(truth), generator=torch.Generator().manual_seed(100 + seed)) < 0.2
        rows["label"] = torch.where(missed, 0, truth)
        fresh, truth = noisy(n=2000, flipped=0.0, seed=50 + seed)
        for model in error:
            called = (fitted(rows, model).score(fresh)["logit"] > 0).long()
            error[model] += float((called != truth).float().mean()) / 4
    assert error[ConfidentLearning] < error[LogisticProbe] - 0.01


def test_it_is_deterministic() -> None:
    rows, _ = noisy()
    scores = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        np.random.seed(seed)
        scores.append(fitted(rows).score(rows)["logit"])
    assert torch.equal(*scores)


def test_known_bad_rows_are_never_set_aside() -> None:
    rows, _ = noisy(flipped=0.0)
    # Rows that look as good as can be, told to be bad: found wrong as labels, kept as knowledge.
    told = torch.arange(12)
    rows["feature"][told, :3] = -2.0
    rows["label"][told] = 1
    flipped = fitted(rows).score(rows)["logit"][told]
    rows["label"][told], rows["weight"][told] = 0, -1
    known = fitted(rows).score(rows)["logit"][told]
    assert (known > flipped).all()


def test_some_rows_of_a_class_stay_where_every_label_of_it_looks_wrong() -> None:
    rows, _ = noisy(n=60, flipped=0.0)
    rows["feature"] = torch.randn(60, WIDTH, generator=torch.Generator().manual_seed(2))
    rows["label"] = (torch.arange(60) % 20 == 0).long()
    assert torch.isfinite(fitted(rows).score(rows)["logit"]).all()


@pytest.mark.parametrize(("defective", "counts"), [(1, "39 good and 1 defective"), (0, "40 good and 0 defective")])
def test_a_class_that_cannot_be_cross_validated_is_an_error(defective: int, counts: str) -> None:
    rows, _ = noisy(n=40)
    rows["label"] = (torch.arange(40) < defective).long()
    with pytest.raises(ValueError, match=counts):
        fitted(rows)


def test_fewer_rows_than_folds_make_fewer_folds() -> None:
    rows, _ = noisy(n=40)
    rows["label"] = (torch.arange(40) < 3).long()
    assert torch.equal(fitted(rows, folds=10).score(rows)["logit"], fitted(rows, folds=3).score(rows)["logit"])


def test_one_fold_is_an_error() -> None:
    with pytest.raises(ValueError, match="folds of confident learning are 1"):
        ConfidentLearning(**FROZEN, folds=1)
