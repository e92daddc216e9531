"""Batches keep the contract of models.base, hold no test label, and depend on seeds alone."""

from __future__ import annotations

import itertools

import albumentations as A
import cv2
import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from reshift.datamodules.augment import augmented
from reshift.datamodules.dataset import DataError, Dataset
from reshift.datamodules.feature_cache import FrozenFeatures
from reshift.datamodules.image_file import read_image, to_square
from reshift.datamodules.inspection_data import InspectionData
from reshift.datamodules.order import RowStream
from reshift.datamodules.rows import view_slots
from reshift.datamodules.split_rows import NoRowsError
from reshift.splits.protocol import Split
from reshift.splits.samples import validate_table

SIZE = 12
TURN = A.Compose([A.HorizontalFlip(p=0.5), A.Rotate(limit=180, p=0.9), A.GaussNoise(p=0.5)])


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Twelve parts of two components; part p has views a, b (and c when p is even); every third is defective."""
    root = tmp_path_factory.mktemp("parts")
    rows = []
    for part in range(12):
        for view in "abc" if part % 2 == 0 else "ab":
            name = f"{part:02}_{view}.png"
            pixels = np.random.default_rng([part, ord(view)]).integers(0, 256, (10 + part, 16, 3), dtype=np.uint8)
            cv2.imwrite(str(root / name), pixels)
            bad = part % 3 == 0 and view == "b"
            rows.append(
                {
                    "sample": name, "label": int(bad), "defect": "scratch" if bad else "", "part": f"p{part:02}",
                    "view": view, "component": "gear" if part < 6 else "ring", "transmission": "t", "acquisition": view,
                }
            )  # fmt: skip
    return Dataset("tiny", 1, root, validate_table(pd.DataFrame(rows), "test"))


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESHIFT_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


def samples(dataset: Dataset, first: int, last: int) -> tuple[str, ...]:
    table = dataset.table
    return tuple(table.loc[table["part"].between(f"p{first:02}", f"p{last:02}"), "sample"])


@pytest.fixture
def split(dataset: Dataset) -> Split:
    train, val, test = samples(dataset, 0, 6), samples(dataset, 7, 8), samples(dataset, 9, 11)
    return Split("s", train, val, test, train_labels={"01_a.png": 1, "07_b.png": 1})


def data(dataset: Dataset, split: Split, **options: object) -> InspectionData:
    return InspectionData(dataset, split, **{"size": SIZE, "batch_size": 4, **options})  # type: ignore[arg-type]


def same(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[key], right[key]) for key in left)


class Colours(nn.Module):
    """Six numbers that change under a flip or a turn."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return torch.cat([image.mean(dim=(2, 3)), image[:, :, 0, 0]], dim=1)


COLOURS = FrozenFeatures(Colours(), "colours", torch.device("cpu"), train_copies_kept=5)


# The contract.


def test_training_batch_by_hand(dataset: Dataset, split: Split) -> None:
    module = data(dataset, split)
    rows = module.rows("train")
    for batch in module.train_loader(steps=6):
        assert batch["image"].shape == (4, 3, SIZE, SIZE) and batch["image"].dtype == torch.float32
        for place, row in enumerate(batch["index"].tolist()):
            name = rows["sample"][row]
            pixels = read_image(dataset.root / name)
            expected = torch.from_numpy(to_square(pixels, SIZE).astype(np.float32) / 255).permute(2, 0, 1)
            assert torch.allclose(batch["image"][place], expected)
            assert batch["extent"][place].tolist() == list(pixels.shape[:2])
            observed = 1 if name == "01_a.png" else int(name[:2] in ("00", "03", "06") and name[3] == "b")
            assert batch["label"][place] == observed
            assert batch["group"][place] == (0 if int(name[:2]) < 6 else 1)
    assert (batch["weight"] == 1).all() and module.n_groups == 2 and module.n_views == 1
    assert module.class_counts == (len(rows) - 4, 4)


