"""Maps in the report: those that the cells' own models give, each on its view, or one line that says why not."""

from __future__ import annotations

import io
import os
import re
import shutil
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from conftest import write_parts
from numpy.typing import NDArray
from PIL import Image

from reshift.benchmark import report_maps
from reshift.benchmark.cell_data import purpose_seed
from reshift.benchmark.cli import main
from reshift.benchmark.explain import attribution_map
from reshift.benchmark.kept_model import KeptCell, kept_cells
from reshift.benchmark.preset import load_preset
from reshift.benchmark.report_command import SIDE
from reshift.benchmark.report_maps import cell_looks, wrong_maps
from reshift.benchmark.world import World
from reshift.models.base import InspectionModule
from reshift.models.classifier import Classifier
from reshift.models.differnet import DifferNet
from reshift.models.multiview_classifier import MultiviewClassifier
from reshift.results.plan import Plan, PlannedCell
from reshift.results.report.examined import WrongPart
from reshift.results.report.gallery import WrongMaps, gallery
from reshift.results.report.views import BoardView, CellPlaces
from reshift.results.store import RunStore
from reshift.results.weights_file import WEIGHTS_FILE

CPU = torch.device("cpu")
PRESET = """
description: A board for each kind of map
datasets: [{use: manifest, args: {csv: photos/parts.csv}}]
size: 32
seeds: [0]
steps: 4
batch_size: 8
checks: 2
trials: 2
protocols:
  - {use: in_distribution, name: flow, args: {folds: 3, folds_used: 2, val: 0.4}}
  - {use: in_distribution, name: net, args: {folds: 3, folds_used: 1, val: 0.4}}
  - {use: in_distribution, name: parts, args: {folds: 3, folds_used: 1, val: 0.4}}
  - use: test_time_shift
    name: blurred
    args: {kinds: [blur], severities: [5], folds: 3, val: 0.4}
    splits: ["*blur*"]
models:
  - use: differnet
    protocols: [flow, blurred]
    args:
      {backbone: test_efficientnet, weights: none, stages: [2], scales: [1.0], hidden: 16, blocks: 2,
       score_transforms: 2, map_rotations: 1}
  - use: classifier
    protocols: [net]
    args: &net {backbone: test_efficientnet, weights: none, lr: 0.001}
  - {use: multiview_classifier, protocols: [parts], args: *net}
"""


