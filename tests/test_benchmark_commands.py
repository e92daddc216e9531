"""The commands around a run: list, manifest, check-data, check-model, help."""

from __future__ import annotations

from pathlib import Path

import cv2
import pytest

from reshift.benchmark.cli import build_parser, main
from reshift.benchmark.preset import load_preset, preset_names


@pytest.mark.parametrize(
    ("what", "names"),
    [
        ("datasets", ["bsdata", "gearbox_remanufacturing", "ksdd2", "magnetic_tiles", "mvtec_ad", "real_iad"]),
        ("models", ["classifier", "contrastive_classifier", "differnet", "gaussian", "multiview_simclr", "n_views"]),
        ("protocols", ["acquisition", "contamination", "in_distribution", "label_flips", "unseen_component"]),
        ("presets", ["manifest", "quick", "tiles", "tiles-full"]),
    ],
)
def test_list_names_what_there_is(what: str, names: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", what]) == 0
    listed = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert set(names) <= set(listed)
    assert "InspectionModule" not in listed


@pytest.mark.parametrize("name", preset_names())
def test_presets_that_ship_can_be_read(name: str) -> None:
    preset = load_preset(name)
    assert preset.description


def test_a_folder_becomes_a_manifest_that_check_data_reads(
    parts_manifest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "stranger"
    for number, picture in enumerate(sorted(parts_manifest.parent.glob("*.png"))):
        kind = "good" if number % 3 else "scratch"
        (folder / kind).mkdir(parents=True, exist_ok=True)
        picture.rename(folder / kind / picture.name)
    assert main(["manifest", str(folder), "--pattern", "{defect}/{part}_{view}.png"]) == 0
    told = capsys.readouterr().out
    assert "scratch" in told
    assert main(["manifest", str(folder)]) == 2
    assert "--force" in capsys.readouterr().err
    assert main(["check-data", "--manifest", str(folder / "manifest.csv"), "--size", "32"]) == 0
    told = capsys.readouterr().out
    assert "in_distribution/fold=0" in told
    assert "skipped  unseen_component" in told


def test_check_model_passes_the_suites_own(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = '{"backbone": "test_efficientnet", "weights": "none"}'
    assert main(["check-model", "classifier", "--args", arguments]) == 0
    assert "FAIL" not in capsys.readouterr().out


def test_check_model_says_in_words_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "import torch\n"
        "from reshift.models.base import InspectionModule\n"
        "class Restless(InspectionModule):\n"
        "    def score(self, batch):\n"
        "        return torch.rand(len(batch['index'])) + batch['image'].mean()\n",
        encoding="utf-8",
    )
    assert main(["check-model", f"{file}:Restless"]) == 1
    told = capsys.readouterr().out
    assert "FAIL  scoring twice gives the same scores" in told
    assert "something random is left in score()" in told and "to do:    take dropout" in told


def test_an_author_cannot_write_the_steps_that_see_validation_and_test(tmp_path: Path) -> None:
    from reshift.models.base import InspectionModule

    with pytest.raises(TypeError, match="not an author's to write"):
        type("Peeking", (InspectionModule,), {"predict_step": lambda self, batch: None})


@pytest.mark.parametrize("command", list(build_parser()[1]))
def test_every_command_has_help_with_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    assert "Example: reshift" in " ".join(capsys.readouterr().out.split())


def test_data_says_where_a_set_comes_from(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "mvtec_ad"]) == 0
    told = capsys.readouterr().out
    assert "CC BY-NC-SA 4.0" in told and "verify" in told
    assert main(["data", "mvtec"]) == 2
    assert "'mvtec' is none of: bsdata, " in capsys.readouterr().err


def test_a_data_set_is_run_by_its_name(
    tiles_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = ["--dataset", "magnetic_tiles", "--dataset-args", "{group: session}", "--data-root", str(tiles_root)]
    assert main(["run", *arguments, "--models", "size_brightness", "--dry-run"]) == 0
    assert "in_distribution/fold=0" in capsys.readouterr().out


def test_check_data_draws_an_overview_and_looks_for_leaks_across_splits(
    parts_manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for new, old in (("p001_0", "p000_0"), ("p004_1", "p003_1")):  # one object under two names
        picture = cv2.imread(str(parts_manifest.parent / f"{old}.png"))
        picture[0, 0] += 1
        cv2.imwrite(str(parts_manifest.parent / f"{new}.png"), picture)
    arguments = ["check-data", "--manifest", str(parts_manifest), "--overview", "overview.png"]
    assert (
        main([*arguments, "--models", "gaussian", "--weights", "none", "--size", "32", "--features", "gaussian"]) == 0
    )
    told = capsys.readouterr().out
    assert "alike: p000_0.png and p001_0.png (parts p0 and p1)" in told
    assert "features of gaussian" in told and "can show: " in told and "near-duplicate pairs cross" in told
    assert cv2.imread("overview.png").shape[1] > 300
    assert main([*arguments, "--models", "gaussian", "--weights", "none", "--features", "nothing"]) == 2
    assert "--features nothing: this preset has gaussian" in capsys.readouterr().err


def test_corrections_put_boards_before_and_after_side_by_side(
    parts_manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.csv").write_text("sample,new_label,by,date\np000_0.png,defective,anna,2026-01-02\n", encoding="utf-8")
    arguments = ["--manifest", str(parts_manifest), "--corrections", "mine.csv", "--models", "size_brightness"]
    assert main(["run", *arguments, "--protocols", "in_distribution", "--seeds", "0"]) == 0
    board = Path("runs/parts/leaderboards/overall.csv").read_text(encoding="utf-8")
    assert "\nparts," in board and "\nparts+corrected," in board
    assert "anna" in Path("runs/parts/leaderboards/README.md").read_text(encoding="utf-8")


def test_the_tiles_treated_as_a_strangers_folder(
    tiles_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two commands from a folder of pictures to its list of cells; nobody tells ReShift what the folders mean."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").symlink_to(tiles_root, target_is_directory=True)
    assert main(["manifest", "photos", "--out", "manifest.csv"]) == 0
    told = capsys.readouterr().out
    assert "1344 images" in told and "blowhole" in told.lower()
    arguments = ["--manifest", "manifest.csv", "--data-root", "photos", "--models", "size_brightness", "--dry-run"]
    assert main(["run", *arguments]) == 0
    told = capsys.readouterr().out
    assert "in_distribution/fold=0" in told and "unseen_defect/defect=" in told and "label-flips-20" in told
    assert "skipped  unseen_component on manifest" in told and "skipped  chronological on manifest" in told