@pytest.mark.parametrize("views", ["one", "all"])
@pytest.mark.parametrize("features", [None, COLOURS])
def test_scoring_batches_carry_no_label(
    dataset: Dataset, split: Split, views: str, features: FrozenFeatures | None
) -> None:
    module = data(dataset, split, views=views, features=features)
    seen = {"feature" if features else "image", "extent", "index"} | ({"present"} if views == "all" else set())
    for role in ("train", "val", "test"):
        batches = list(module.score_loader(role))
        assert all(set(batch) == seen for batch in batches)
        assert torch.cat([batch["index"] for batch in batches]).tolist() == list(range(len(module.rows(role))))
    assert {"label", "weight", "group"} <= set(next(iter(module.val_loader())))
    assert {"label", "weight", "group"} <= set(next(iter(module.fit_loader())))


def test_observed_labels_train_and_true_labels_stay_apart(dataset: Dataset, split: Split) -> None:
    module = data(dataset, split)
    val = module.rows("val").set_index("sample")
    assert (val.loc["07_b.png", "label"], val.loc["07_b.png", "observed_label"]) == (0, 1)
    batch = next(iter(module.val_loader()))
    assert batch["label"].tolist() == val["observed_label"].tolist()[:4]
    assert (batch["group"] == -1).all() and (batch["weight"] == 1).all()


def test_learning_from_good(dataset: Dataset, split: Split) -> None:
    module = data(dataset, split, learns_from="good")
    assert module.class_counts == (len(module.rows("train")) - 4, 0)
    for loader in (module.train_loader(steps=9), module.fit_loader(), module.val_loader()):
        assert all((batch["label"] == 0).all() for batch in loader)
    assert sum(len(batch["index"]) for batch in module.val_loader()) == len(module.rows("val")) - 1
    assert sum(len(batch["index"]) for batch in module.score_loader("val")) == len(module.rows("val"))


def test_nothing_to_learn_from_is_said(dataset: Dataset) -> None:
    only_bad = Split("bad", ("00_b.png",), ("03_b.png",), ("06_b.png",))
    module = data(dataset, only_bad, learns_from="good")
    for ask in (module.train_loader, module.fit_loader, module.val_loader):
        with pytest.raises(NoRowsError, match=r"tiny, split bad: no (train|val) row is left"):
            ask()
    with pytest.raises(NoRowsError):
        data(dataset, only_bad).train_loader({"00_b.png": 0.0})


def test_scoring_chosen_samples(dataset: Dataset, split: Split) -> None:
    module = data(dataset, split)
    chosen = ["04_c.png", "00_a.png", "05_b.png"]
    batch = next(iter(module.score_loader("train", chosen)))
    assert module.rows("train")["sample"].iloc[batch["index"].numpy()].tolist() == chosen
    with pytest.raises(DataError, match=r"'09_a\.png' is no train row"):
        module.score_loader("train", ["09_a.png"])


# Parts.


def test_views_fill_fixed_slots(dataset: Dataset, split: Split) -> None:
    module = data(dataset, split, views="all")
    batches = list(module.fit_loader())
    image, present = (torch.cat([batch[key] for batch in batches]) for key in ("image", "present"))
    assert image.shape == (7, 3, 3, SIZE, SIZE) and module.n_views == 3
    assert present.tolist() == [[True, True, part % 2 == 0] for part in range(7)]
    assert (image[~present] == 0).all() and (image[present].flatten(1).sum(dim=1) > 0).all()
    second = torch.from_numpy(to_square(read_image(dataset.root / "03_b.png"), SIZE)).permute(2, 0, 1) / 255
    assert torch.allclose(image[3, 1], second)
    rows = module.rows("train")
    assert rows["sample"].tolist() == [f"p{part:02}" for part in range(7)] and set(rows["view"]) == {""}
    assert rows["label"].tolist() == [1, 0, 0, 1, 0, 0, 1]
    assert rows["observed_label"].tolist() == [1, 1, 0, 1, 0, 0, 1]
    assert rows["defect"].tolist() == ["scratch", "", "", "scratch", "", "", "scratch"]


