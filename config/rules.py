"""What a configuration must fulfil beyond each key's own type and limits."""

from __future__ import annotations

from collections.abc import Mapping

from config.layers import Layer
from config.problems import Problems
from config.settings import Settings
from pipeline.domain.decisions import Mode

LONGER = (
    ("governor.equity_max_age_s", "chain.equity_every_s", "the equity would always be too old to trade by"),
    ("governor.reconciled_max_age_s", "chain.reconcile_every_s", "the books would never count as reconciled"),
    ("watch.silent_after_s", "watch.pulse_every_s", "every living process would count as silent"),
)
"""The first must be longer than the second, or else."""


def check_rules(settings: Settings | None, above: Layer, env: Mapping[str, str], problems: Problems) -> None:
    """Each broken rule is added to the problems."""
    if settings is None:
        return
    if settings.mode is Mode.LIVE and env.get("THROUGHLINE_ALLOW_LIVE") != "yes":
        problems.add(
            above["mode"].where,
            "mode is live, which trades real money, and nothing else says that you mean it",
            "the variable THROUGHLINE_ALLOW_LIVE=yes beside it",
        )
    if not settings.universe.symbols:
        where = above["universe.symbols"].where
        problems.add(where, "universe.symbols is empty: nothing would be traded", "at least one symbol")
    _check_time(settings, above, problems)
    _check_rest(settings, above, problems)
    for longer, shorter, why in LONGER:
        _check_longer(settings, above, problems, longer=longer, shorter=shorter, why=why)


def _check_time(settings: Settings, above: Layer, problems: Problems) -> None:
    """All strategies together must fit into their stage, or one that hangs would take the others with it."""
    count, limit_s = len(settings.strategies.enabled), settings.strategies.time_limit_s
    if count * limit_s >= settings.chain.soft_time_limit_s:
        problems.add(
            _where(above, "strategies.time_limit_s", "strategies.enabled", "chain.soft_time_limit_s"),
            f"strategies.time_limit_s is {limit_s:g}: {count * limit_s:g} s for all {count} strategies",
            f"less than chain.soft_time_limit_s ({settings.chain.soft_time_limit_s:g} s) for all of them",
        )


def _check_longer(
    settings: Settings, above: Layer, problems: Problems, *, longer: str, shorter: str, why: str
) -> None:
    told, than = _number_at(settings, longer), _number_at(settings, shorter)
    if told <= than:
        problems.add(
            _where(above, longer, shorter),
            f"{longer} is {told:g}: {why}",
            f"more than {shorter} ({than:g} s)",
        )


def _where(above: Layer, *keys: str) -> str:
    """Who has set these keys; the first one's name when nobody has."""
    return " and ".join(dict.fromkeys(above[key].where for key in keys if key in above)) or keys[0]


def _number_at(settings: Settings, key: str) -> float:
    section, _, name = key.partition(".")
    return float(getattr(getattr(settings, section), name))


def _check_rest(settings: Settings, above: Layer, problems: Problems) -> None:
    """Whoever waits for a resting order must not be stopped by the clock before it has cancelled it."""
    execution, limit_s = settings.execution, settings.chain.soft_time_limit_s
    waits_s = min(execution.rest_s * execution.max_attempts, settings.governor.permit_ttl_s)
    if execution.order == "limit" and waits_s + settings.exchange.timeout_s >= limit_s:
        problems.add(
            _where(above, "execution.rest_s", "chain.soft_time_limit_s"),
            f"execution.rest_s is {execution.rest_s:g}: orders of one decision may rest for {waits_s:g} s",
            f"less than chain.soft_time_limit_s ({limit_s:g} s) together with exchange.timeout_s",
        )
