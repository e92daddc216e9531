"""Gains under contamination, their shares of the oracle's and the page that shows them, against loops in numpy."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import optimize, stats
from sklearn.metrics import roc_auc_score

from reshift.results.contamination_auroc import contamination_aurocs, rate_and_repeat, unit_of
from reshift.results.noise_ablation import ablation_table
from reshift.results.noise_page import (
    ABLATION,
    RUNS,
    YARDSTICK,
    main,
    page_blocks,
    page_plots,
    read_aurocs,
    read_separation,
)
from reshift.results.noise_plot import model_lines
from reshift.results.noise_tables import lead_table
from reshift.results.plan import Plan, PlannedCell, identity_hash
from reshift.results.record import Record
from reshift.results.refinement_gain import MethodGain, Yardstick, method_gains, split_gains
from reshift.results.resampled_interval import corrected_ratio_interval, corrected_t_interval
from reshift.results.separation import Separation, write_separation
from reshift.results.store import RunStore

ROOT = Path(__file__).parents[1]
PUBLISHED = ROOT / "results" / "leaderboards"
RATES = (0.0, 0.1, 0.2, 0.3, 0.4)
TESTED = 0.3
# How much AUROC a model loses by rate; the oracles lose none, or gain.
SLOPES = {
    "differnet": -0.3,
    "differnet_oracle": 0.0,
    "differnet_oracle_negative": 0.1,
    "differnet_soft": -0.1,
    "padim": -0.35,
}
SINGLE_SEED = ("padim",)


def made_up(datasets: tuple[str, ...] = ("tiles", "gearbox")) -> pd.DataFrame:
    """AUROCs of five splits and three seeds, one of a closed form; every split has a level of its own."""
    generator = np.random.default_rng(5)
    rows = []
    for dataset in datasets:
        for unit in ("single views", "whole parts"):
            for repeat in range(5):
                level = 0.8 + generator.normal(0, 0.05)
                for rate in RATES:
                    for model, slope in SLOPES.items():
                        for seed in range(1 if model in SINGLE_SEED else 3):
                            value = level + slope * rate + generator.normal(0, 0.01)
                            rows.append((dataset, unit, rate, f"repeat={repeat}", model, seed, value, TESTED))
    columns = ["dataset", "unit", "rate", "repeat", "model", "seed", "auroc", "tested_share"]
    return pd.DataFrame(rows, columns=columns)


def separations() -> list[Separation]:
    """Two methods scored three ways; a component of its own, and label flips, which are no contamination."""
    return [
        Separation(
            dataset="tiles",
            protocol=f"{arm}-{100 * rate:.0f}",
            split=f"rate={rate:g}/repeat={repeat}",
            rate=rate,
            method=method,
            how=how,
            component=component,
            candidates=100,
            bad_injected=int(100 * rate),
            separation=None if rate == 0 else 0.0 if component or arm == "label-flips" else value,
            precision_at_injected=None,
            precision_at_half=None,
        )
        for arm in ("contamination", "views", "label-flips")
        for rate in RATES
        for repeat in range(2)
        for method in ("differnet", "padim")
        for how, value in (("images", 0.6 + 0.1 * repeat), ("in-sample", 0.5), ("parts", 0.8))
        for component in ("", "gear")
    ]


def gains_of(aurocs: pd.DataFrame) -> dict[tuple[str, str, float | None, str], MethodGain]:
    found = method_gains(split_gains(aurocs, "differnet"), Yardstick())
    return {(g.dataset, g.unit, g.rate, g.model): g for g in found}


def by_loop(aurocs: pd.DataFrame, dataset: str, unit: str, rate: float, model: str) -> list[float]:
    """The gain of each split: mean over the model's seeds of its AUROC less the baseline's on the same seed."""
    board = aurocs[(aurocs["dataset"] == dataset) & (aurocs["unit"] == unit) & (aurocs["rate"] == rate)]
    keys = zip(board["repeat"], board["model"], board["seed"], strict=True)
    values: dict[tuple[str, str, int], float] = dict(zip(keys, board["auroc"].tolist(), strict=True))
    gains = []
    for repeat in range(5):
        differences = []
        for seed in range(3):
            of_model = values.get((f"repeat={repeat}", model, seed), values[f"repeat={repeat}", model, 0])
            differences.append(of_model - values[f"repeat={repeat}", "differnet", seed])
        gains.append(float(np.mean(differences)))
    return gains


@pytest.mark.parametrize("model", ["differnet_soft", "padim", "differnet_oracle"])
@pytest.mark.parametrize("rate", [0.0, 0.2, None])
def test_a_gain_is_the_mean_of_paired_differences_with_the_corrected_interval(model: str, rate: float | None) -> None:
    aurocs = made_up()
    gain = gains_of(aurocs)["gearbox", "whole parts", rate, model]
    rates = [0.1, 0.2, 0.3] if rate is None else [rate]
    by_split = np.mean([by_loop(aurocs, "gearbox", "whole parts", r, model) for r in rates], axis=0)
    mean = sum(by_split) / 5
    variance = sum((x - mean) ** 2 for x in by_split) / 4
    half = stats.t.ppf(0.975, 4) * (variance * (1 / 5 + 0.3 / 0.7)) ** 0.5
    assert gain.splits == 5 and gain.gain == pytest.approx(mean)
    assert gain.interval == pytest.approx((mean - half, mean + half))


def test_a_lead_is_the_paired_gain_over_another_row() -> None:
    aurocs = made_up(("tiles",))
    head, _, *rows = lead_table(aurocs, [("differnet_soft", "padim"), ("missing", "padim")])
    assert "lead at 10-30 %" in head and len(rows) == 2, "a row a board, none for a model that is not there"

    def gains(model: str, rate: float) -> list[float]:
        return by_loop(aurocs, "tiles", "whole parts", rate, model)

    lead = np.mean([np.subtract(gains("differnet_soft", r), gains("padim", r)).mean() for r in (0.1, 0.2, 0.3)])
    clean = np.subtract(gains("differnet_soft", 0.0), gains("padim", 0.0)).mean()
    whole = next(row for row in rows if "whole parts" in row).split("|")
    assert whole[5].strip().startswith(f"{lead:+.3f} (") and whole[6].strip().startswith(f"{clean:+.3f} (")


def test_without_overlap_the_interval_is_students_and_with_it_wider() -> None:
    values = [0.01, 0.04, 0.02, 0.05, 0.03]
    student = stats.t.interval(0.95, 4, np.mean(values), stats.sem(values))
    assert corrected_t_interval(values, 0.0) == pytest.approx(student)
    low, high = corrected_t_interval(values, 0.3) or (0.0, 0.0)
    # 1/5 + 3/7 is 22/7 times 1/5.
    assert (high - low) / (student[1] - student[0]) == pytest.approx((22 / 7) ** 0.5)
    assert corrected_t_interval([0.1], 0.3) is None
    with pytest.raises(ValueError, match="tested_share=1"):
        corrected_t_interval(values, 1)


def test_the_corrected_interval_covers_where_test_sets_overlap_and_students_does_not() -> None:
    generator = np.random.default_rng(2)
    held = {0.0: 0, 0.3: 0}
    for _ in range(1500):
        pool = generator.normal(0, 1, 60)
        means = [float(generator.permutation(pool)[:18].mean()) for _ in range(5)]
        for share in held:
            low, high = corrected_t_interval(means, share) or (0.0, 0.0)
            held[share] += low <= 0 <= high
    assert 0.93 < held[0.3] / 1500 < 0.98 and held[0.0] / 1500 < 0.87


@pytest.mark.parametrize("rate", [0.1, 0.4, None])
def test_a_share_is_of_the_better_oracle_and_its_interval_holds_the_ratios_that_cannot_be_told_from_it(
    rate: float | None,
) -> None:
    aurocs = made_up()
    gains = gains_of(aurocs)
    rates = [0.1, 0.2, 0.3] if rate is None else [rate]
    of = {
        model: np.mean([by_loop(aurocs, "tiles", "whole parts", r, model) for r in rates], axis=0)
        for model in ("differnet_soft", "differnet_oracle", "differnet_oracle_negative")
    }
    better = of["differnet_oracle_negative"]
    assert better.mean() > of["differnet_oracle"].mean()
    gain = gains["tiles", "whole parts", rate, "differnet_soft"]
    assert gain.share == pytest.approx(of["differnet_soft"].mean() / better.mean())
    assert gain.share_interval is not None

    def surprise(ratio: float) -> float:
        rest = of["differnet_soft"] - ratio * better
        error = float(rest.var(ddof=1) * (1 / 5 + 0.3 / 0.7)) ** 0.5
        beyond: float = abs(float(rest.mean())) / error - stats.t.ppf(0.975, 4)
        return beyond

    ends = (optimize.brentq(surprise, -9, gain.share), optimize.brentq(surprise, gain.share, 9))
    assert gain.share_interval == pytest.approx(ends)
    oracle = gains["tiles", "whole parts", rate, "differnet_oracle_negative"]
    assert oracle.share == pytest.approx(1) and oracle.share_interval == pytest.approx((1, 1))


def test_no_share_where_the_oracle_gains_nothing_for_certain() -> None:
    gains = gains_of(made_up())
    at_zero = gains["tiles", "whole parts", 0.0, "differnet_oracle"]
    assert at_zero.interval is not None and at_zero.interval[0] <= 0
    assert gains["tiles", "whole parts", 0.0, "differnet_soft"].share is None
    assert corrected_ratio_interval([1.0, 1.1, 0.9], [0.1, -0.2, 0.1], 0.3) is None
    assert corrected_ratio_interval([1.0, 1.1, 0.9], [-1.0, -1.1, -0.9], 0.3) is None
    without = made_up()
    without = without[~without["model"].str.startswith("differnet_oracle")]
    assert all(g.share is None for g in gains_of(without).values())


def test_a_model_that_misses_a_pooled_rate_is_not_pooled() -> None:
    aurocs = made_up()
    cut = aurocs[(aurocs["model"] != "padim") | (aurocs["rate"] != 0.2)]
    gains = gains_of(cut)
    assert ("tiles", "whole parts", 0.3, "padim") in gains and ("tiles", "whole parts", None, "padim") not in gains
    no_oracle = gains_of(aurocs[~aurocs["model"].str.startswith("differnet_oracle") | (aurocs["rate"] != 0.2)])
    assert no_oracle["tiles", "whole parts", None, "padim"].share is None
    assert no_oracle["tiles", "whole parts", 0.3, "padim"].share is not None


def test_names_tell_what_was_injected_and_how_much() -> None:
    assert unit_of("contamination-10") == "whole parts" and unit_of("views-00") == "single views"
    assert unit_of("label-flips-20") is None and unit_of("in_distribution") is None
    assert rate_and_repeat("rate=0.1/repeat=4") == (0.1, "repeat=4")
    with pytest.raises(ValueError, match="fold=0"):
        rate_and_repeat("fold=0")


def cell(model: str, protocol: str, split: str, seed: int) -> PlannedCell:
    identity = {"model": model, "protocol": protocol, "split": split, "seed": seed}
    return PlannedCell(identity_hash(identity), identity, "toy", model, protocol, split, seed)


def scores() -> pd.DataFrame:
    """48 parts of two views; 24 validate and 24 are tested."""
    generator = np.random.default_rng(3)
    rows = []
    for p in range(96):
        bad = int(p % 4 == 0)
        for view in ("a", "b"):
            role = "test" if p % 2 == 0 else "val"
            score = generator.normal(0, 1) + bad
            rows.append((f"p{p}/{view}", f"p{p}", view, role, bad, bad, "", "", score))
    columns = ["sample", "part", "view", "role", "label", "observed_label", "component", "defect", "score:nll"]
    return pd.DataFrame(rows, columns=columns).assign(transmission="", acquisition="")


def test_aurocs_come_from_the_records_by_part_and_unfinished_models_are_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)
    cells = [cell("differnet", "contamination-10", "rate=0.1/repeat=0", s) for s in (0, 1)]
    unfinished = [cell("padim", "contamination-10", f"rate=0.1/repeat={r}", 0) for r in (0, 1)]
    other = cell("differnet", "in_distribution", "fold=0", 0)
    store = RunStore(tmp_path / "run")
    store.write_plan(Plan("run", "hash", (*cells, *unfinished, other)))
    counts = {"train_images": 60, "val_images": 20, "test_images": 60, "calibration_images": 0, "dropped": 60}
    for c in (*cells, unfinished[0]):
        store.write(Record.of(c, "image", counts, {}), scores())
    found = contamination_aurocs(store)
    assert list(found["model"]) == ["differnet", "differnet"] and list(found["seed"]) == [0, 1]
    assert set(found["tested_share"]) == {60 / 200}
    assert set(found["unit"]) == {"whole parts"} and set(found["rate"]) == {0.1}
    tested = scores().query("role == 'test'").groupby("part").agg(label=("label", "max"), score=("score:nll", "max"))
    # All parts have two views, so ranking among maxima keeps the order of maxima, but for steps between references.
    assert found["auroc"].iloc[0] == pytest.approx(roc_auc_score(tested["label"], tested["score"]), abs=1e-9)


def test_the_committed_board_of_the_tiles_gives_the_means_its_csv_has() -> None:
    found = contamination_aurocs(RunStore(PUBLISHED / "tiles")).query("rate == 0.3")
    board = pd.read_csv(PUBLISHED / "tiles" / "leaderboards" / "contamination-30.csv")
    kept = board.query("split == 'mean' and group == 'all' and level == 'part' and metric == 'auroc'")
    expected = kept.set_index("model")["mean"].to_dict()
    means = found.groupby(["model", "repeat"])["auroc"].mean().groupby("model").mean().to_dict()
    assert "differnet_oracle" in means
    assert means == pytest.approx({model: expected[model] for model in means}, abs=1e-6)


def test_the_ablation_says_how_searches_did_and_what_they_gained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)
    store = RunStore(tmp_path / "run")
    splits = [f"rate=0.2/repeat={r}" for r in range(3)]
    cells = [cell(m, "contamination-20", s, 0) for m in ("differnet", "differnet_oracle", "found") for s in splits]
    store.write_plan(Plan("run", "hash", tuple(cells)))
    counts = {"train_images": 60, "val_images": 20, "test_images": 60, "calibration_images": 0, "dropped": 60}
    expected: dict[str, list[float]] = {"differnet": [], "differnet_oracle": [], "found": []}
    for number, c in enumerate(cells):
        frame, repeat = scores(), number % 3
        # Better models score defective parts higher, each split by a little of its own.
        lift = {"differnet": 0.0, "differnet_oracle": 1.0, "found": 0.4}[c.model] * (1 + 0.1 * repeat)
        frame["score:nll"] += lift * frame["label"]
        searched = {
            "quality": {"good_removed": 1, "bad_removed": 3, **({"precision": 0.75} if repeat else {})},
            "cross_fit": {"budget": 0.2 if repeat else 0.0, "suspicion": {"separation": 0.8 + 0.05 * repeat}},
        }
        store.write(Record.of(c, "image", counts, {}, refinement=searched if c.model == "found" else None), frame)
        tested = frame.query("role == 'test'").groupby("part").agg(label=("label", "max"), score=("score:nll", "max"))
        expected[c.model].append(float(roc_auc_score(tested["label"], tested["score"])))
    head, _, *rows = ablation_table(store, Yardstick())
    by_model = {line.split("|")[1].strip(): [text.strip() for text in line.split("|")[2:-1]] for line in rows}
    assert list(by_model) == ["differnet_oracle", "found", "differnet"] and "separation" in head
    gain = np.mean(expected["found"]) - np.mean(expected["differnet"])
    share = gain / (np.mean(expected["differnet_oracle"]) - np.mean(expected["differnet"]))
    assert by_model["found"][0] == f"{np.mean(expected['found']):.3f}"
    assert by_model["found"][1].startswith(f"{gain:+.3f} (")
    assert by_model["found"][2] == "" or by_model["found"][2].startswith(f"{100 * share:.0f} %")
    assert by_model["found"][3:] == ["0.850", "0.750", "0.133"]
    assert by_model["differnet"][1:] == [""] * 5 and by_model["differnet_oracle"][3:] == [""] * 3
    with pytest.raises(ValueError, match="0 contamination boards"):
        empty = RunStore(tmp_path / "empty")
        empty.write_plan(Plan("empty", "hash", ()))
        ablation_table(empty, Yardstick())


def published(folder: Path, lines: list[Separation]) -> Path:
    """Where boards would lie, with these measurements beside it."""
    (folder / "separation" / "noise").mkdir(parents=True)
    write_separation(folder / "separation" / "noise" / "separation.csv", lines)
    return folder / "leaderboards"


def test_separation_keeps_all_components_together_and_rates_with_noise(tmp_path: Path) -> None:
    found = read_separation(published(tmp_path, separations()))
    assert list(dict.fromkeys(found["how"])) == [
        "own fit (in-sample)", "cross-fitted over parts", "cross-fitted over images",
    ]  # fmt: skip
    assert found["rate"].min() == 0.1 and found["separation"].min() == 0.5 and len(found) == 2 * 4 * 2 * 2 * 3
    with pytest.raises(ValueError, match="none of noise, noise-views, noise-gearbox has a"):
        read_separation(tmp_path / "elsewhere" / "leaderboards")
    with pytest.raises(ValueError, match="how='guess'"):
        read_separation(published(tmp_path / "odd", [replace(line, how="guess") for line in separations()]))


def test_blocks_say_what_the_figures_are_and_leave_blank_what_is_not_known(tmp_path: Path) -> None:
    aurocs = made_up()
    separation = read_separation(published(tmp_path, separations()))
    blocks = page_blocks(aurocs, separation, ["the ablation"])
    assert blocks["noise-ablation"] == ["the ablation"]
    gain = gains_of(aurocs)["tiles", "whole parts", None, "differnet_soft"]
    assert gain.interval is not None and gain.share is not None
    row = next(line for line in blocks["noise-aim"] if "| tiles" in line and "differnet_soft" in line)
    assert f"{gain.gain:+.3f} ({gain.interval[0]:+.3f} to {gain.interval[1]:+.3f})" in row
    assert f"{100 * gain.share:.0f} % (" in row and "whole parts" in row
    first, *_ = (line for line in blocks["noise-aim"] if "differnet_oracle_negative" in line)
    assert "| 100 % " in first and first.index("tiles") < first.index("whole parts"), "data sets stay in their order"
    headings = [line for line in blocks["noise-auroc"] if line.endswith(":")]
    assert headings == [
        "tiles, whole parts:",
        "tiles, single views:",
        "gearbox, whole parts:",
        "gearbox, single views:",
    ]
    shares = [line.split("|") for line in blocks["noise-share"] if line.startswith("| model")]
    assert all(line[2].strip() == "10 %" for line in shares), "no share at 0 %, where the oracles gain nothing"
    assert any("padim, cross-fitted over images" in line and "0.650" in line for line in blocks["noise-separation"])
    certain = aurocs[aurocs["rate"] == 0]
    assert "nothing to have a share of" in page_blocks(certain, separation, [])["noise-share"][0]


def test_the_same_figures_give_the_same_bytes_in_any_order_of_rows(tmp_path: Path) -> None:
    aurocs, separation = made_up(("tiles",)), read_separation(published(tmp_path, separations()))
    drawn = page_plots(aurocs, separation)
    assert page_plots(aurocs.sample(frac=1, random_state=1), separation) == drawn
    assert all(content.startswith(b"<?xml") for content in drawn.values())


def test_more_lines_than_can_be_told_apart_are_refused() -> None:
    with pytest.raises(ValueError, match="7 lines in one panel"):
        model_lines("a", {"b": "b", "c": "c"}, {str(n): "x" for n in range(7)})


def test_the_committed_page_is_what_the_committed_records_give() -> None:
    if not all((PUBLISHED / run).exists() for run in (*RUNS, ABLATION)):
        pytest.skip("the boards on label noise are not committed yet")
    page = (ROOT / "docs" / "noise.md").read_text(encoding="utf-8")
    ablation = ablation_table(RunStore(PUBLISHED / ABLATION), YARDSTICK)
    for name, lines in page_blocks(read_aurocs(PUBLISHED), read_separation(PUBLISHED), ablation).items():
        assert f"<!-- {name} -->\n" + "\n".join(lines) + f"\n<!-- end {name} -->" in page, name


def test_one_command_renews_the_page_and_its_plots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, page = published(tmp_path / "boards", separations()), tmp_path / "noise.md"
    page.write_text((ROOT / "docs" / "noise.md").read_text(encoding="utf-8"), encoding="utf-8")
    aurocs = made_up()
    monkeypatch.setattr("reshift.results.noise_page.read_aurocs", lambda _: aurocs)
    monkeypatch.setattr("reshift.results.noise_page.ablation_table", lambda *_: ["| the ablation |"])
    main([str(folder), str(page)])
    text = page.read_text(encoding="utf-8")
    for name, lines in page_blocks(aurocs, read_separation(folder), ["| the ablation |"]).items():
        assert f"<!-- {name} -->\n" + "\n".join(lines) + f"\n<!-- end {name} -->" in text
    assert {p.name for p in tmp_path.glob("*.svg")} == {"noise-auroc.svg", "noise-separation.svg"}
    assert all(f"({p.name})" in text for p in tmp_path.glob("*.svg"))