def test_a_part_in_two_roles_shows_each_role_its_own_images(dataset: Dataset) -> None:
    leaky = Split("leaky", ("00_a.png",), ("01_a.png",), ("00_b.png",))
    module = data(dataset, leaky, views="all")
    assert next(iter(module.fit_loader()))["present"].tolist() == [[True, False, False]]
    assert next(iter(module.score_loader("test")))["present"].tolist() == [[False, True, False]]
    assert (module.rows("train")["label"].item(), module.rows("test")["label"].item()) == (0, 1)


def test_slots_when_views_repeat_or_have_many_names() -> None:
    frame = pd.DataFrame(
        {"sample": list("abcdefg"), "label": 0, "part": list("1112233"), "view": ["x", "x", "y", "y", "y", "z", "w"]}
    )
    # Ranks: w 0, x 1, y 2, z 3; at most three images a part, so z and the second x and y take the first free slot.
    assert view_slots(frame).tolist() == [1, 0, 2, 2, 0, 1, 0]


# Refinement.


def test_weights_leave_out_and_mark(dataset: Dataset, split: Split) -> None:
    module = data(dataset, split)
    weights = {"00_a.png": 0.0, "02_b.png": -1.0}
    rows = module.rows("train")["sample"]
    for loader in (module.train_loader(weights, steps=20), module.fit_loader(weights)):
        index, weight = (torch.cat([batch[key] for batch in loader]) for key in ("index", "weight"))
        names = rows.iloc[index.numpy()].tolist()
        assert set(names) == set(rows) - {"00_a.png"}
        assert {name: value for name, value in zip(names, weight.tolist(), strict=True) if value != 1} == {
            "02_b.png": -1.0
        }
    parts = data(dataset, split, views="all")
    batch = next(iter(parts.fit_loader(weights)))
    assert parts.rows("train")["sample"].iloc[batch["index"].numpy()].tolist()[:2] == ["p01", "p02"]
    assert batch["weight"].tolist()[:2] == [1, -1]


# The stream.


@pytest.mark.parametrize("features", [None, COLOURS])
@pytest.mark.parametrize("views", ["one", "all"])
def test_training_continues_at_any_step_to_the_bit(
    dataset: Dataset, split: Split, views: str, features: FrozenFeatures | None
) -> None:
    options = {"views": views, "features": features, "augmentation": TURN, "train_copies": 2, "seed_order": 3}
    whole = list(data(dataset, split, **options).train_loader(steps=9))
    for cut in range(10):
        module = data(dataset, split, **options)
        pieces = [*module.train_loader(steps=cut), *module.train_loader(start_step=cut, steps=9 - cut)]
        assert len(pieces) == 9 and all(itertools.starmap(same, zip(whole, pieces, strict=True)))


def test_every_epoch_is_a_new_order_of_all_rows() -> None:
    stream = RowStream(np.arange(10), 10, seed=0)
    epochs, rows = stream.at(0, 30)
    assert epochs.tolist() == [0] * 10 + [1] * 10 + [2] * 10
    orders = [tuple(rows[start : start + 10]) for start in (0, 10, 20)]
    assert all(sorted(order) == list(range(10)) for order in orders) and len(set(orders)) == 3
    assert tuple(RowStream(np.arange(10), 10, seed=1).at(0, 10)[1]) != orders[0]
    fewer = RowStream(np.array([0, 2, 5, 9]), 10, seed=0).at(0, 4)[1]
    assert fewer.tolist() == [row for row in orders[0] if row in (0, 2, 5, 9)]


def test_order_is_pinned() -> None:
    # A golden value: numpy or platform must not move what a stored cell was trained on.
    assert RowStream(np.arange(8), 8, seed=7).at(0, 16)[1].tolist() == [5, 0, 1, 7, 6, 3, 4, 2, 3, 5, 7, 4, 6, 0, 2, 1]


def test_a_batch_larger_than_the_training_set_repeats_rows(dataset: Dataset) -> None:
    few = Split("few", ("00_a.png", "01_a.png", "02_a.png"), ("03_a.png",), ("04_a.png",))
    batch = next(iter(data(dataset, few, batch_size=8).train_loader(steps=1)))
    assert sorted(batch["index"].tolist()[:3]) == sorted(batch["index"].tolist()[3:6]) == [0, 1, 2]


# Augmentation.


