"""Judges the observed labels of a split's training side by one model: in-sample, or by models that never saw them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

import pandas as pd
import torch

from reshift.benchmark.catalog import build, full_arguments
from reshift.benchmark.cell_data import cell_data, purpose_seed
from reshift.benchmark.cross_fitting import scores_of_fit
from reshift.benchmark.preset import ModelSpec, Preset
from reshift.benchmark.seeding import seed_everything
from reshift.benchmark.world import World
from reshift.datamodules.dataset import Dataset
from reshift.datamodules.progress import StderrProgress
from reshift.models.base import InspectionModule
from reshift.refinement.label_suspicion import label_suspicion, scores_out_of_fold
from reshift.splits.protocol import Split

How = Literal["in-sample", "parts", "images"]


Models = Mapping[str, tuple[ModelSpec, type[InspectionModule]]]


def auditing_models(world: World) -> Models:
    """The models of a preset by name, the first of those that differ only in selection or in what suspects lead to."""
    found: dict[str, tuple[ModelSpec, type[InspectionModule]]] = {}
    seen: list[ModelSpec] = []
    for name, spec, cls in world.models():
        plain = replace(spec, name="", protocols=[], seeds=None, refinement=None, cross_fit=None, selection="last")
        if plain not in seen:
            seen.append(plain)
            found[name] = (spec, cls)
    return found


def everything(dataset: Dataset) -> Split:
    """A split that trains on all samples, so that labels of later training, validation and test are judged alike."""
    return Split("all", tuple(dataset.table["sample"]), (), ())


class LabelAudit:
    """One model's view of the labels that a split trains on. Nothing is selected on validation: the last state scores.

    Args:
        spec, cls: the model; its refinement and selection play no role.
        preset: size, seeds (the first is used), steps and batch size.
        title: what progress is printed under.
    """

    def __init__(
        self,
        dataset: Dataset,
        split: Split,
        spec: ModelSpec,
        cls: type[InspectionModule],
        preset: Preset,
        *,
        device: torch.device,
        title: str,
    ) -> None:
        self.dataset = dataset
        self.seed = preset.seeds[0]
        self.steps = spec.steps or preset.steps
        self.device = device
        self.title = title
        self._cls = cls
        self._args = full_arguments(cls, spec.args, f"model {spec.name or spec.use}")
        batch_size = spec.batch_size or preset.batch_size
        self.data = cell_data(self._new_model(), dataset, split, preset.size, batch_size, self.seed, device)

    @property
    def rows(self) -> pd.DataFrame:
        """What is judged, `datamodules.rows.ROW_COLUMNS`: images, or parts where the model judges parts."""
        return self.data.rows("train")

    def judged(self, how: How, *, folds: int, repeats: int) -> pd.DataFrame:
        """As `refinement.label_suspicion.label_suspicion` returns it, of all rows, indexed by their `sample`.

        Raises:
            ValueError, NoRowsError: rows cannot be dealt to folds, or a fold leaves nothing to learn from.
        """
        rows = self.rows
        label = dict(zip(rows["sample"], rows["observed_label"].tolist(), strict=True))
        if how == "in-sample":
            scores = self._fit_and_score(dict.fromkeys(label, 1.0), list(label))
            return label_suspicion([scores], label)
        progress, done = StderrProgress(self.title), 0

        def counted(weights: Mapping[str, float], names: Sequence[str]) -> pd.DataFrame:
            nonlocal done
            progress(done, folds * repeats)
            done += 1
            return self._fit_and_score(weights, names)

        part = dict(zip(rows["sample"], rows["part"], strict=True))
        runs = scores_out_of_fold(part, counted, folds=folds, repeats=repeats, over=how, seed=self.seed)
        return label_suspicion(runs, label)

    def of_images(self, judged: pd.DataFrame) -> pd.DataFrame:
        """The same by image of the data set, in its table's order.

        A part's verdict is on the label it has as a whole. It is handed to its images of that label; a view labelled
        good of a defective part is not judged, and its line is empty.
        """
        if self.data.views == "one":
            return judged.reindex(self.dataset.table["sample"])
        table = self.dataset.table.set_index("sample")
        whole = self.rows.set_index("part")["observed_label"]
        images = judged.reindex(table["part"]).set_axis(table.index, axis=0)
        return images.where(table["label"] == table["part"].map(whole))

    def _new_model(self) -> InspectionModule:
        seed_everything(purpose_seed(self.seed, "init"))
        return build(self._cls, self._args)

    def _fit_and_score(self, weights: Mapping[str, float], names: Sequence[str]) -> pd.DataFrame:
        return scores_of_fit(
            self._new_model,
            self.data,
            weights,
            names,
            steps=self.steps,
            seed=purpose_seed(self.seed, "training"),
            device=self.device,
        )
