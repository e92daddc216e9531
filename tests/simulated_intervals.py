"""Simulated studies of every 95 % interval that boards print, at 50 parts a class unless said otherwise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, partial

import numpy as np
from scipy import special, stats
from simulated_study import Study

from reshift.results.clustered_auroc import auroc, combine, components
from reshift.results.forecast_sequence import ForecastSequence
from reshift.results.gap import gap
from reshift.results.label_error import Audit, LabelError
from reshift.results.label_error_correction import WrongCalls, auroc_interval, rate_interval
from reshift.results.localisation import AUPRO, PIXEL_AUROC, LocalisationKey, localisation_metrics
from reshift.results.localisation_file import LocalisationFrame
from reshift.results.localisation_intervals import part_intervals
from reshift.results.metrics import ALL
from reshift.results.part_bootstrap import Draw, part_bootstrap
from reshift.results.partial_outcome import gain
from reshift.results.prognosis import MIN_SEQUENCES, sequence_interval
from reshift.results.resampled_interval import corrected_ratio_interval, corrected_t_interval
from reshift.results.scored_units import Floats, Labels, Units
from reshift.results.statistics import Interval, auroc_part_interval, normal_interval, t_interval
from reshift.results.survival import concordance

Generator = np.random.Generator
PARTS = 50


def holds(interval: Interval | None, truth: float) -> bool | None:
    return None if interval is None else interval[0] <= truth <= interval[1]


def units(part: Labels, label: Labels, score: Floats, prefix: str = "p") -> Units:
    names = np.array([f"{prefix}{p:04d}" for p in part])
    empty = np.full(len(part), "")
    return Units(np.array([f"{n}/{i}" for i, n in enumerate(names)]), names, empty, empty, label, label, score, score)


def parts(per_class: int, views: int) -> tuple[Labels, Labels]:
    """Part and label of every image; odd parts are defective."""
    part = np.repeat(np.arange(2 * per_class), views)
    return part, part % 2


def scores(rng: Generator, part: Labels, label: Labels, truth: float, shared: Floats | None = None) -> Floats:
    """Unit variance in each class, half of it the part's, so that two images of different parts have this AUROC."""
    of_part = rng.normal(size=part.max() + 1) if shared is None else shared
    noise = (of_part[part] + rng.normal(size=len(part))) / 2**0.5
    return noise + 2**0.5 * stats.norm.ppf(truth) * label


def one_test(rng: Generator, truth: float, views: int, per_class: int = PARTS) -> bool | None:
    part, label = parts(per_class, views)
    return holds(auroc_part_interval([units(part, label, scores(rng, part, label, truth))]), truth)


def unequal_views(rng: Generator, truth: float) -> bool | None:
    part = np.repeat(np.arange(2 * PARTS), rng.integers(1, 8, 2 * PARTS))
    return holds(auroc_part_interval([units(part, part % 2, scores(rng, part, part % 2, truth))]), truth)


def three_seeds(rng: Generator, truth: float) -> bool | None:
    part, label = parts(PARTS, 2)
    shared = rng.normal(size=2 * PARTS)
    tests = [units(part, label, scores(rng, part, label, truth, shared)) for _ in range(3)]
    return holds(auroc_part_interval(tests), truth)


