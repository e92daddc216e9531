"""What the conformance suite does to a trial model: each probe says what came out wrong, or "" where nothing did."""

from __future__ import annotations

import torch
from torch import Tensor

from reshift.benchmark.model_trial import PATIENCE, Trial, asked_in_training, train


def same_build(trial: Trial) -> str:
    for seed in (0, 7):
        first, second = trial.new_model(seed).state_dict(), trial.new_model(seed).state_dict()
        for key, value in first.items():
            if not torch.equal(value, second[key]):
                return f"{key} differs under seed {seed}"
    return ""


def trains(trial: Trial) -> str:
    return "it is left in training mode" if trial.trained.training else ""


def trains_alike(trial: Trial) -> str:
    again = train(trial.new_model(0))[0].state_dict()
    for key, value in trial.trained.state_dict().items():
        if not torch.equal(value, again[key]):
            return f"{key} differs after training"
    return ""


def loss_falls(trial: Trial) -> str:
    model = trial.trained
    if model.trained_by != "gradient" or model.select_after > 0 or trial.after < trial.before:
        return ""
    _, before, after = train(trial.new_model(0), PATIENCE)
    return f"{before:.4g} before, {after:.4g} after" if after >= before else ""


def one_score_a_sample(trial: Trial) -> str:
    trial.scores(trial.trained)
    return ""


def repeats(trial: Trial) -> str:
    gap = _gap(trial.scores(trial.trained), trial.scores(trial.trained))
    return f"they differ by {gap:.3g}; something random is left in score()" if gap else ""


def learns_nothing(trial: Trial) -> str:
    model = trial.trained
    before = {key: value.clone() for key, value in model.state_dict().items()}
    trial.scores(model)
    changed = [key for key, value in model.state_dict().items() if not torch.equal(value, before[key])]
    return f"{changed[0]} has changed" if changed else ""


def alone(trial: Trial) -> str:
    batch, copies = trial.test_batch, trial.trained.score_copies
    together = trial.scores(trial.trained, batch)
    alone = trial.scores(trial.trained, {key: value[:copies] for key, value in batch.items()})
    gap = _gap({name: value[:1] for name, value in together.items()}, alone)
    return f"its score moves by {gap:.3g}" if gap >= 1e-3 else ""


def nameless(trial: Trial) -> str:
    batch = trial.test_batch
    renumbered = {**batch, "index": batch["index"].flip(0) + 100}
    gap = _gap(trial.scores(trial.trained, batch), trial.scores(trial.trained, renumbered))
    return f"scores move by {gap:.3g}" if gap else ""


def batches_alone(trial: Trial) -> str:
    asked = asked_in_training(trial.new_model(0))
    return f"it asks its data for {', '.join(dict.fromkeys(asked))}" if asked else ""


def round_trip(trial: Trial) -> str:
    other = trial.new_model(1)
    other.load_state_dict(trial.trained.state_dict())
    gap = _gap(trial.scores(trial.trained), trial.scores(other.eval()))
    return f"scores move by {gap:.3g}" if gap >= 1e-5 else ""


def missing_view(trial: Trial) -> str:
    if trial.trained.views == "one":
        return ""
    batch = trial.test_batch
    batch["present"] = batch["present"].clone()
    batch["present"][:, -1] = False
    key = "feature" if "feature" in batch else "image"
    noisy = {**batch, key: batch[key].clone()}
    noisy[key][:, -1] = 9.0
    gap = _gap(trial.scores(trial.trained, batch), trial.scores(trial.trained, noisy))
    return f"what stands in an absent view moves the score by {gap:.3g}" if gap >= 1e-4 else ""


def _gap(first: dict[str, Tensor], second: dict[str, Tensor]) -> float:
    """The largest difference between scores of the same names."""
    return max(float((value - second[name]).abs().max()) for name, value in first.items())
