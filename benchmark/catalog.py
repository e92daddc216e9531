"""Finds classes by name: the suite's own, a `pkg.mod:Class`, a `file.py:Class`, or an entry point."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import pkgutil
import sys
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from jsonargparse import ArgumentParser

T = TypeVar("T")


class LookupFailure(ValueError):
    """A name that leads to no class, or arguments the class does not take."""


def own_classes(package: str, base: type[T]) -> dict[str, type[T]]:
    """The concrete subclasses of `base` with a short name in a package of the suite, by name."""
    room = importlib.import_module(package)
    found: dict[str, type[T]] = {}
    for module in sorted(m.name for m in pkgutil.walk_packages(room.__path__, package + ".")):
        for cls in vars(importlib.import_module(module)).values():
            mine = inspect.isclass(cls) and cls.__module__ == module and issubclass(cls, base)
            name = getattr(cls, "name", "")
            if mine and name and not inspect.isabstract(cls):
                found[name] = cls
    return found


def installed_classes(package: str, base: type[T]) -> dict[str, type[T] | str]:
    """What other distributions offer under entry points of group `package`, by name: a subclass of `base`, or why not.

    A class of another kind is left out, as models and prognosis methods share a group. A name of the suite's own means
    the suite's class, so an entry point of that name is left out too.
    """
    found: dict[str, type[T] | str] = {}
    own = own_classes(package, base)
    for point in entry_points(group=package):
        if point.name in own or point.name in found:
            continue
        try:
            cls = _loaded(point)
        except LookupFailure as error:
            found[point.name] = str(error)
            continue
        if inspect.isclass(cls) and issubclass(cls, base):
            found[point.name] = cls
    return found


def find_class(spec: str, package: str, base: type[T]) -> type[T]:
    """The class a name, a path or an entry point stands for.

    Args:
        spec: short name, `pkg.mod:Class`, `file.py:Class`, or the name of an entry point in group `package`.

    Raises:
        LookupFailure: nothing of that name, a file that does not import, or a class of another kind.
    """
    if ":" in spec:
        where, _, name = spec.rpartition(":")
        module = _from_file(Path(where)) if where.endswith(".py") else _from_module(where)
        if not hasattr(module, name):
            raise LookupFailure(f"{spec}: {where} has no class {name!r}")
        cls = getattr(module, name)
    else:
        known = own_classes(package, base)
        cls = known.get(spec)
        if cls is None:
            points = entry_points(group=package, name=spec)
            if not points:
                listed = ", ".join(sorted(known))
                raise LookupFailure(f"{spec!r} is none of: {listed}; nor a file.py:Class or a pkg.mod:Class")
            cls = _loaded(next(iter(points)))
    if not (inspect.isclass(cls) and issubclass(cls, base)):
        raise LookupFailure(f"{spec}: not a subclass of {base.__module__}.{base.__name__}")
    return cls


def class_key(cls: type) -> dict[str, str]:
    """How a class enters an identity: by name and version inside the suite, by its source's hash outside."""
    key: dict[str, str] = {"class": f"{cls.__module__}:{cls.__qualname__}"}
    if cls.__module__.startswith("reshift."):
        key["version"] = str(getattr(cls, "version", 1))
    else:
        source = Path(inspect.getfile(cls)).read_bytes()
        key = {"class": cls.__qualname__, "source": hashlib.sha256(source).hexdigest()}
    return key


def full_arguments(cls: type, given: dict[str, Any], where: str) -> dict[str, Any]:
    """All arguments of a class, defaults included and types checked, as plain values.

    Raises:
        LookupFailure: an unknown argument or a value of the wrong type; names the key.
    """
    parser = parser_for(cls)
    try:
        parsed: dict[str, Any] = parser.parse_object(given, defaults=True).as_dict()
    except Exception as error:
        text = " ".join(str(error).split())
        raise LookupFailure(f"{where}: {cls.__name__} does not take these arguments: {text}") from error
    return parsed


def build(cls: type[T], arguments: dict[str, Any]) -> T:
    """An instance from plain values, as `full_arguments` gives them; nested classes are built too."""
    parser = parser_for(cls)
    ready = parser.instantiate_classes(parser.parse_object(arguments))
    return cls(**ready.as_dict())


def parser_for(cls: type) -> ArgumentParser:
    """A parser for a class's arguments that raises instead of leaving the program."""
    parser = ArgumentParser(exit_on_error=False, allow_abbrev=False)
    parser.add_class_arguments(cls, fail_untyped=False)
    return parser


def _loaded(point: EntryPoint) -> Any:
    try:
        return point.load()
    except Exception as error:
        # Whatever an installed package raises while it is imported is for its author to mend.
        raise LookupFailure(f"entry point {point.name}: does not import: {type(error).__name__}: {error}") from error


def _from_module(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise LookupFailure(f"{name}: cannot be imported ({error}); is it installed or on PYTHONPATH?") from error


def _from_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise LookupFailure(f"{path}: no such file")
    # The path is part of the module's name, so two users' files called model.py do not meet.
    name = f"reshift_user_{path.stem}_{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:8]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise LookupFailure(f"{path}: not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise LookupFailure(f"{path}: does not import: {type(error).__name__}: {error}") from error
    return module