def five_folds(rng: Generator, truth: float) -> bool | None:
    part, label = parts(PARTS // 2, 2)
    tests = [units(part, label, scores(rng, part, label, truth), prefix=f"fold{i}-") for i in range(5)]
    return holds(auroc_part_interval(tests), truth)


def one_model_against_another(rng: Generator, better: float, worse: float) -> bool | None:
    part, label = parts(PARTS, 3)
    shared = rng.normal(size=2 * PARTS)
    a, b = (components(units(part, label, scores(rng, part, label, truth, shared))) for truth in (better, worse))
    return holds(normal_interval(combine([(1.0, a), (-1.0, b)])), better - worse)


def gap_to_control(rng: Generator, on_control: float, shifted: float) -> bool | None:
    part, label = parts(PARTS, 3)
    shared = rng.normal(size=2 * PARTS)
    half = part // 2 % 2 == 0
    moved: dict[int, Units] = {}
    controls: tuple[dict[int, Units], ...] = ({}, {})
    for seed in range(3):
        moved[seed] = units(part, label, scores(rng, part, label, shifted, shared))
        trained = units(part, label, scores(rng, part, label, on_control, shared))
        for control, side in zip(controls, (half, ~half), strict=True):
            control[seed] = trained.where(side)
    found = gap(moved, controls)
    assert found is not None
    return holds(normal_interval(combine(found.terms)), on_control - shifted)


def over_seeds(rng: Generator, seeds: int) -> bool | None:
    """AUROCs as trainings scatter them, on the logit scale: a little skewed."""
    grid = np.linspace(-5, 5, 2001)
    truth = float(np.average(special.expit(2 + 0.3 * grid), weights=np.exp(-(grid**2) / 2)))
    return holds(t_interval(special.expit(2 + 0.3 * rng.normal(size=seeds)).tolist()), truth)


def over_overlapping_splits(rng: Generator, splits: int, tested: float) -> bool | None:
    """Gains as correlated between splits as Nadeau and Bengio take them to be: by the share that is tested."""
    values = tested**0.5 * rng.normal() + (1 - tested) ** 0.5 * rng.normal(size=splits)
    return holds(corrected_t_interval((1 + values).tolist(), tested), 1.0)


def share_of_the_oracle(rng: Generator, splits: int, tested: float) -> bool | None:
    common, own = rng.normal(size=2), rng.normal(size=(splits, 2))
    noise = 0.15 * (tested**0.5 * common + (1 - tested) ** 0.5 * own)
    noise[:, 1] = (noise[:, 0] + noise[:, 1]) / 2**0.5
    return holds(corrected_ratio_interval((0.5 + noise[:, 0]).tolist(), (1 + noise[:, 1]).tolist(), tested), 0.5)


def mean_custom_metric(rng: Generator, truth: float) -> bool | None:
    part, label = parts(PARTS, 3)
    test = units(part, label, scores(rng, part, label, truth))

    def mean_of(draw: Draw) -> float:
        drawn = draw("split", test)
        return auroc(drawn.label, drawn.score)

    return holds(part_bootstrap({"split": [test]}, mean_of, 1000), truth)


def gain_in_skipped_parts(rng: Generator, parts_tested: int) -> bool | None:
    names = np.array([f"p{i}" for i in range(parts_tested)])
    kind = rng.choice(3, parts_tested, p=(0.25, 0.1, 0.65))
    found = gain([(names, kind == 0, kind == 1)])
    return holds(None if found is None else (found.low, found.high), 0.15)


def mean_of_sequences(rng: Generator, draw: Callable[[Generator], Floats], truth: float, metric: str) -> bool | None:
    return holds(sequence_interval(metric, draw(rng).tolist()), truth)


def forecasts(rng: Generator, count: int) -> list[ForecastSequence]:
    """Lives of about 100 hours, foreseen at every 20 with an error that belongs to the sequence."""
    found = []
    for number, life in enumerate(rng.gamma(8, 12, count)):
        time = np.arange(0, life, 20.0)
        left = life - time
        predicted = left * np.exp(0.4 * rng.normal() + 0.3 * rng.normal(size=len(time)))
        blank = np.zeros(len(time))
        found.append(
            ForecastSequence(
                f"s{number}", False, 0.9, time, blank, blank, left, predicted, blank, blank, np.zeros(len(time), bool)
            )
        )
    return found


@cache
def true_concordance() -> float:
    pairs = [concordance(forecasts(np.random.default_rng([7, n]), 2)).value for n in range(20_000)]
    return float(np.mean([value for value in pairs if value is not None]))


def concordance_of_sequences(rng: Generator) -> bool | None:
    return holds(concordance(forecasts(rng, PARTS)).interval(MIN_SEQUENCES), true_concordance())


WRONG_LABELS = 0.1


def mislabelled(rng: Generator, truth: float) -> tuple[Labels, Floats]:
    """A hundred units of each label, a tenth of them of the other class, errors blind to the score."""
    label = np.arange(200) % 2
    wrong = rng.random(200) < WRONG_LABELS
    return label, rng.normal(size=200) + 2**0.5 * stats.norm.ppf(truth) * np.where(wrong, 1 - label, label)


def label_error(rng: Generator, audited: bool) -> LabelError:
    if not audited:
        return LabelError(WRONG_LABELS, WRONG_LABELS, "stated")
    good, bad = (Audit(int(rng.binomial(100, WRONG_LABELS)), 100) for _ in range(2))
    return LabelError(good, bad, "audit")


def corrected_auroc(rng: Generator, truth: float, audited: bool) -> bool | None:
    label, score = mislabelled(rng, truth)
    observed = auroc_part_interval([units(np.arange(200), label, score)])
    return None if observed is None else holds(auroc_interval(observed, label_error(rng, audited)), truth)


def corrected_escapes(rng: Generator, truth: float, audited: bool) -> bool | None:
    label, score = mislabelled(rng, 0.9)
    called = score > 2**0.5 * stats.norm.ppf(0.9) + stats.norm.ppf(truth)
    bad = label == 1
    calls = (WrongCalls(float((~called[bad]).sum()), int(bad.sum())), WrongCalls(float(called[~bad].sum()), 100))
    return holds(rate_interval([calls], label_error(rng, audited), of_defective=True), truth)


def frame(rng: Generator, per_class: int) -> LocalisationFrame:
    """Maps in 64 bins: every part has a level of its own, every defective one a region that stands out more or less."""
    edges = np.concatenate([[np.inf], np.linspace(4, -4, 63), [-np.inf]])

    def counts(pixels: Labels, level: Floats) -> Labels:
        above = stats.norm.sf(edges - level[:, None])
        return rng.multinomial(pixels, np.diff(above, axis=1))

    number = 2 * per_class
    level = 0.4 * rng.normal(size=number)
    defective = np.arange(1, number, 2)
    region = counts(rng.integers(10, 60, per_class), level[defective] + 1.5 + 0.8 * rng.normal(size=per_class))
    names = np.array([f"p{i:06d}" for i in range(number)])
    return LocalisationFrame(
        pixels=np.array(1024), left_out=np.array(0), parts=names, background=counts(np.full(number, 960), level),
        sample=names[defective], part=defective, defect=np.full(per_class, "pit"), hit=np.ones(per_class, bool),
        image=np.arange(per_class), regions=region,
    )  # fmt: skip


@cache
def true_localisation() -> dict[LocalisationKey, float]:
    return localisation_metrics(frame(np.random.default_rng(7), 20_000))


def localisation(rng: Generator, metric: str) -> bool | None:
    key = LocalisationKey(ALL, metric)
    return holds(part_intervals([frame(rng, PARTS)]).get(key), true_localisation()[key])


def gamma_errors(rng: Generator, count: int) -> Floats:
    return rng.gamma(2, 5, count)


def hits(rng: Generator, count: int, share: float) -> Floats:
    return (rng.random(count) < share).astype(np.float64)


def shares(rng: Generator, count: int, share: float) -> Floats:
    """Of twenty forecasts a sequence, how many hold; some sequences are harder than others."""
    return rng.binomial(20, rng.beta(2 * share, 2 * (1 - share), count)) / 20


INTERVALS: Sequence[Study] = (
    *(
        Study(f"AUROC {truth}, {views} image{'s'[: views > 1]} a part", partial(one_test, truth=truth, views=views))
        for truth in (0.6, 0.8, 0.95)
        for views in (1, 4)
    ),
    Study("AUROC 0.8, 1 to 7 images a part", partial(unequal_views, truth=0.8)),
    Study("mean AUROC 0.8 of 3 seeds on the same parts", partial(three_seeds, truth=0.8)),
    Study("mean AUROC 0.8 of 5 folds, 25 parts a class each", partial(five_folds, truth=0.8)),
    *(
        Study(
            f"AUROC {truth}, {count} parts a class",
            partial(one_test, truth=truth, views=1, per_class=count),
            required=False,
        )
        for truth, count in ((0.8, 10), (0.95, 10), (0.95, 20), (0.95, 30), (0.99, 50), (0.99, 200))
    ),
    Study("AUROC difference of equal models (0.8)", partial(one_model_against_another, better=0.8, worse=0.8)),
    Study("AUROC difference, 0.95 and 0.8", partial(one_model_against_another, better=0.95, worse=0.8)),
    Study("gap to the control, 0.9 and 0.75, 3 seeds", partial(gap_to_control, on_control=0.9, shifted=0.75)),
    *(Study(f"mean over {n} seeds", partial(over_seeds, seeds=n), short=1000) for n in (3, 5, 10)),
    Study("gain over 5 overlapping splits", partial(over_overlapping_splits, splits=5, tested=0.3), short=1000),
    Study("share of the oracle's gain, 5 splits", partial(share_of_the_oracle, splits=5, tested=0.3), short=1000),
    Study("custom metric, bootstrap (AUROC 0.8)", partial(mean_custom_metric, truth=0.8), short=20),
    Study("gain in skipped parts, 100 parts", partial(gain_in_skipped_parts, parts_tested=100), short=1000),
    *(
        Study(
            f"mean error of {count} sequences",
            partial(mean_of_sequences, draw=partial(gamma_errors, count=count), truth=10, metric="mae_hours"),
            required=count >= PARTS,
            short=1000,
        )
        for count in (10, 50)
    ),
    *(
        Study(
            f"alpha-lambda {share} of {count} sequences",
            partial(
                mean_of_sequences, draw=partial(hits, count=count, share=share), truth=share, metric="alpha_lambda"
            ),
            "bound",
            short=1000,
        )
        for count, share in ((10, 0.7), (10, 0.95), (50, 0.7), (50, 0.9), (50, 0.98))
    ),
    *(
        Study(
            f"coverage of forecasts {share} of {count} sequences",
            partial(
                mean_of_sequences,
                draw=partial(shares, count=count, share=share),
                truth=share,
                metric="interval_coverage",
            ),
            "bound",
            short=1000,
        )
        for count, share in ((10, 0.9), (50, 0.9))
    ),
    Study("concordance of 50 sequences", concordance_of_sequences, short=20),
    *(
        Study(f"{name} under wrong labels, {'audited' if audited else 'stated'} shares", partial(once, audited=audited))
        for name, once in (
            ("AUROC 0.85", partial(corrected_auroc, truth=0.85)),
            ("escapes 0.2", partial(corrected_escapes, truth=0.2)),
        )
        for audited in (False, True)
    ),
    Study("pixel AUROC", partial(localisation, metric=PIXEL_AUROC)),
    Study("AUPRO", partial(localisation, metric=AUPRO)),
)
