"""A preset: which data, protocols, models, seeds and budget make a run; one YAML file."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields, is_dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, get_args, get_type_hints

from jsonargparse import Namespace

from reshift.benchmark.catalog import parser_for
from reshift.benchmark.preset_yaml import plain_yaml
from reshift.refinement.cross_fit import Over
from reshift.refinement.suspicion import Use
from reshift.results.label_error import LabelError
from reshift.results.partial_classification import PartialClassification

Selection = Literal["best_validation", "last", "best_test"]
Precision = Literal["fp32", "bf16"]
ORACLE = " [oracle: state chosen on test]"
"""Ends the name of every model whose state is chosen on test, so that no row can be read without it."""

MOST_BYTES = 1 << 18
"""Of a preset's file; the largest that ships has some kilobytes."""
_LONGEST_REASON = 600
"""Characters; a parser repeats the values it refuses, however long they are."""


class PresetError(ValueError):
    """A preset that cannot be read; the message names file and key."""


@dataclass(frozen=True)
class DatasetSpec:
    """Which reader (`use`: short name, `pkg.mod:Class` or `file.py:Class`) with which arguments.

    Attributes:
        name: what boards call it; the data set's own name where empty.
        corrections: CSV of corrected labels to lay over the data set's own, see `datamodules.corrections`.
        protocols: shell patterns of the boards it is for; all by default.
        label_error: how many of its test labels are wrong, for boards that say what that does to a figure.
    """

    use: str
    args: dict[str, Any] = field(default_factory=dict)
    name: str = ""
    corrections: str = ""
    protocols: list[str] = field(default_factory=lambda: ["*"])
    label_error: LabelError | None = None


@dataclass(frozen=True)
class ProtocolSpec:
    """Which protocol with which arguments.

    Attributes:
        name: the board it is written to; the protocol's own name where empty.
        splits: shell patterns of the split names to run; all by default.
        calibration: share of the training parts reserved for bounds on thresholds, see `splits.calibration`.
    """

    use: str
    args: dict[str, Any] = field(default_factory=dict)
    name: str = ""
    splits: list[str] = field(default_factory=lambda: ["*"])
    calibration: float = 0.0


@dataclass(frozen=True)
class RefinementSpec:
    """How training data is refined while a model trains.

    Attributes:
        policy: `class_path` and `init_args` of a `refinement.policies.Policy`.
        first: share of the steps before the first look, which all arms share.
        start: "warm" trains on, "scratch" begins every phase with a fresh model.
        by: name of the score that suspicion is read from; the headline where empty.
    """

    policy: dict[str, Any]
    first: float = 0.5
    start: Literal["warm", "scratch"] = "warm"
    by: str = ""


@dataclass(frozen=True)
class RankerSpec:
    """Which model ranks training rows by suspicion, with which arguments.

    Attributes:
        steps: optimiser steps of each of its fits; the cell's where None.
    """

    use: str
    args: dict[str, Any] = field(default_factory=dict)
    steps: int | None = None


@dataclass(frozen=True)
class CrossFitSpec:
    """How training rows that look wrong to models which never saw them are found, and what is done about them.

    The steps of the ranking come on top of the cell's; they depend on split and ranker alone, so cells share them.

    Attributes:
        ranker: the cell's own model where None.
        over, folds, repeats: see `refinement.cross_fit`.
        use: what suspicion does to training weights, see `refinement.suspicion`.
        budget: share of the candidates taken to be bad; None estimates it from verified parts (calibration rows).
        alpha: nothing is done where "no contamination" stands at this level against the verified parts; None does
            not ask.
    """

    use: Use
    ranker: RankerSpec | None = None
    over: Over = "parts"
    folds: int = 5
    repeats: int = 1
    budget: float | None = None
    alpha: float | None = None

    @property
    def needs_verified(self) -> bool:
        """Whether verified parts must be at hand."""
        return self.budget is None or self.alpha is not None