def test_augmentation_knows_only_seed_epoch_and_index(dataset: Dataset, split: Split) -> None:
    def copies(**options: object) -> dict[tuple[int, int], bytes]:
        module = data(dataset, split, augmentation=TURN, **options)
        index = torch.cat([batch["index"] for batch in module.train_loader(steps=40 // module.batch_size)])
        image = torch.cat([batch["image"] for batch in module.train_loader(steps=40 // module.batch_size)])
        seen: dict[int, int] = {}
        found = {}
        for row, pixels in zip(index.tolist(), image, strict=True):
            seen[row] = seen.get(row, -1) + 1  # the epoch: each row comes once in each
            found[row, seen[row]] = pixels.numpy().tobytes()
        return found

    usual = copies()
    for other in (copies(batch_size=10), copies(seed_order=9), copies(workers=2)):
        shared = usual.keys() & other.keys()
        assert len(shared) > 30 and all(usual[key] == other[key] for key in shared)
    again = copies(seed_augmentation=1)
    assert sum(usual[key] != again[key] for key in usual) > 30
    assert len({usual[key] for key in usual}) > 30


def test_copies_are_neighbouring_rows(dataset: Dataset, split: Split) -> None:
    module = data(dataset, split, augmentation=TURN, train_copies=3, score_copies=4, score_augmentation=TURN)
    batch = next(iter(module.train_loader(steps=1)))
    assert batch["index"].reshape(4, 3).eq(batch["index"].reshape(4, 3)[:, :1]).all()
    assert len({pixels.numpy().tobytes() for pixels in batch["image"]}) == 12
    plain = next(iter(data(dataset, split).score_loader("test")))
    scored = next(iter(module.score_loader("test")))
    assert scored["image"].shape[0] == 16 and torch.equal(scored["image"][::4], plain["image"])
    assert not torch.equal(scored["image"][1::4], plain["image"])
    lone = next(iter(module.score_loader("test", [module.rows("test")["sample"][2]])))
    assert torch.equal(lone["image"], scored["image"][8:12])


def test_score_copies_are_the_same_as_images_and_as_features(dataset: Dataset, split: Split) -> None:
    options = {"score_copies": 4, "score_augmentation": TURN, "views": "all"}
    as_images = next(iter(data(dataset, split, **options).score_loader("test")))
    as_features = next(iter(data(dataset, split, features=COLOURS, **options).score_loader("test")))
    expected = Colours()(as_images["image"].flatten(0, 1)).reshape(as_features["feature"].shape)
    assert torch.allclose(as_features["feature"], expected, atol=1e-6)
    module = data(dataset, split, features=COLOURS, **options)
    assert next(iter(module.score_loader("test", images=True)))["image"].shape == (3, 3, 3, SIZE, SIZE)


def test_training_features_are_drawn_without_repetition(dataset: Dataset, split: Split) -> None:
    always = A.Compose([A.Rotate(limit=180, p=1), A.GaussNoise(p=1)])  # no two copies alike
    module = data(dataset, split, features=COLOURS, augmentation=always, train_copies=4)
    drawn = [batch["feature"].reshape(4, 4, 6) for batch in module.train_loader(steps=30)]
    assert all(len({row.numpy().tobytes() for row in sample}) == 4 for batch in drawn for sample in batch)
    of_row: dict[int, set[bytes]] = {}
    for batch in module.train_loader(steps=60):
        for row, value in zip(batch["index"].tolist(), batch["feature"], strict=True):
            of_row.setdefault(row, set()).add(value.numpy().tobytes())
    assert {len(values) for values in of_row.values()} == {5}
    with pytest.raises(ValueError, match="6 training copies of 5 kept"):
        next(iter(data(dataset, split, features=COLOURS, augmentation=always, train_copies=6).train_loader()))


def test_an_augmentation_that_changes_the_type_is_refused() -> None:
    with pytest.raises(ValueError, match="must keep size and uint8"):
        augmented(np.zeros((8, 8, 3), np.uint8), A.Compose([A.Normalize()]), 0)
    with pytest.raises(ValueError, match="must keep size and uint8"):
        augmented(np.zeros((8, 8, 3), np.uint8), A.Compose([A.CenterCrop(4, 4)]), 0)
