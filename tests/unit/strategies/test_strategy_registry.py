"""The registry: strategies by name, faults by name and line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.domain.errors import ConfigError
from pipeline.domain.signals import VerdictKind
from pipeline.strategies.adaptive_ob import AdaptiveObParams
from pipeline.strategies.judge import judge
from pipeline.strategies.registry import (
    BUILT_IN,
    ENTRY_POINTS,
    build,
    enough_bars,
    everything,
    from_folder,
    from_packages,
)
from tests.unit.strategies.markets import random_minutes, windows

GOOD = """
from pipeline.strategies.interface import Candles, NearestMiss, Params, Strategy, View


class Patient(Strategy[Params]):
    name = "patient"

    def indicators(self, candles: Candles):
        return {}

    def signal(self, view: View):
        return NearestMiss("never", 0.0, 1.0)
"""


def test_enabled_strategies_come_in_their_order_with_their_parameters() -> None:
    """The order decides between equal scores, so it must be the one that was written."""
    strategies = build(["adaptive_str", "adaptive_ob"], {"adaptive_ob": {"stop_atr": 3}})
    assert [strategy.name for strategy in strategies] == ["adaptive_str", "adaptive_ob"]
    assert strategies[1].params == AdaptiveObParams(stop_atr=3.0)


def test_an_unknown_strategy_is_named_with_its_nearest_spelling() -> None:
    """A typo must stop the start: the strategy would otherwise just never trade."""
    with pytest.raises(ConfigError, match=r"adaptive_bo.*Did you mean adaptive_ob"):
        build(["adaptive_bo"], {})


def test_parameters_of_an_unknown_strategy_are_refused() -> None:
    """Somebody wrote them for a reason."""
    with pytest.raises(ConfigError, match="adaptive_xy"):
        build(["adaptive_ob"], {"adaptive_xy": {}})


@pytest.mark.parametrize(
    ("values", "key"),
    [
        ({"stop_atr": -1}, "strategies.params.adaptive_ob.stop_atr"),
        ({"stop_atr": float("nan")}, "strategies.params.adaptive_ob.stop_atr"),
        ({"rsi_period": "many"}, "strategies.params.adaptive_ob.rsi_period"),
        ({"stop_art": 2}, "strategies.params.adaptive_ob.stop_art"),
    ],
)
def test_parameters_that_do_not_fit_are_named_by_key(values: dict[str, object], key: str) -> None:
    """The message must say where in the file to look."""
    with pytest.raises(ConfigError) as refusal:
        build(["adaptive_ob"], {"adaptive_ob": values})
    assert refusal.value.where == key


def test_parameters_cannot_be_changed_afterwards() -> None:
    """What the configuration hash says is what runs."""
    strategy = build(["adaptive_ob"], {})[0]
    with pytest.raises(ValueError, match="frozen"):
        strategy.params.stop_atr = 9.0


def test_a_strategy_in_a_folder_is_found_by_its_name(tmp_path: Path) -> None:
    """One file, no other step."""
    (tmp_path / "mine.py").write_text(GOOD)
    (tmp_path / "_helper.py").write_text("raise RuntimeError('not a strategy')")
    found, broken = from_folder(tmp_path)
    assert broken == []
    assert [strategy.name for strategy in build(["patient"], {}, {**BUILT_IN, **found})] == ["patient"]


def test_the_example_of_the_guide_works_as_it_stands(tmp_path: Path) -> None:
    """People begin by copying it."""
    guide = (Path(__file__).resolve().parents[3] / "docs" / "strategies.md").read_text()
    example = guide.split("```python\n")[1].split("```")[0]
    (tmp_path / "buy_the_dip.py").write_text(example)
    found, broken = from_folder(tmp_path)
    assert broken == []
    strategies = build(["buy_the_dip"], {"buy_the_dip": {"depth": 0.001}}, {**BUILT_IN, **found})
    kinds = {judge(strategies, window)[0].kind for window in windows(random_minutes(3400))}
    assert kinds == {VerdictKind.SIGNAL, VerdictKind.NO_SIGNAL}


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("import math\ndef broken(:\n    pass\n", 2, "SyntaxError"),
        ("import math\n\nmath.no_such_thing\n", 3, "no_such_thing"),
        ("import no_such_module_anywhere\n", 1, "no_such_module_anywhere"),
        ("x = 1\n", 1, "derives from Strategy"),
        (GOOD.replace('name = "patient"', "pass"), 1, "has no name"),
        (GOOD.replace('"patient"', '"adaptive_ob"'), 1, "is taken"),
    ],
)
def test_a_broken_file_is_reported_with_its_line_and_stops_only_itself(
    tmp_path: Path, text: str, line: int, says: str
) -> None:
    """A half-finished idea in the folder must not keep the others from trading."""
    (tmp_path / "a_broken.py").write_text(text)
    (tmp_path / "good.py").write_text(GOOD)
    found, broken = from_folder(tmp_path)
    assert list(found) == ["patient"]
    assert [(fault.file.name, fault.line) for fault in broken] == [("a_broken.py", line)]
    assert says in broken[0].what


def test_a_folder_that_is_not_there_is_a_configuration_error(tmp_path: Path) -> None:
    """A mistyped path would otherwise be an empty folder."""
    with pytest.raises(ConfigError, match="nowhere"):
        from_folder(tmp_path / "nowhere")


def test_strategies_load_without_pandas_and_polars() -> None:
    """TA-Lib's package would pull them in: 48 MB and a tenth of a second for each worker child."""
    code = (
        "import sys, pipeline.strategies.registry as r; "
        "print(sorted({'pandas', 'polars'} & set(sys.modules))); import pandas"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def installed(folder: Path, name: str, module: str, text: str, point: str) -> None:
    """What an installed package looks like: a module, and its metadata beside it."""
    (folder / f"{module}.py").write_text(text)
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{ENTRY_POINTS}]\n{point}\n")


