"""`reshift audit`: wrong labels come out on top, a person fills the file in, and injected noise is measured once."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import torch
import yaml

from reshift.benchmark.audit import LabelAudit, auditing_models, everything
from reshift.benchmark.audit_files import audit_table, write_audit
from reshift.benchmark.cli import main
from reshift.benchmark.preset import ModelSpec, Preset, load_preset
from reshift.benchmark.world import World
from reshift.datamodules.audit_sheet import audit_sheet
from reshift.datamodules.corrections import apply_corrections
from reshift.datamodules.dataset import DataError, Dataset
from reshift.datamodules.manifest import Manifest
from reshift.results.separation import read_separation

WRONG = {"p002_0.png", "p002_1.png", "p010_0.png", "p010_1.png", "p011_0.png", "p011_1.png"}
"""Views of a part with a bright spot that is called good, and of two good ones that are called defective."""

BRIGHTNESS = "size_brightness"

CONTRAST = '''
import torch
from reshift.models.base import InspectionModule

class Contrast(InspectionModule):
    """Distance of a picture's contrast to the mean of the good ones."""

    learns_from = "good"
    views = "{views}"

    def augmentation(self, size):
        return None

    def contrast(self, batch):
        image = batch["image"]
        return image.flatten(start_dim=1).std(dim=1)

    def fit(self, loader):
        self.centre = torch.cat([self.contrast(batch) for batch in loader]).median()

    def score(self, batch):
        return (self.contrast(batch) - self.centre).abs()
