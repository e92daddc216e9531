"""The presets about wrong training labels, end to end on tiny parts, and the page's figures from their records."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from small_presets import cut, run

from reshift.benchmark.cli import main
from reshift.benchmark.preset import DatasetSpec, Preset, load_preset
from reshift.results.contamination_auroc import contamination_aurocs
from reshift.results.noise_ablation import ablation_table
from reshift.results.noise_page import DRAWN, ORACLES, YARDSTICK
from reshift.results.refinement_gain import method_gains, split_gains
from reshift.results.separation import read_separation
from reshift.results.store import RunStore

RATES = ("00", "20", "50")


def tiny(name: str, manifest: Path, **changes: Any) -> Preset:
    """The preset on this manifest in place of its pictures, with one division of the parts."""
    preset = cut(load_preset(name), **changes)
    few = {"repeats": 1, "max_good": 30, **({"verified": 4} if name == "noise-ablation" else {})}
    protocols = [replace(spec, args={**spec.args, **few}) for spec in preset.protocols if spec.name[-2:] in RATES]
    return replace(preset, datasets=[DatasetSpec("manifest", {"csv": str(manifest)})], protocols=protocols)


def names(preset: Preset) -> set[str]:
    return {spec.name or spec.use for spec in preset.models}


@pytest.fixture
def manifest(write_manifest: Any, tmp_path: Path) -> Path:
    return Path(write_manifest(tmp_path / "photos", 90))


def test_noise_gives_every_arm_at_every_rate_and_the_oracles_gain(manifest: Path, tmp_path: Path) -> None:
    preset = tiny("noise", manifest, steps=4)
    boards = run(preset, manifest.parent, tmp_path)
    store = RunStore(tmp_path / "runs/cut")
    aurocs = contamination_aurocs(store)
    clean = {*names(preset)} - {*ORACLES}
    for rate in (0.0, 0.2, 0.5):
        assert set(aurocs.loc[aurocs["rate"] == rate, "model"]) == (names(preset) if rate else clean)
    assert {*ORACLES, *DRAWN, YARDSTICK.baseline} <= names(preset)
    gains = method_gains(split_gains(aurocs, YARDSTICK.baseline), YARDSTICK)
    assert {g.model for g in gains if g.rate is None} == names(preset) - {YARDSTICK.baseline}
    assert {f"contamination-{rate}.csv" for rate in RATES} <= set(boards)
    # Every search says how well it found the injected noise, and what it did with it.
    found = [store.read(c.id)[0].refinement for c in store.read_plan().cells if c.model == "differnet_found_signed"]
    assert len(found) == len(RATES)
    for refinement in found:
        assert refinement is not None and refinement["cross_fit"]["budget"] == 0.2
        assert refinement["weights"] and all(-1 <= weight < 1 for weight in refinement["weights"].values())
    removed = {row["model"] for row in boards["removals.csv"]}
    assert {"differnet_oracle", "differnet_found_signed", "boundary_flow_found"} <= removed


def test_the_ablation_has_a_row_for_every_arm(manifest: Path, tmp_path: Path) -> None:
    preset = tiny("noise-ablation", manifest)
    run(preset, manifest.parent, tmp_path)
    _, _, *rows = ablation_table(RunStore(tmp_path / "runs/cut"), YARDSTICK)
    cells = {line.split("|")[1].strip(): [text.strip() for text in line.split("|")[2:-1]] for line in rows}
    assert set(cells) == names(preset)
    searching = {spec.name or spec.use for spec in preset.models if spec.cross_fit}
    assert {name for name, row in cells.items() if row[3]} == searching and len(searching) > 10
    assert cells["used_remove"][5] == "0.200" and cells["ranked_by_itself"][3] != cells["used_remove"][3]


@pytest.mark.parametrize("name", ["noise-views", "noise-gearbox"])
def test_the_other_boards_plan_the_same_arms(
    name: str, manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    preset = load_preset(name)
    assert {*ORACLES, YARDSTICK.baseline, "boundary_flow_found"} <= names(preset) <= names(load_preset("noise"))
    monkeypatch.chdir(tmp_path)
    assert main(["run", "--preset", name, "--manifest", str(manifest), "--weights", "none", "--dry-run"]) == 0
    planned = capsys.readouterr().out
    assert all(f"  {model}  seed 0  to compute" in planned for model in names(preset))


def test_the_page_can_measure_how_well_labels_are_found(
    manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    preset = tiny("noise", manifest)
    chosen = replace(preset, models=[m for m in preset.models if m.use in ("gaussian", "padim")])
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_text(yaml.safe_dump(json.loads(json.dumps(asdict(chosen)))), encoding="utf-8")
    audit = ["audit", "--separation", "--preset", "mine.yaml", "--folds", "2", "--repeats", "1", "--out", "measured"]
    assert main(audit) == 0
    lines = [line for line in read_separation(Path("measured/separation.csv")) if not line.component]
    assert {(line.method, line.how) for line in lines} == {
        (method, how) for method in ("gaussian", "padim") for how in ("in-sample", "parts", "images")
    }
    assert {line.rate for line in lines} == {0.2, 0.5}