def test_an_installed_package_brings_its_strategies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`pip install` and its name in the configuration: no other step."""
    installed(tmp_path, "good-ideas", "good_ideas_1", GOOD, "patient = good_ideas_1:Patient")
    monkeypatch.syspath_prepend(tmp_path)
    known, broken = everything()
    assert broken == []
    assert [strategy.name for strategy in build(["patient", "adaptive_ob"], {}, known)] == [
        "patient",
        "adaptive_ob",
    ]


@pytest.mark.parametrize(
    ("text", "point", "line", "says"),
    [
        ("x = 1\n\nimport nowhere_at_all\n", "a = {module}:Patient", 3, "nowhere_at_all"),
        ("x = 1\n", "a = {module}:x", 1, "not a class"),
        (GOOD.replace('"patient"', '"adaptive_ob"'), "a = {module}:Patient", 1, "is taken"),
    ],
)
def test_a_broken_package_is_reported_and_stops_only_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, point: str, line: int, says: str
) -> None:
    """The name of the distribution and the line: its author is somebody else."""
    module = f"bad_ideas_{abs(hash((text, point)))}"
    installed(tmp_path, "bad-ideas", module, text, point.format(module=module))
    monkeypatch.syspath_prepend(tmp_path)
    found, broken = from_packages()
    assert found == {}
    (fault,) = broken
    assert (fault.file.name, fault.line) == (f"{module}.py", line)
    assert "bad-ideas" in fault.what
    assert says in fault.what


def test_an_enabled_strategy_in_a_broken_file_is_left_out_and_the_others_run(tmp_path: Path) -> None:
    """A typo in one file at night must not stop the strategies that were fine."""
    (tmp_path / "a_broken.py").write_text('name = "sleepless"\nimport no_such_module_anywhere\n')
    known, broken = everything(str(tmp_path))
    names = ["sleepless", "adaptive_ob"]
    assert [strategy.name for strategy in build(names, {}, known, broken)] == ["adaptive_ob"]
    with pytest.raises(ConfigError, match="never_written"):
        build(["never_written"], {}, known, broken)


def test_fewer_bars_than_a_strategy_wants_is_a_configuration_error() -> None:
    """It would run, say "no signal" for ever, and nobody would know why."""
    with pytest.raises(ConfigError, match=r"150 bars are too few for adaptive_ob"):
        enough_bars(build(["adaptive_ob"], {}), 150)
