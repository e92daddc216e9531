"""The promises of the model contract, each with what is tried, how it shows that one is broken, and what mends it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from reshift.benchmark import model_probes
from reshift.benchmark.model_trial import PATIENCE, ROWS, STEPS, VIEWS, Trial


@dataclass(frozen=True)
class Promise:
    """One promise of the contract.

    Attributes:
        says: what is promised.
        tried: what was done to find out.
        mend: what an author does where it is broken.
        broken: what came out, or "" where it is kept; may raise what the model raises.
    """

    says: str
    tried: str
    mend: str
    broken: Callable[[Trial], str]


TRAINS = Promise(
    "trains on labelled batches without a NaN",
    f"{STEPS} steps, or one fit, on a batch of {ROWS} made-up pictures",
    "mend the line it names; models/base.py says what a batch holds; a NaN often means a smaller lr",
    model_probes.trains,
)

PROMISES = (
    Promise(
        "the same seed builds the same model, seed 0 too",
        "built twice under seed 0 and twice under seed 7; every tensor of the state compared",
        "draw from the global generators of torch, numpy or random, which are seeded; not from one of your own",
        model_probes.same_build,
    ),
    TRAINS,
    Promise(
        "the same seed trains the same model",
        "built under seed 0 and trained again; every tensor of the state compared",
        "draw from the global generators of torch, numpy or random, which are seeded; keep no state outside the model",
        model_probes.trains_alike,
    ),
    Promise(
        "a tiny fit lowers the validation loss",
        f"validation loss before and after {STEPS} steps on one batch, then {PATIENCE}",
        "see that validation_loss measures what training_step lowers, and that configure_optimizers names all of it",
        model_probes.loss_falls,
    ),
    Promise(
        "learns from its batches alone",
        "two steps in a Trainer, or one fit, with data that note what else is asked of them",
        "read pixels and labels from the batch; through a loader's data set the whole table would be in reach",
        model_probes.batches_alone,
    ),
    Promise(
        "scores are finite, one a sample",
        f"scored {ROWS} pictures it was not trained on, in batches that hold no label",
        "return a tensor of shape (B,), or a dict of them, from score(); use no label in it",
        model_probes.one_score_a_sample,
    ),
    Promise(
        "scoring learns nothing",
        "compared every tensor of the state before and after scoring",
        "change no buffer in score(); what test pictures look like must not reach the model",
        model_probes.learns_nothing,
    ),
    Promise(
        "scoring twice gives the same scores",
        "scored the same pictures twice",
        "take dropout, noise and sampling out of score(), or average over fixed draws",
        model_probes.repeats,
    ),
    Promise(
        "a score does not depend on its batch mates",
        f"scored the first picture with {ROWS - 1} others and alone",
        "is a batch norm in training mode, or does score() compare rows with each other?",
        model_probes.alone,
    ),
    Promise(
        "a score does not depend on a sample's number",
        "scored the same pictures under other values of batch['index']",
        "leave batch['index'] out of score(); the order of samples may give their labels away",
        model_probes.nameless,
    ),
    Promise(
        "scores survive saving and loading the state",
        "loaded the state of the trained model into one built under another seed",
        "keep what is learnt in parameters or registered buffers, not in plain attributes",
        model_probes.round_trip,
    ),
    Promise(
        "a missing view does not change the score",
        f"marked view {VIEWS} absent and changed its pixels",
        "mask absent views by batch['present'] before pooling over views",
        model_probes.missing_view,
    ),
)