@dataclass(frozen=True)
class ModelSpec:
    """Which model with which arguments, as one row of the boards.

    Attributes:
        name: the row; the model's own name where empty.
        steps, batch_size: this model's budget where it differs from the preset's; shown on the board.
        protocols: shell patterns of the boards it runs on; all by default.
        seeds: instead of the preset's, for models whose numbers do not depend on it.
        selection: which state is scored: the one with the lowest validation loss, the last one, or, an oracle that is
            marked as such, the one with the highest AUROC on test, as some papers report.
        cross_fit: instead of `refinement`: suspects are found before training.
    """

    use: str
    args: dict[str, Any] = field(default_factory=dict)
    name: str = ""
    steps: int | None = None
    batch_size: int | None = None
    protocols: list[str] = field(default_factory=lambda: ["*"])
    seeds: list[int] | None = None
    refinement: RefinementSpec | None = None
    selection: Selection = "best_validation"
    cross_fit: CrossFitSpec | None = None


@dataclass(frozen=True)
class PrognosisSpec:
    """Which prognosis method with which arguments, as one row of the prognosis board.

    Attributes:
        name: the row; the method's own name where empty.
        protocols: shell patterns of the boards it runs on; all over sequences by default.
    """

    use: str
    args: dict[str, Any] = field(default_factory=dict)
    name: str = ""
    protocols: list[str] = field(default_factory=lambda: ["*"])


@dataclass(frozen=True)
class Preset:
    """A whole run.

    Attributes:
        size: side in pixels of the squares pictures are resized to, without cropping.
        seeds: cell seeds: initialisation, order, augmentation.
        split_seed: the protocols' seed.
        steps, batch_size: optimiser steps (pre-training and refinement included) and rows a step.
        checks: how often validation is looked at; the state with the lowest validation loss is kept.
        trials: configurations tried for every model on every split, the first as the preset has it, the others drawn
            from the model's declared space; the best on validation is kept.
        prognoses: methods that forecast the remaining life of sequences, on protocols that test sequences.
        limit: the level at which a sequence is worn out, in the unit of column `level`; prognoses need it.
        partial: which models decide together what skips a re-test, on splits that reserve calibration parts.
        precision: of training by gradient; "bf16" runs forward passes under autocast. Validation, refinement and
            scoring stay in fp32.
        compile: training steps go through torch.compile, which pays on a GPU after many steps; scoring does not.
        localise: judge the anomaly maps of models that give one, where the data have masks.
        published: CSV of published figures to set beside ours, see `results.published`; a file's path, or the name of
            one that ships with the presets.
    """

    description: str
    datasets: list[DatasetSpec]
    protocols: list[ProtocolSpec]
    models: list[ModelSpec] = field(default_factory=list)
    prognoses: list[PrognosisSpec] = field(default_factory=list)
    limit: float | None = None
    size: int = 128
    seeds: list[int] = field(default_factory=lambda: [0, 1, 2])
    split_seed: int = 0
    steps: int = 1000
    batch_size: int = 32
    checks: int = 10
    trials: int = 1
    precision: Precision = "fp32"
    compile: bool = False
    partial: PartialClassification | None = None
    localise: bool = False
    published: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Plain values, e.g. for the hash of a plan's inputs."""
        return asdict(self)


def preset_names() -> list[str]:
    """The presets that ship with the suite."""
    return sorted(p.name.removesuffix(".yaml") for p in _folder().iterdir() if p.name.endswith(".yaml"))


def load_preset(name_or_file: str) -> Preset:
    """Read a preset by name, or from a YAML file of one's own.

    Raises:
        PresetError: no such preset, not YAML, an unknown key or a value of the wrong type.
    """
    path = Path(name_or_file)
    if path.suffix in (".yaml", ".yml"):
        if not path.is_file():
            raise PresetError(f"{path}: no such preset file")
        text = _own_text(path)
    elif name_or_file in preset_names():
        text = (_folder() / f"{name_or_file}.yaml").read_text(encoding="utf-8")
    else:
        raise PresetError(f"no preset {name_or_file!r}; there are {', '.join(preset_names())}, or give a .yaml file")
    try:
        raw = plain_yaml(text)
    except ValueError as error:
        raise PresetError(f"{name_or_file}: not YAML: {_line(error)}") from error
    if not isinstance(raw, dict):
        raise PresetError(f"{name_or_file}: a preset is a mapping with the keys datasets, protocols and models")
    return parse_preset(raw, name_or_file)


