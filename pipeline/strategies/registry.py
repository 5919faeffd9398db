"""Which strategies there are: a dict of classes by name, built in, from installed packages, from a folder."""

from __future__ import annotations

import difflib
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import MappingProxyType, ModuleType

from pydantic import ValidationError

from pipeline.domain.errors import ConfigError
from pipeline.strategies.adaptive_ob import AdaptiveOb
from pipeline.strategies.adaptive_str import AdaptiveStr
from pipeline.strategies.interface import AnyStrategy, Strategy
from pipeline.strategies.trend_follow import TrendFollow

Registry = Mapping[str, type[AnyStrategy]]

BUILT_IN: Registry = MappingProxyType(
    {strategy.name: strategy for strategy in (AdaptiveOb, AdaptiveStr, TrendFollow)}
)

ENTRY_POINTS = "throughline.strategies"
"""The group in which an installed package names its strategies: `mine = "my_package.module:MyStrategy"`."""


@dataclass(frozen=True, slots=True)
class Broken:
    """A file, or an installed package's entry point, that could not be used: where, and what is wrong.

    Only this one is left out. An entry point whose module was not found stands here by its own text.
    """

    file: Path
    line: int
    what: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.what}"

    def mentions(self, name: str) -> bool:
        """Whether a strategy of that name may stand in it: the only one that must be missed."""
        if name in self.what or name in self.file.stem:
            return True
        return self.file.is_file() and name in self.file.read_text(encoding="utf-8", errors="replace")


def build(
    enabled: Sequence[str],
    params: Mapping[str, Mapping[str, object]],
    known: Registry = BUILT_IN,
    broken: Sequence[Broken] = (),
) -> tuple[AnyStrategy, ...]:
    """The enabled strategies with their parameters, in the order in which they are named.

    One that stands in a broken file is left out: the file stops only itself. Raises: ConfigError, naming the
    key, for a strategy that nobody knows and for parameters that do not fit.
    """
    for fault in faults(enabled, params, known, broken):
        raise fault
    return tuple(_built(known[name], params.get(name, {})) for name in enabled if name in known)


def faults(
    enabled: Sequence[str],
    params: Mapping[str, Mapping[str, object]],
    known: Registry = BUILT_IN,
    broken: Sequence[Broken] = (),
) -> Iterator[ConfigError]:
    """What is wrong with these settings: names that nobody knows, parameters that do not fit. Each names its key."""
    for key, names in (("strategies.enabled", enabled), ("strategies.params", params)):
        for name in names:
            if name not in known and not any(each.mentions(name) for each in broken):
                yield unknown(name, known, key)
    for name in dict.fromkeys([*enabled, *params]):
        if name in known:
            yield from _misfit(known[name], params.get(name, {}))


def enough_bars(strategies: Sequence[AnyStrategy], bars: int) -> None:
    """Raises: ConfigError when a strategy wants more bars than a decision sees: it would never be asked."""
    for strategy in strategies:
        if strategy.warm_up > bars:
            raise ConfigError(
                f"{bars} bars are too few for {strategy.name}, which wants {strategy.warm_up}.",
                where="market.bars",
                remedy=f"Set {strategy.warm_up} or more, or take {strategy.name} out of strategies.enabled",
            )


def _built(strategy: type[AnyStrategy], values: Mapping[str, object]) -> AnyStrategy:
    try:
        return strategy(strategy.params_type.model_validate(dict(values)))
    except ValidationError as problem:
        raise _unfit(strategy, problem) from problem


def _misfit(strategy: type[AnyStrategy], values: Mapping[str, object]) -> Iterator[ConfigError]:
    try:
        _built(strategy, values)
    except ConfigError as fault:
        yield fault


def unknown(name: str, known: Iterable[str], where: str = "") -> ConfigError:
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1)
    hint = f"Did you mean {near[0]}? " if near else ""
    remedy = f"{hint}Known are {', '.join(names)}."
    return ConfigError(f"there is no strategy called '{name}'.", where=where, remedy=remedy)


def _unfit(strategy: type[AnyStrategy], problem: ValidationError) -> ConfigError:
    first = problem.errors(include_url=False)[0]
    key = ".".join(["strategies", "params", strategy.name, *map(str, first["loc"])])
    if first["type"] == "extra_forbidden":
        choice = ", ".join(sorted(strategy.params_type.model_fields)) or "none"
        return ConfigError("there is no such parameter.", where=key, remedy=f"Known are {choice}.")
    return ConfigError(f"{first['input']!r} does not fit.", where=key, remedy=f"{first['msg']}.")


