"""Protocols on the real magnetic tiles (their table only): counts a person can check against the data's description."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from reshift.splits.acquisition import Acquisition
from reshift.splits.contamination import Contamination
from reshift.splits.in_distribution import InDistribution
from reshift.splits.label_flips import LabelFlips
from reshift.splits.protocol import Protocol, Skip, Split, collect_splits
from reshift.splits.published_tiles import PublishedTiles
from reshift.splits.random_image import RandomImage
from reshift.splits.samples import validate_table
from reshift.splits.unseen_component import UnseenComponent
from reshift.splits.unseen_defect import UnseenDefect
from reshift.splits.verify import verify

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
GROUPS = DATA / "magnetic_tiles_groups.csv"
LIST = DATA / "magnetic_tiles_published_train.txt"
pytestmark = pytest.mark.skipif(not GROUPS.is_file(), reason=f"{GROUPS} is not on this machine")


@pytest.fixture(scope="module")
def tiles() -> pd.DataFrame:
    given = pd.read_csv(GROUPS)
    defect = given["class"].str.removeprefix("MT_").replace("Free", "")
    table = pd.DataFrame(
        {
            "sample": given["path"],
            "label": (defect != "").astype(int),
            "defect": defect,
            "acquisition": "exp" + given["exposure"].astype(str),
            "part": "tile" + given["group"].astype(str),
        }
    )
    return validate_table(table, str(GROUPS))


def verified(protocol: Protocol, tiles: pd.DataFrame) -> dict[str, Split]:
    splits, reason = collect_splits(protocol, tiles, seed=0)
    assert not reason
    for split in splits:
        verify(split, tiles)
    return {split.name: split for split in splits}


def parts(tiles: pd.DataFrame, samples: tuple[str, ...], labels: dict[str, int] | None = None) -> list[int]:
    """Numbers of good and of defective parts among the samples, with observed labels where given."""
    rows = tiles[tiles["sample"].isin(samples)]
    observed = [(labels or {}).get(s, y) for s, y in zip(rows["sample"], rows["label"], strict=True)]
    part_label = rows.assign(observed=observed).groupby("part")["observed"].max()
    return [int((part_label == label).sum()) for label in (0, 1)]


def test_in_distribution_folds_test_every_image_once(tiles: pd.DataFrame) -> None:
    splits = verified(InDistribution(), tiles)
    assert sorted(s for split in splits.values() for s in split.test) == list(tiles["sample"])
    assert all(parts(tiles, split.test) in ([40, 20], [40, 21]) for split in splits.values())


def test_random_image_leaks_and_says_so(tiles: pd.DataFrame) -> None:
    splits = verified(RandomImage(), tiles)
    assert {split.breaks for split in splits.values()} == {("parts", "content")}
    assert {len(split.test) for split in splits.values()} == {268, 269}


def test_every_exposure_with_enough_tiles_is_held_out_with_a_control(tiles: pd.DataFrame) -> None:
    splits = verified(Acquisition(), tiles)
    shifted = [f"acquisition=exp{k}" for k in range(1, 7)]
    assert sorted(splits) == sorted([*shifted, *(f"{name}/control" for name in shifted)])
    for name in shifted:
        assert 60 <= len(splits[name].test) <= 70
        assert len(splits[name].train) == len(splits[f"{name}/control"].train) > 600


def test_five_defects_are_held_out_with_two_controls_each(tiles: pd.DataFrame) -> None:
    splits = verified(UnseenDefect(), tiles)
    images = {"Blowhole": 115, "Break": 85, "Crack": 57, "Fray": 32, "Uneven": 103}
    assert len(splits) == 15
    for defect, number in images.items():
        shifted = splits[f"defect={defect}"]
        assert len(set(shifted.test) & set(tiles.loc[tiles["defect"] == defect, "sample"])) == number
        assert parts(tiles, shifted.test)[0] == 40


def test_contamination_reaches_thirty_percent_and_refuses_more_with_numbers(tiles: pd.DataFrame) -> None:
    splits, reason = collect_splits(Contamination(), tiles, seed=0)
    assert [split.name for split in splits] == [f"rate={rate}/repeat=0" for rate in ("0", "0.1", "0.2", "0.3")]
    assert "rate=0.4/repeat=0 (needs 199 of 498 observed-good train images, 163 defective in reserve" in reason
    assert "rate=0.5" in reason


@pytest.mark.parametrize("unit", ["part", "view"])
def test_contamination_of_three_hundred_images_reaches_all_rates(tiles: pd.DataFrame, unit: str) -> None:
    splits = verified(Contamination(unit=unit, max_good=300, repeats=2), tiles)  # type: ignore[arg-type]
    assert len(splits) == 12
    for split in splits.values():
        good, defective = parts(tiles, split.test)
        assert good >= 50 and defective >= 30
        assert parts(tiles, split.val, dict(split.train_labels))[0] >= 19
        truth = tiles[tiles["sample"].isin(split.train)].set_index("sample")["label"]
        observed_good = [s for s in split.train if split.train_labels.get(s, truth[s]) == 0]
        assert len(observed_good) == 300
        assert (
            abs(sum(truth[observed_good]) / 300 - float(str(split.noise["rate"]))) <= (7 if unit == "part" else 1) / 300
        )


def test_contamination_subsamples_by_choice(tiles: pd.DataFrame) -> None:
    splits = verified(Contamination(allow_subsample=True), tiles)
    assert len(splits) == 6 and splits["rate=0/repeat=0"].dropped > 400


def test_label_flips_stop_at_forty_percent(tiles: pd.DataFrame) -> None:
    assert len(verified(LabelFlips(folds_used=1), tiles)) == 5
    with pytest.raises(ValueError, match=r"0\.5 is outside"):
        LabelFlips(rates=(0.5,))


def test_published_list_and_its_substitute_have_the_same_size(tiles: pd.DataFrame, tmp_path: Path) -> None:
    (seeded,) = verified(PublishedTiles(), tiles).values()
    assert (seeded.name, len(seeded.train) + len(seeded.val), len(seeded.test)) == ("seeded_hash", 761, 583)
    if LIST.is_file():
        (published,) = verified(PublishedTiles(str(LIST)), tiles).values()
        assert (published.name, len(published.train), len(published.val)) == ("published", 609, 152)
        assert parts(tiles, published.train)[1] == 0
    wrong = tmp_path / "list.txt"
    wrong.write_text("exp1_num_0.jpg\n")
    with pytest.raises(Skip, match=r"'exp1_num_0\.jpg' is no good image"):
        list(PublishedTiles(str(wrong)).splits(tiles, 0))


def test_a_column_without_values_skips_with_the_reason(tiles: pd.DataFrame) -> None:
    with pytest.raises(Skip, match="column 'component' has no value"):
        list(UnseenComponent().splits(tiles, 0))