'''


@pytest.fixture
def mislabelled(parts_manifest: Path) -> Path:
    """The pictures of `parts_manifest`, defects all bright spots, with the labels of `WRONG` turned."""
    rows = pd.read_csv(parts_manifest, dtype=str, keep_default_na=False)
    for name in rows.loc[rows["defect"] == "line", "image"]:
        picture = np.random.default_rng(int(name[1:4])).normal(110, 12, (32, 32, 3))
        picture[8:18, 8:18] = 250
        cv2.imwrite(str(parts_manifest.parent / name), picture.clip(0, 255).astype(np.uint8))
    turned = rows["image"].isin(WRONG)
    rows.loc[turned, "label"] = rows.loc[turned, "label"].map({"0": "1", "1": "0"})
    rows.assign(defect="").to_csv(parts_manifest, index=False)
    return parts_manifest


def model_file(folder: Path, views: str = "one") -> str:
    file = folder / f"contrast_{views}.py"
    file.write_text(CONTRAST.replace("{views}", views), encoding="utf-8")
    return f"{file}:Contrast"


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def fill_in(path: Path, words: dict[str, str]) -> None:
    rows = read(path)
    for row in rows:
        if row["sample"] in words:
            row |= {"new_label": words[row["sample"]], "by": "anna", "date": "2026-01-02"}
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)


def test_from_suspicion_to_boards_before_and_after(
    mislabelled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    data = ["--manifest", str(mislabelled), "--size", "32"]
    command = ["audit", *data, "--models", model_file(tmp_path), BRIGHTNESS, "--folds", "4", "--sheet", "9"]
    assert main(command) == 0
    told = capsys.readouterr().out
    assert f"reshift run --manifest {mislabelled} --corrections audits/parts/audit.csv" in told
    assert "120 labels judged" in told and "not at random" in told

    file = Path("audits/parts/audit.csv")
    rows = read(file)
    assert {row["sample"] for row in rows[:6]} == WRONG and [row["rank"] for row in rows[:2]] == ["1", "2"]
    assert len(rows) == 120 and {row["new_label"] + row["by"] + row["date"] for row in rows} == {""}
    assert {row["suggested"] for row in rows[:6]} == {"good", "defective"}
    assert {"suspicion:Contrast", "spread:Contrast", f"rank:{BRIGHTNESS}"} <= rows[0].keys()
    # Nine pictures of 144 pixels, eight a row.
    sheet = cv2.imread("audits/parts/sheet.png")
    assert sheet is not None and sheet.shape[:2] == (2 * (144 + 24 + 30) + 10, 8 * 154 + 10)

    first = file.read_bytes()
    assert main(command) == 0 and file.read_bytes() == first
    words = {row["sample"]: {"good": "defective", "defective": "good"}[row["label"]] for row in rows[:6]}
    fill_in(file, words)
    filled = file.read_bytes()
    capsys.readouterr()
    assert main(command) == 2
    assert "somebody has filled in rows of it; give another folder with --out" in capsys.readouterr().err
    assert file.read_bytes() == filled

    plain = Manifest(mislabelled).read()
    corrected = apply_corrections(plain, file)
    assert (corrected.table["label"] != plain.table["label"]).sum() == 6
    assert "6 corrected by audit.csv" in corrected.notes[-1] and "left as they were" not in corrected.notes[-1]
    assert main([*command, "--corrections", str(file)]) == 0
    again = read(Path("audits/parts+corrected/audit.csv"))
    assert {row["sample"] for row in again[:6]} != WRONG
    boards = ["run", *data, "--corrections", str(file), "--models", BRIGHTNESS, "--protocols", "in_distribution"]
    capsys.readouterr()
    assert main([*boards, "--seeds", "0", "--dry-run"]) == 0
    assert "10 cells to compute" in capsys.readouterr().out  # five folds, before and after


def test_each_label_is_judged_without_its_part_and_in_sample_with_it(mislabelled: Path, tmp_path: Path) -> None:
    file = tmp_path / "memory.py"
    file.write_text(
        "import torch\n"
        "from reshift.models.base import InspectionModule\n"
        "class Memory(InspectionModule):\n"
        "    learns_from = 'good'\n"
        "    def augmentation(self, size): return None\n"
        "    def fit(self, loader): self.seen = torch.cat([b['image'].flatten(1) for b in loader])\n"
        "    def score(self, batch):\n"
        "        rows = batch['image'].flatten(1)\n"
        "        return torch.cdist(rows, self.seen, compute_mode='donot_use_mm_for_euclid_dist').amin(dim=1)\n",
        encoding="utf-8",
    )
    dataset = Manifest(mislabelled).read()
    preset = Preset("", [], [], models=[ModelSpec(f"{file}:Memory")], size=32, seeds=[0])
    (spec, cls) = auditing_models(World(preset))["Memory"]
    audit = LabelAudit(dataset, everything(dataset), spec, cls, preset, device=torch.device("cpu"), title="")
    good = dataset.table.loc[dataset.table["label"] == 0, "sample"]
    # A memory knows by heart what it learnt, a contaminant included: no suspicion at all.
    assert audit.judged("in-sample", folds=4, repeats=1).loc[good, "suspicion"].abs().max() == 0
    judged = audit.judged("parts", folds=4, repeats=1)
    assert set(judged.loc[good].nlargest(2, "suspicion").index) == {"p002_0.png", "p002_1.png"}


def test_a_part_hands_its_verdict_to_the_images_of_its_label(parts_manifest: Path) -> None:
    rows = pd.read_csv(parts_manifest, dtype=str, keep_default_na=False)
    rows.loc[rows["image"] == "p002_1.png", "label"] = "0"  # a view that does not show the part's defect
    rows.to_csv(parts_manifest, index=False)
    dataset = Manifest(parts_manifest).read()
    preset = Preset("", [], [], models=[ModelSpec("n_views")], size=32, seeds=[0])
    spec, cls = auditing_models(World(preset))["n_views"]
    audit = LabelAudit(dataset, everything(dataset), spec, cls, preset, device=torch.device("cpu"), title="")
    judged = audit.judged("parts", folds=4, repeats=1)
    assert len(judged) == 60
    images = audit.of_images(judged)
    assert images.index.tolist() == dataset.table["sample"].tolist()
    assert images.index[images["rank"].isna().to_numpy()].tolist() == ["p002_1.png"]
    assert images["rank"].astype(float)["p002_0.png"] == judged["rank"].astype(float)["p2"]
    assert audit_table(dataset, {"n_views": images})["sample"].iloc[-1] == "p002_1.png"


def test_models_are_combined_by_their_mean_rank(dataset_of_four: Dataset) -> None:
    def found(ranks: list[float], flags: list[bool] | None) -> pd.DataFrame:
        flagged = pd.array([pd.NA] * 4 if flags is None else flags, dtype="boolean")
        columns = {"suspicion": [0.5] * 4, "spread": [np.nan] * 4, "flagged": flagged, "rank": ranks}
        return pd.DataFrame(columns, index=dataset_of_four.table["sample"])

    table = audit_table(
        dataset_of_four, {"one": found([4, 1, 2, 3], [False, True, False, False]), "two": found([1, 3, 2, 4], None)}
    )
    assert table["sample"].tolist() == ["b.png", "c.png", "a.png", "d.png"]
    assert table["suggested"].tolist() == ["defective", "", "", ""]
    assert table["label"].tolist() == ["good", "good", "good", "defective"]


@pytest.fixture
def dataset_of_four(tmp_path: Path) -> Dataset:
    file = tmp_path / "four.csv"
    for name in "abcd":
        cv2.imwrite(str(tmp_path / f"{name}.png"), np.full((8, 8), ord(name), np.uint8))
    file.write_text("image,label\na.png,0\nb.png,0\nc.png,0\nd.png,1\n", encoding="utf-8")
    return Manifest(file).read()


def test_a_stranger_file_of_that_name_is_not_overwritten(dataset_of_four: Dataset, tmp_path: Path) -> None:
    (tmp_path / "audit.csv").write_text("mine\n1\n", encoding="utf-8")
    with pytest.raises(DataError, match="no column 'sample'"):
        write_audit(dataset_of_four, pd.DataFrame({"sample": ["a.png"]}), tmp_path, 1)
    assert (tmp_path / "audit.csv").read_text(encoding="utf-8") == "mine\n1\n"


def test_the_sheet_shows_pictures_in_the_order_asked_for(dataset_of_four: Dataset) -> None:
    sheet = np.array(audit_sheet(dataset_of_four, ["d.png", "a.png", "b.png"], columns=2, size=96))
    step = 96 + 10, 96 + 24 + 30
    shown = [sheet[10 + 48 + row * step[1], 10 + 48 + column * step[0], 0] for row, column in ((0, 0), (0, 1), (1, 0))]
    assert shown == [ord("d"), ord("a"), ord("b")]
    with pytest.raises(DataError, match=r"no picture 'e\.png'"):
        audit_sheet(dataset_of_four, ["e.png"])
    with pytest.raises(ValueError, match="0 samples"):
        audit_sheet(dataset_of_four, [])


def test_injected_noise_is_measured_and_what_is_measured_is_kept(
    parts_manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    preset = {
        "description": "noise",
        "datasets": [{"use": "manifest", "args": {"csv": str(parts_manifest)}}],
        "size": 32,
        "seeds": [0],
        "protocols": [
            {"use": "contamination", "name": "views", "args": {"rates": [0.0, 0.2], "unit": "view", "observed": 0.4}},
            {"use": "label_flips", "name": "flips", "args": {"rates": [0.1], "folds_used": 1}},
        ],
        "models": [
            {"use": model_file(tmp_path)},
            {"use": BRIGHTNESS, "protocols": ["flips"]},
            {"use": "n_views", "protocols": ["flips"]},
        ],
    }
    Path("noise.yaml").write_text(yaml.safe_dump(preset), encoding="utf-8")
    command = ["audit", "--preset", "noise.yaml", "--separation", "--folds", "3", "--repeats", "1"]
    assert main(command) == 0
    told = capsys.readouterr().out
    file = Path("audits/noise/separation.csv")
    lines = read_separation(file)
    everywhere = {(line.protocol, line.method, line.how) for line in lines}
    single = {(p, m, h) for p, m in [("views", "Contrast"), ("flips", "Contrast"), ("flips", BRIGHTNESS)] for h in HOW}
    # Rows of n_views are parts already, so that there are no other folds.
    assert everywhere == single | {("flips", "n_views", "in-sample"), ("flips", "n_views", "parts")}
    assert {line.component for line in lines} == {"", "ring", "hub", "shaft"}
    for line in lines:
        if line.component == "" and line.method == "n_views":
            assert line.separation == pytest.approx(0.5, abs=0.2)  # every part has two views
        if line.component == "" and line.method == "Contrast":
            assert line.separation is not None and line.separation > 0.8 and line.bad_injected > 0

    world = World(load_preset("noise.yaml"))
    (place,) = world.places()
    split = next(board for board in place.boards if board.name == "views").splits[1]
    overall = next(line for line in lines if line.protocol == "views" and not line.component)
    observed = split.observed_labels(place.dataset.table).loc[list(split.train)]
    assert (overall.candidates, overall.rate) == (int((observed == 0).sum()), 0.2)
    assert overall.bad_injected == len(set(split.train) & set(split.train_labels))

    kept = [line for line in file.read_text(encoding="utf-8").splitlines() if ",n_views," not in line]
    whole = file.read_bytes()
    file.write_text("\n".join(kept) + "\n", encoding="utf-8")
    assert main(command) == 0
    assert len(capsys.readouterr().out.splitlines()) == 3 < len(told.splitlines())
    assert file.read_bytes() == whole
    assert main([*command[:-1], "2"]) == 2
    assert "measurements of another preset or other folds" in capsys.readouterr().err


HOW = ("in-sample", "parts", "images")


def test_requests_that_cannot_be_met(
    parts_manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["audit", "--manifest", str(parts_manifest)]) == 2
    assert "name the models" in capsys.readouterr().err
    clean = ["audit", "--manifest", str(parts_manifest), "--models", BRIGHTNESS, "--protocols", "in_distribution"]
    assert main([*clean, "--separation"]) == 2
    assert "no split of this preset injects wrong labels" in capsys.readouterr().err
    assert not Path("audits").exists()


def test_models_that_differ_in_refinement_alone_are_one() -> None:
    quick = load_preset("quick")
    names = set(auditing_models(World(quick)))
    assert "differnet" in names and not names & {"differnet_one_shot", "differnet_iterative", "differnet_oracle"}
    assert {"gaussian", "logistic_probe", "multiview_simclr"} <= names