def published_file(preset: Preset) -> Path | None:
    """Where the published figures of a preset are, None where it names none.

    Raises:
        PresetError: no such file.
    """
    if not preset.published:
        return None
    for path in (Path(preset.published), Path(str(_folder())) / preset.published):
        if path.is_file():
            return path
    raise PresetError(f"published: {preset.published!r} is neither a file nor one that ships with the presets")


def parse_preset(raw: dict[str, Any], source: str) -> Preset:
    """Check and build a preset from plain values.

    Raises:
        PresetError: names the key.
    """
    try:
        # Checked, not instantiated: a policy stays plain values until its turn comes; identities are made of them.
        preset: Preset = _built(Preset, _plain(parser_for(Preset).parse_object(raw)))
    except Exception as error:
        raise PresetError(f"preset {source}: {_line(error)}") from error
    for key in (f.name for f in fields(Preset) if f.default is not None):
        if getattr(preset, key) is None:  # the parser lets it pass for any type
            raise PresetError(f"preset {source}: {key} is null; give it a value, or leave it out")
    for key in ("size", "steps", "batch_size", "checks", "trials"):
        if getattr(preset, key) < 1:
            raise PresetError(f"preset {source}: {key} is {getattr(preset, key)}, but must be at least 1")
    for key in ("datasets", "seeds", "protocols"):
        if not getattr(preset, key):
            raise PresetError(f"preset {source}: {key} is empty; name at least one")
    if not preset.models and not preset.prognoses:
        raise PresetError(f"preset {source}: models is empty; name at least one")
    for model in preset.models:
        if found := model.cross_fit:
            where = f"preset {source}: model {model.name or model.use}, cross_fit"
            if model.refinement is not None:
                raise PresetError(f"{where}: a model has either refinement or cross_fit; drop one")
            if found.folds < 2 or found.repeats < 1:
                raise PresetError(f"{where}: {found.folds} folds, {found.repeats} repeats; at least 2 and 1 are needed")
            for key in ("budget", "alpha"):
                value = getattr(found, key)
                if value is not None and not 0 < value < 1:
                    raise PresetError(f"{where}: {key} is {value}; give a share above 0 and below 1, or null")
    if preset.prognoses and preset.limit is None:
        raise PresetError(f"preset {source}: prognoses need a limit, the level at which a sequence is worn out")
    return preset


def _own_text(path: Path) -> str:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise PresetError(f"{path}: larger than {MOST_BYTES >> 10} KiB, so it is no preset; check the path")
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise PresetError(f"{path}: is not UTF-8 ({error.reason} at byte {error.start}); save it as UTF-8") from error
    except OSError as error:
        raise PresetError(f"{path}: cannot be read ({error.strerror}); check the path") from error


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:_LONGEST_REASON] or type(error).__name__


def _built(kind: Any, value: Any) -> Any:
    """Checked values as the dataclass they describe, also in a list or where None is allowed."""
    if isinstance(kind, type) and is_dataclass(kind) and isinstance(value, dict):
        hints = get_type_hints(kind)
        return kind(**{key: _built(hints[key], item) for key, item in value.items()})
    inner = next((part for part in get_args(kind) if is_dataclass(part)), None)
    if inner is None:
        return value
    return [_built(inner, item) for item in value] if isinstance(value, list) else _built(inner, value)


def _plain(value: Any) -> Any:
    """Without the parser's own types, into which it wraps whatever looks like a class."""
    if isinstance(value, Namespace):
        value = value.as_dict()
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return {key: _plain(item) for key, item in value.items()} if isinstance(value, dict) else value


def _folder() -> Any:
    return files("reshift.benchmark").joinpath("presets")
