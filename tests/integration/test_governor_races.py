"""Eight processes validate at once: no limit is exceeded, and no reservation outlives its end."""

from __future__ import annotations

import os
import random
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from pipeline.domain.ids import PermitId
from pipeline.domain.permits import Denied, OrderTerms, Permit
from pipeline.domain.standing import Horizon
from pipeline.governor.assess import assess
from pipeline.governor.permits import PermitAuthority
from pipeline.ledger.sql import SqlLedger
from tests.integration.ledger_racers import RACERS, STORES, migrated, race
from tests.unit.governor.worlds import INSTRUMENT, KEY, LIMITS, NOW, FixedClock, a_view, an_intent
from tests.unit.ledger.ledger_worlds import a_decision

ROUNDS = 1250 if os.environ.get("TEST_LONG") else 25
ACCOUNT, ROOM, TTL_S = "main", Decimal(3000), 4
TIGHT = replace(
    LIMITS,
    max_exposure_usdt=ROOM,
    max_positions=Decimal(100),
    max_position_notional_usdt=Decimal(10**6),
    duplicate_within_s=Decimal(0),
    max_orders_per_s=Decimal(1000),
    equity_max_age_s=Decimal(10**6),
    quote_max_age_s=Decimal(10**6),
    reconciled_max_age_s=Decimal(10**6),
    max_orders_per_minute=Decimal(10**6),
)


@pytest.fixture(params=STORES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return migrated(request, tmp_path)


def moment(turn: int) -> datetime:
    """Rounds lie a second apart and permits live four: what earlier rounds reserved is still in the way."""
    return NOW + timedelta(seconds=turn)


def total(permits: Sequence[Permit]) -> Decimal:
    return sum((each.reserved for each in permits), Decimal(0))


def validate(ledger: SqlLedger, racer: int, turn: int) -> tuple[str, Decimal]:
    """What the validate stage does in its transaction, and then one of the three ends of a permit."""
    now, decision = moment(turn), a_decision(f"S{racer}/{turn}", NOW, account=ACCOUNT)
    intent = an_intent(symbol=f"S{racer}", qty=Decimal(random.randint(1, 10)), priced_at=now)
    terms = OrderTerms.of(intent, decision.decision_id, ACCOUNT, decision.mode)
    with ledger.begin() as unit:
        unit.permits.lock_budget(ACCOUNT)
        assert unit.decisions.open(decision) is None
        horizon = Horizon(orders=now, latch=now, losses=now, beats=now)
        held_before = tuple(unit.standing(ACCOUNT, intent.symbol, now, horizon).reserving)
        instrument = replace(INSTRUMENT, symbol=intent.symbol)
        view = a_view(now=now, exchange_now=now, instrument=instrument, reserving=held_before)
        answer = assess(intent, terms, view, TIGHT, PermitAuthority(KEY, TTL_S, FixedClock(now)))
        unit.verdicts.add_checks(decision.decision_id, intent.leg, answer.verdicts)
        if isinstance(answer, Denied):
            return answer.reason.value, total(held_before)
        assert unit.permits.add(answer)
        held = total(unit.permits.reserving(ACCOUNT, now))
    _finish(ledger, answer.permit_id, now)
    return "permitted", held


def _finish(ledger: SqlLedger, permit_id: PermitId, now: datetime) -> None:
    """A third is used, a third released, a third left to expire."""
    how = random.choice(("use", "release", "expire"))
    if how == "expire":
        return
    with ledger.begin(durable=True) as unit:
        assert unit.permits.use(permit_id, now) if how == "use" else unit.permits.release(permit_id)


def test_racing_reservations_never_exceed_a_limit_and_none_leaks(url: str) -> None:
    """D4: each looks at what is reserved, then reserves; what has ended holds nothing."""
    answers = [answer for round_ in race(url, validate, ROUNDS) for answer in round_]
    assert all(isinstance(answer, tuple) for answer in answers), [a for a in answers if isinstance(a, str)][
        :3
    ]
    said = Counter(answer for answer, _ in answers)
    assert max(held for _, held in answers) <= ROOM
    assert set(said) == {"permitted", "MAX_EXPOSURE"}, said
    assert len(answers) == ROUNDS * RACERS
    ledger = SqlLedger(url)
    with ledger.read() as unit:
        left = unit.permits.reserving(ACCOUNT, moment(ROUNDS + TTL_S))
    ledger.close()
    assert left == []
    most = max(held for _, held in answers)
    sys.stdout.write(f"{len(answers)} reservations: {dict(said)}, at most {most} of {ROOM} held\n")