@pytest.fixture
def finished(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, entered: `photos/parts.csv`, `small.yaml`, `runs/small`; made once for all tests."""
    folder = tmp_path_factory.getbasetemp() / "maps"
    made = folder.exists()
    if not made:
        write_parts(folder / "photos", 60)
        (folder / "small.yaml").write_text(PRESET, encoding="utf-8")
    monkeypatch.chdir(folder)
    if not made:
        assert main(["run", "--preset", "small.yaml"]) == 0
    return folder


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> RunStore:
    """A copy of the run, for a test to spoil."""
    return RunStore(shutil.copytree(finished / "runs" / "small", tmp_path / "small"))


def wrong(plan: Plan, board: str, *parts: str) -> list[WrongPart]:
    """These parts, as the report names those that the only model of a board gets wrong."""
    model = next(cell.model for cell in plan.cells if cell.protocol == board)
    number = CellPlaces(plan).board("parts", board)
    return [WrongPart("parts", number, model, part, 0, "ring", "", 0.5) for part in parts]


def parts_of(store: RunStore, board: str) -> list[str]:
    """The parts that the cells of a board test, by name."""
    cells = [cell.id for cell in store.read_plan().cells if cell.protocol == board]
    return sorted({part for cell in cells for part in store.read(cell)[1].query("role == 'test'")["part"]})


def maps_of(store: RunStore, asked: Callable[[Plan], Sequence[WrongPart]]) -> WrongMaps:
    plan = store.read_plan()
    return wrong_maps(asked(plan), store, plan, load_preset("small.yaml"), CPU)


def the_kept(store: RunStore, board: str, part: str) -> KeptCell:
    plan = store.read_plan()
    (kept,) = kept_cells(wrong(plan, board, part), store, plan)
    return kept


def pixels_of(picture: Path | bytes) -> NDArray[np.uint8]:
    """(H, W, 3) RGB, by another library than the suite's."""
    return np.asarray(Image.open(io.BytesIO(picture) if isinstance(picture, bytes) else picture), dtype=np.uint8)


def rebuilt(kept: KeptCell, weights: Path) -> InspectionModule:
    """The cell's model by its constructor and the tensors it kept, its frozen network drawn again."""
    args = kept.cell.identity["model"]["args"]
    torch.manual_seed(purpose_seed(0, "init"))
    model: InspectionModule = DifferNet(**args) if kept.cell.model == "differnet" else Classifier(**args)
    model.load_state_dict(torch.load(weights, weights_only=True), strict=False)
    return model.eval()


def map_of(model: InspectionModule, picture: Path) -> NDArray[np.float32]:
    """By the model itself, of a picture read by hand."""
    batch = {"image": torch.from_numpy(pixels_of(picture).copy()).permute(2, 0, 1)[None].float() / 255}
    batch |= {"extent": torch.full((1, 2), 32.0), "index": torch.zeros(1, dtype=torch.int64)}
    with torch.no_grad():
        found = model.anomaly_map(batch) if isinstance(model, DifferNet) else attribution_map(model, batch)
    assert found is not None
    return found[0].numpy()


@pytest.mark.parametrize("board", ["flow", "net"])
def test_each_view_is_shown_with_the_map_that_its_cell_s_model_gives(finished: Path, board: str) -> None:
    store = RunStore(Path("runs/small"))
    plan = store.read_plan()
    parts = parts_of(store, board)[:5]
    maps = maps_of(store, lambda plan: wrong(plan, board, *parts))
    assert maps.missing == {}
    heats = {}
    for part in parts:
        stem = f"p{int(part[1:]):03d}"
        kept = the_kept(store, board, part)
        assert part in set(kept.tested["part"])
        model = rebuilt(kept, store.folder(kept.cell.id) / WEIGHTS_FILE)
        heats[part] = [map_of(model, Path(f"photos/{stem}_{view}.png")) for view in (0, 1)]
    largest = max(heat.max() for views in heats.values() for heat in views)
    assert largest > 0
    number = CellPlaces(plan).board("parts", board)
    for part, views in heats.items():
        shown = maps.views[number, part]
        assert len(shown) == 2
        for view, (heat, picture) in enumerate(zip(views, shown, strict=True)):
            grey = cv2.cvtColor(pixels_of(Path(f"photos/p{int(part[1:]):03d}_{view}.png")), cv2.COLOR_RGB2GRAY)
            share = cv2.resize(heat / largest, (SIDE, SIDE))[..., None]
            expected = (1 - share) * cv2.resize(grey, (SIDE, SIDE))[..., None] + share * np.array([230, 159, 0])
            found = pixels_of(picture).astype(float)
            assert found.shape == (SIDE, SIDE, 3)
            assert np.abs(found - expected).mean() < 4  # of 255: what JPEG does to noise
            # Orange is what tells the map from the picture: red less blue is the share of it.
            redness = (found[..., 0] - found[..., 2]) / 230
            assert np.abs(redness - share[..., 0]).mean() < 0.03


def test_a_model_tested_on_disturbed_pictures_is_shown_on_these(finished: Path) -> None:
    store = RunStore(Path("runs/small"))
    part = parts_of(store, "blurred")[0]
    kept = the_kept(store, "blurred", part)
    (look, _) = cell_looks(kept, World(load_preset("small.yaml")), store, CPU)[part]
    assert look is not None
    original = pixels_of(Path(f"photos/p{int(part[1:]):03d}_0.png"))
    assert cv2.Laplacian(look[0], cv2.CV_64F).var() < 0.5 * cv2.Laplacian(original, cv2.CV_64F).var()


def test_a_view_that_the_cell_does_not_test_has_no_map(finished: Path) -> None:
    store = RunStore(Path("runs/small"))
    part = parts_of(store, "net")[0]
    kept = the_kept(store, "net", part)
    half = replace(kept, tested=kept.tested[kept.tested["sample"] != f"p{int(part[1:]):03d}_0.png"])
    first, second = cell_looks(half, World(load_preset("small.yaml")), store, CPU)[part]
    assert first is None
    assert second is not None


def larger_than_any(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data/0", bytes(64 << 20))


def one_tensor_less(path: Path) -> None:
    state = torch.load(path, weights_only=True)
    torch.save(dict(list(state.items())[1:]), path)


def other_values(path: Path) -> None:
    state = torch.load(path, weights_only=True)
    torch.save({name: -value if value.is_floating_point() else value for name, value in state.items()}, path)


class Hostile:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (os.mkdir, ("executed",))


SPOILT: dict[str, tuple[Callable[[Path], object], str]] = {
    "cut": (lambda path: path.write_bytes(path.read_bytes()[:500]), "BadZipFile"),
    "empty": (lambda path: path.write_bytes(b""), "BadZipFile"),
    "text": (lambda path: path.write_text("no \x1b[31m weights"), "BadZipFile"),
    "code": (lambda path: torch.save({"flow": Hostile()}, path), "UnpicklingError"),
    "list": (lambda path: torch.save([1, 2], path), "TypeError"),
    "shapes": (
        lambda path: torch.save({"head.weight": torch.zeros(3)}, path),
        "weights.pt holds the tensors of another",
    ),
    "bomb": (larger_than_any, "weights.pt is larger than any"),
    "fewer": (one_tensor_less, "weights.pt holds the tensors of another model"),
    "altered": (other_values, "weights.pt does not give the scores of its record"),
}


@pytest.mark.parametrize(("spoil", "said"), SPOILT.values(), ids=SPOILT)
def test_weights_that_are_not_the_cell_s_cost_its_maps_and_one_line(
    run: RunStore, spoil: Callable[[Path], object], said: str
) -> None:
    part = parts_of(run, "flow")[0]
    cell = the_kept(run, "flow", part).cell.id
    spoil(run.folder(cell) / WEIGHTS_FILE)
    # Who forges weights forges the record too; damage alone, below, does not get as far as torch.
    record, scores = run.read(cell)
    run.write(replace(record, run={k: v for k, v in record.run.items() if k != "weights_sha256"}), scores)
    maps = maps_of(run, lambda plan: wrong(plan, "flow", part))
    assert maps.views == {}
    (line,) = maps.missing.values()
    assert line.startswith("differnet: ")
    assert said in line
    assert line.isprintable()
    assert not Path("executed").exists()


def test_weights_with_a_flipped_bit_say_how_to_mend_them(run: RunStore) -> None:
    part = parts_of(run, "flow")[0]
    cell = the_kept(run, "flow", part).cell.id
    path = run.folder(cell) / WEIGHTS_FILE
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    maps = maps_of(run, lambda plan: wrong(plan, "flow", part))
    assert list(maps.missing.values()) == [f"differnet: weights.pt is damaged; delete cells/{cell} and run again"]


def test_a_part_is_shown_view_by_view_as_its_model_saw_it_whole(finished: Path) -> None:
    store = RunStore(Path("runs/small"))
    for part in parts_of(store, "parts")[:3]:
        kept = the_kept(store, "parts", part)
        torch.manual_seed(purpose_seed(0, "init"))
        model = MultiviewClassifier(**kept.cell.identity["model"]["args"])
        model.load_state_dict(torch.load(store.folder(kept.cell.id) / WEIGHTS_FILE, weights_only=True))
        views = np.stack([pixels_of(Path(f"photos/p{int(part[1:]):03d}_{view}.png")) for view in (0, 1)])
        image = torch.from_numpy(views).permute(0, 3, 1, 2)[None].float() / 255
        expected = attribution_map(model.eval(), {"image": image, "present": torch.ones(1, 2, dtype=torch.bool)})
        looks = cell_looks(kept, World(load_preset("small.yaml")), store, CPU)[part]
        assert expected is not None and len(looks) == 2
        for look, seen, heat in zip(looks, views, expected[0].numpy(), strict=True):
            assert look is not None and (look[0] == seen).all()
            assert np.abs(look[1] - heat).max() <= 1e-5 * heat.max()


def test_a_view_that_a_part_was_not_tested_with_has_no_map(finished: Path) -> None:
    store, world = RunStore(Path("runs/small")), World(load_preset("small.yaml"))
    part = parts_of(store, "parts")[0]
    kept = the_kept(store, "parts", part)
    split = world.place("parts").split("parts", kept.cell.split)
    first = f"p{int(part[1:]):03d}_0.png"
    (unit,) = report_maps._tested_parts(
        kept, world.place("parts").dataset, replace(split, test=tuple(s for s in split.test if s != first))
    )
    assert unit.files[0] is None and unit.pictures == ("", first.replace("_0", "_1"))


def test_a_run_without_weights_and_another_preset_say_so(run: RunStore) -> None:
    part = parts_of(run, "net")[0]
    plan = run.read_plan()
    other = replace(load_preset("small.yaml"), steps=5)
    maps = wrong_maps(wrong(plan, "net", part), run, plan, other, CPU)
    assert list(maps.missing.values()) == ["classifier: not a cell of the data and preset given; give those of the run"]
    for weights in run.path.rglob(WEIGHTS_FILE):
        weights.unlink()
    maps = maps_of(run, lambda plan: [*wrong(plan, "net", part), *wrong(plan, "flow", part)])
    assert maps.views == {}
    assert sorted(maps.missing.values()) == [
        f"{m}: no weights of its cells are kept" for m in ("classifier", "differnet")
    ]


def test_the_page_shows_each_view_above_where_the_model_looks(
    run: RunStore, capsys: pytest.CaptureFixture[str]
) -> None:
    for cell in run.read_plan().cells:
        if cell.protocol == "net":
            (run.folder(cell.id) / WEIGHTS_FILE).write_bytes(b"spoilt")
    assert main(["report", str(run.path), "--preset", "small.yaml", "--pictures", "4", "--device", "cpu"]) == 0
    lines = capsys.readouterr().err.splitlines()
    (line,) = [line for line in lines if "classifier" in line]
    assert line.startswith("maps left out: classifier: weights.pt is damaged; delete cells/")
    page = (run.path / "report" / "index.html").read_text(encoding="utf-8")
    boards = {
        name: content for name, content in re.findall(r'data-protocol="(\w+)".*?<summary>(.*?)</details>', page, re.S)
    }
    assert "Without maps: classifier: weights.pt is damaged" in boards["net"]
    assert "where classifier looks" not in boards["net"]
    for board, model in (("flow", "differnet"), ("parts", "multiview_classifier")):
        assert "Below each view, in orange: where" in boards[board]
        seen = re.findall(r'<img alt="([^"]*)"', boards[board])
        assert len(seen) == 4 * 2 * 2
        for view, look in zip(seen[::2], seen[1::2], strict=True):
            number = view.split()[1]
            assert re.fullmatch(rf"view {number} of p\d+", view)
            assert look == f"where {model} looks in view {number}"


def test_names_in_a_gallery_with_maps_are_text() -> None:
    png = b"\x89PNG\r\n\x1a\n"
    plan = Plan("r", "h", (PlannedCell("c", {}, "d", "<b>m</b>", "p", "s", 0),))
    part = WrongPart("d", 0, "<b>m</b>", "p1", 1, "", "", 0.5)
    view = BoardView(0, "d", "p", "p", (), (), {}, ("<b>m</b>",))
    maps = WrongMaps({(0, "p1"): [b"", png]}, {0: "<script>"})
    found = gallery(view, [part], {("d", "p1"): [png, png]}, maps, CellPlaces(plan))
    assert "<b>" not in found
    assert "<script>" not in found
    assert found.count("<img") == 3
    assert "looks in view 2" in found
    assert "looks in view 1" not in found
