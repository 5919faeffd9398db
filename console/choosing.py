"""The strategies that the settings choose, judged before anything is started."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from config.loading import Loaded
from pipeline.domain.errors import ConfigError

if TYPE_CHECKING:
    from pipeline.strategies.registry import Broken, Registry


def require_strategies(loaded: Loaded) -> None:
    """Raises: ConfigError, with all that is wrong and where it was set; also when none is left to run."""
    wrong = _all_wrong(loaded)
    if len(wrong) == 1:
        raise wrong[0]
    if wrong:
        lines = "\n".join(f"  - {each}" for each in wrong)
        raise ConfigError(f"the strategies have {len(wrong)} problems:\n{lines}")


def _all_wrong(loaded: Loaded) -> list[ConfigError]:
    from pipeline.strategies import registry  # noqa: PLC0415  with it comes numpy, and every command imports this module

    wanted = loaded.settings.strategies
    try:
        known, broken = registry.everything(wanted.folder)
        if wrong := faults(loaded, known, broken):
            return wrong
        usable = registry.build(wanted.enabled, wanted.params, known, broken)
        registry.enough_bars(usable, loaded.settings.market.bars)
    except ConfigError as fault:
        return [_placed(fault, loaded)]
    return [] if usable else [_placed(_none(), loaded)]


def _none() -> ConfigError:
    remedy = "`throughline strategies list` says which there are, and what is broken."
    return ConfigError("no strategy can be used.", where="strategies.enabled", remedy=remedy)


def faults(loaded: Loaded, known: Registry, broken: Sequence[Broken]) -> list[ConfigError]:
    """What the settings have wrong, each with the place where it was set."""
    from pipeline.strategies import registry  # noqa: PLC0415  as above

    wanted = loaded.settings.strategies
    return [_placed(fault, loaded) for fault in registry.faults(wanted.enabled, wanted.params, known, broken)]


def _placed(fault: ConfigError, loaded: Loaded) -> ConfigError:
    return ConfigError(fault.what, where=loaded.place(fault.where), remedy=fault.remedy)