def from_folder(
    folder: Path, known: Registry = BUILT_IN
) -> tuple[dict[str, type[AnyStrategy]], list[Broken]]:
    """All strategy classes of the folder's `*.py` files, by name, and the files that could not be used.

    A name that is known already, or that two files claim, is refused: which one runs must never be a
    matter of luck. Files whose name begins with an underscore are left alone. Raises: ConfigError when
    there is no such folder.
    """
    if not folder.is_dir():
        raise ConfigError(
            f"{folder} is not a folder.",
            where="strategies.folder",
            remedy="Create it, or name the one with your strategies.",
        )
    found: dict[str, type[AnyStrategy]] = {}
    broken: list[Broken] = []
    for file in sorted(folder.glob("[!_]*.py")):
        try:
            _take(file.name, _strategies_of(_imported(file)), found, known)
        except Exception as problem:  # noqa: BLE001 - whatever a user's file does wrong stops only that file
            broken.append(Broken(file, _line(problem, file), f"{type(problem).__name__}: {problem}"))
    return found, broken


def _imported(file: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"throughline_strategies_{file.stem}", file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    # pydantic and dataclasses look a class's module up by name to resolve its annotations.
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[spec.name]
        raise
    return module


def _strategies_of(module: ModuleType) -> list[type[AnyStrategy]]:
    own = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Strategy) and value.__module__ == module.__name__
    ]
    if not own:
        raise LookupError("there is no class in it that derives from Strategy")
    return own


def everything(folder: str = "") -> tuple[Registry, list[Broken]]:
    """All strategies by name: built in, of installed packages, of the folder (if any); and what is broken.

    Raises: ConfigError when there is no such folder.
    """
    packaged, broken = from_packages()
    known = {**BUILT_IN, **packaged}
    if folder:
        own, unusable = from_folder(Path(folder), known)
        known |= own
        broken += unusable
    return known, broken


def from_packages(known: Registry = BUILT_IN) -> tuple[dict[str, type[AnyStrategy]], list[Broken]]:
    """The strategies that installed packages offer as entry points, by name, and those that could not be
    used.
    """
    found: dict[str, type[AnyStrategy]] = {}
    broken: list[Broken] = []
    for point in sorted(entry_points(group=ENTRY_POINTS), key=lambda point: (point.name, point.value)):
        try:
            _take(point.value, [_loaded(point)], found, known)
        except Exception as problem:  # noqa: BLE001 - whatever a package does wrong stops only its strategy
            broken.append(_broken_package(point, problem))
    return found, broken


def _loaded(point: EntryPoint) -> type[AnyStrategy]:
    strategy = point.load()
    if not (inspect.isclass(strategy) and issubclass(strategy, Strategy)):
        raise TypeError(f"entry point '{point.name}' is not a class that derives from Strategy")
    return strategy


def _broken_package(point: EntryPoint, problem: Exception) -> Broken:
    """Named by the file where it went wrong, where that is the package's own."""
    of = f"{point.dist.name}: " if point.dist else ""
    module = sys.modules.get(point.module)
    file = Path(getattr(module, "__file__", None) or _deepest_file(problem) or point.value)
    return Broken(file, _line(problem, file), f"{of}{type(problem).__name__}: {problem}")


def _deepest_file(problem: Exception) -> str | None:
    if isinstance(problem, SyntaxError):
        return problem.filename
    names = [frame.filename for frame in traceback.extract_tb(problem.__traceback__)]
    own = [name for name in names if "importlib" not in name and name != __file__]
    return own[-1] if own else None


def _take(
    source: str, strategies: Iterable[type[AnyStrategy]], found: dict[str, type[AnyStrategy]], known: Registry
) -> None:
    for strategy in strategies:
        name = getattr(strategy, "name", None)
        if not isinstance(name, str) or not name:
            raise TypeError(f'class {strategy.__name__} has no name; write name = "my_strategy" in it')
        if name in known or name in found:
            raise ValueError(f"the name '{name}' is taken; give {source} another")
        found[name] = strategy


def _line(problem: Exception, file: Path) -> int:
    """The line of the file where it went wrong; 1 when the fault has no place of its own."""
    if isinstance(problem, SyntaxError):
        return problem.lineno or 1
    places = [
        frame.lineno for frame in traceback.extract_tb(problem.__traceback__) if frame.filename == str(file)
    ]
    return places[-1] or 1 if places else 1
