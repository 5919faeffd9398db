"""What strategies and checks answered."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from sqlalchemy import bindparam, select

from pipeline.domain.checks import CheckCode, CheckVerdict
from pipeline.domain.ids import DecisionId
from pipeline.domain.intents import Leg
from pipeline.domain.signals import NearestMiss, Regime, Side, Signal, StrategyVerdict
from pipeline.ledger.columns import plain_text
from pipeline.ledger.repository import Repository, insert_once
from pipeline.ledger.tables import assessments, strategy_verdicts

_LEGS = list(Leg)

_INSERT = insert_once(strategy_verdicts)
_OF = (
    select(strategy_verdicts)
    .where(strategy_verdicts.c.decision_id == bindparam("id"))
    .order_by(strategy_verdicts.c.place)
)
_INSERT_CHECKS = insert_once(assessments)
_CHECKS_OF = select(assessments.c.leg, assessments.c.verdicts).where(
    assessments.c.decision_id == bindparam("id")
)


class SqlVerdicts(Repository):
    """Fulfils `ports.Verdicts`. Both kinds keep the order in which they were given."""

    __slots__ = ()

    def add(self, decision_id: DecisionId, verdicts: Iterable[StrategyVerdict]) -> None:
        self._write(_INSERT, *[_row(decision_id, place, verdict) for place, verdict in enumerate(verdicts)])

    def of(self, decision_id: DecisionId) -> Sequence[StrategyVerdict]:
        return [_verdict(row) for row in self._all(_OF, {"id": decision_id})]

    def add_checks(self, decision_id: DecisionId, leg: Leg, verdicts: Iterable[CheckVerdict]) -> None:
        records = _check_records(tuple(verdicts))
        self._write(_INSERT_CHECKS, {"decision_id": decision_id, "leg": leg, "verdicts": records})

    def checks_of(self, decision_id: DecisionId) -> Sequence[CheckVerdict]:
        rows = sorted(self._all(_CHECKS_OF, {"id": decision_id}), key=lambda row: _LEGS.index(row["leg"]))
        return [_check(**record) for row in rows for record in row["verdicts"]]


def _row(decision_id: DecisionId, place: int, verdict: StrategyVerdict) -> dict[str, object]:
    miss = verdict.nearest_miss
    return {
        "decision_id": decision_id,
        "strategy": verdict.strategy,
        "place": place,
        "kind": verdict.kind,
        "regime": verdict.regime,
        "signal": None if verdict.signal is None else verdict.signal.as_record(),
        "miss_condition": None if miss is None else miss.condition,
        "miss_value": None if miss is None else _number(miss.value),
        "miss_threshold": None if miss is None else _number(miss.threshold),
        "error": verdict.error,
        "chosen": verdict.chosen,
        "run_ms": verdict.run_ms,
    }


def _number(value: float) -> float | None:
    """SQLite has no NaN; both databases keep it as NULL."""
    return None if math.isnan(value) else value


def _verdict(row: Mapping[str, Any]) -> StrategyVerdict:
    return StrategyVerdict(
        strategy=row["strategy"],
        kind=row["kind"],
        regime=row["regime"],
        signal=None if row["signal"] is None else _signal(row["signal"]),
        nearest_miss=_miss(row),
        error=row["error"],
        chosen=row["chosen"],
        run_ms=row["run_ms"],
    )


def _miss(row: Mapping[str, Any]) -> NearestMiss | None:
    if row["miss_condition"] is None:
        return None
    return NearestMiss(row["miss_condition"], _or_nan(row["miss_value"]), _or_nan(row["miss_threshold"]))


def _or_nan(number: float | None) -> float:
    return math.nan if number is None else number


def _signal(record: Mapping[str, str]) -> Signal:
    return Signal(
        side=Side(record["side"]),
        score=Decimal(record["score"]),
        entry=Decimal(record["entry"]),
        stop_loss=Decimal(record["stop_loss"]),
        take_profit=Decimal(record["take_profit"]),
        reason=record["reason"],
        regime=Regime(record["regime"]),
    )


def _check_records(verdicts: Sequence[CheckVerdict]) -> Sequence[CheckVerdict]:
    """Few hold anything that a database cannot, or a secret: one look at all of them together tells. As JSON each is
    an object of its fields.
    """
    said = "\n".join([part for each in verdicts for part in (each.value, each.limit, each.detail)])
    return verdicts if plain_text(said) == said else [_plain(each) for each in verdicts]


def _plain(verdict: CheckVerdict) -> CheckVerdict:
    return replace(
        verdict,
        value=plain_text(verdict.value),
        limit=plain_text(verdict.limit),
        detail=plain_text(verdict.detail),
    )


def _check(*, code: str, ok: bool, value: str, limit: str, detail: str) -> CheckVerdict:
    return CheckVerdict(CheckCode(code), ok, value, limit, detail)
