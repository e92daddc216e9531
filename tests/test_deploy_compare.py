"""Refitting with further labelled data: the same folds before and after, judged on the same parts."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from conftest import write_parts
from deployed import finished, refit_arguments

from reshift.benchmark.deploy.commands import refit
from reshift.benchmark.deploy.compare import compare
from reshift.benchmark.deploy.evidence import find_evidence
from reshift.benchmark.deploy.model_folder import read_model
from reshift.benchmark.deploy.more_data import join, paired_splits
from reshift.benchmark.preset import load_preset
from reshift.datamodules.dataset import DataError, Dataset
from reshift.datamodules.manifest import Manifest
from reshift.results.clustered_auroc import auroc
from reshift.results.store import RunStore
from reshift.splits.in_distribution import InDistribution
from reshift.splits.verify import verify

__all__ = ["finished"]

CPU = torch.device("cpu")
DEALT = {"folds": 3, "folds_used": None, "val": 0.4}


def further(folder: Path, name: str = "batch2") -> Path:
    """A manifest of 30 parts that differ from the run's: brighter, so that a model without them rejects them."""
    csv = write_parts(folder / name, 30)
    for picture in (folder / name).glob("*.png"):
        pixels = cv2.imread(str(picture))
        assert pixels is not None
        cv2.imwrite(str(picture), np.clip(pixels.astype(int) + 40, 0, 255).astype(np.uint8))
    return renamed(csv)


def renamed(csv: Path) -> Path:
    """The manifest itself, its parts called n0, n1, ... instead of p0, p1, ..."""
    csv.write_text(re.sub(r",p(\d)", r",n\1", csv.read_text()), encoding="utf-8")
    return csv


def earlier() -> Dataset:
    return Manifest(Path("photos/parts.csv")).read()


def test_both_arms_share_test_parts_and_neither_trains_on_them(finished: Path, tmp_path: Path) -> None:
    data = join(earlier(), Manifest(further(tmp_path)).read())
    old = set(data.earlier.table["sample"])
    files = [data.both.root / sample for sample in data.both.table["sample"]]
    assert len(files) == 180 and all(path.is_file() for path in files)
    pairs = list(paired_splits(data, DEALT, 0))
    own = {split.name: split for split in InDistribution(**DEALT).splits(earlier().table, 0)}  # type: ignore[arg-type]
    for before, after in pairs:
        verify(before, data.both.table)
        verify(after, data.both.table)
        assert before.test == after.test and set(before.train) | set(before.val) <= old
        # The folds of the run itself, under the folder that holds both.
        assert {Path(s).name for s in before.train} == set(own[before.name].train)
        assert set(before.train) < set(after.train) and set(before.val) < set(after.val)
    tested = [sample for _, after in pairs for sample in after.test]
    assert sorted(tested) == sorted(data.both.table["sample"])


def test_what_is_there_already_is_refused(finished: Path, tmp_path: Path) -> None:
    csv = further(tmp_path)
    csv.write_text(csv.read_text().replace(",n7,", ",p7,"), encoding="utf-8")
    with pytest.raises(DataError, match="part 'p7' is a part of parts too"):
        join(earlier(), Manifest(csv).read())
    again = renamed(write_parts(tmp_path / "again", 6))
    with pytest.raises(DataError, match=r"is the same picture as .*; leave it out"):
        join(earlier(), Manifest(again).read())


def test_pictures_of_one_name_in_two_folders_are_parts_of_their_own(tmp_path: Path, draw: Callable[..., Path]) -> None:
    sets = []
    for name in ("a", "b"):
        draw(tmp_path / name / "1.png")
        csv = tmp_path / name / "list.csv"
        csv.write_text("image,label\n1.png,0\n", encoding="utf-8")
        sets.append(Manifest(csv, name=name).read())
    both = join(*sets).both
    assert both.table["part"].tolist() == both.table["sample"].tolist() == ["a/1.png", "b/1.png"]


def test_new_parts_that_look_different_are_learned(finished: Path, tmp_path: Path) -> None:
    evidence = find_evidence(load_preset("small.yaml"), RunStore(Path("runs/small")), "gaussian", None, None)
    widened, found = compare(evidence, Manifest(further(tmp_path)).read(), CPU)
    new, old = found["groups"]["new parts"], found["groups"]["earlier parts"]
    assert (new["before"]["false_rejects"]["of"], new["before"]["escapes"]["of"]) == (18, 12)
    assert (old["before"]["false_rejects"]["of"], old["before"]["escapes"]["of"]) == (36, 24)
    # Where nothing new had been seen, every new good part was rejected.
    assert new["before"]["false_rejects"]["count"] == 18 > new["after"]["false_rejects"]["count"]
    wrong = [sum(new[arm][kind]["count"] for kind in ("escapes", "false_rejects")) for arm in ("before", "after")]
    assert new["mended"] - new["spoiled"] == wrong[0] - wrong[1]
    # As counted by hand from the verdicts that the refitted model's threshold comes from.
    verdicts = widened.fitted.verdicts
    ours = verdicts[verdicts["part"].str.startswith("n")]
    folds = [auroc(f["label"].to_numpy(), f["score"].to_numpy()) for _, f in ours.groupby("fold")]
    assert new["auroc"][1] == pytest.approx(np.mean(folds))
    assert widened.fitted.good == 54 and found["thresholds"][1] == widened.fitted.threshold


def test_a_refit_with_further_data_trains_on_all_and_keeps_the_comparison(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    csv = further(tmp_path)
    assert refit(refit_arguments("classifier", tmp_path / "out", also=csv)) == 0
    said = json.loads((tmp_path / "out" / "model.json").read_text())
    assert said["data"]["counts"]["train_parts"] + said["data"]["counts"]["val_parts"] == 90
    assert said["comparison"]["new_parts"] == 30 and said["comparison"]["folds"] == ["fold=0", "fold=1", "fold=2"]
    assert said["threshold"]["value"] == said["comparison"]["thresholds"][1] and said["threshold"]["cells"] == []
    assert said["identity"]["dataset"]["fingerprint"] == said["data"]["fingerprint"]
    printed = capsys.readouterr().out
    assert "before and after 30 new parts, on the same test parts" in printed and "verdicts mended" in printed
    assert read_model(tmp_path / "out", CPU)[0].id == said["id"]
