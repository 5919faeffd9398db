"""Switches stand as they were last set, and their history stays."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import select

from pipeline.domain.errors import InvariantBroken
from pipeline.domain.switches import KillScope, KillSwitch, TradingState
from pipeline.ledger.sql import SqlLedger
from pipeline.ledger.tables import switch_events
from tests.unit.ledger.ledger_worlds import ACCOUNT, BTC, NOW, SECOND

EVERYTHING = KillSwitch(scope=KillScope.GLOBAL, name="", reason="test", set_by="anna", set_at=NOW)
ONE_SYMBOL = KillSwitch(
    scope=KillScope.SYMBOL, name=BTC, reason="odd book", set_by="ben", set_at=NOW + SECOND
)


def test_a_switch_that_was_set_is_on_until_it_is_cleared(ledger: SqlLedger) -> None:
    """The governor reads it for every order."""
    with ledger.begin() as unit:
        unit.switches.set(EVERYTHING)
        unit.switches.set(ONE_SYMBOL)
    with ledger.begin() as unit:
        assert list(unit.switches.on()) == [EVERYTHING, ONE_SYMBOL]
        assert unit.switches.clear(KillScope.GLOBAL, "", by="anna", reason="over", at=NOW)
        assert not unit.switches.clear(KillScope.GLOBAL, "", by="anna", reason="over", at=NOW)
        assert list(unit.switches.on()) == [ONE_SYMBOL]


def test_setting_a_switch_again_renews_its_reason(ledger: SqlLedger) -> None:
    """It is one switch, whoever sets it."""
    renewed = replace(EVERYTHING, reason="still", set_by="ben")
    with ledger.begin() as unit:
        unit.switches.set(EVERYTHING)
        unit.switches.set(renewed)
        assert list(unit.switches.on()) == [renewed]


def test_a_global_switch_has_no_name_and_every_other_has_one(ledger: SqlLedger) -> None:
    """A switch for the symbol '' would cover nothing and look as if it did."""
    for wrong in (replace(EVERYTHING, name=BTC), replace(ONE_SYMBOL, name="")):
        with pytest.raises(InvariantBroken), ledger.begin() as unit:
            unit.switches.set(wrong)


def test_trading_is_halted_until_somebody_says_otherwise(ledger: SqlLedger) -> None:
    """Fail closed."""
    with ledger.begin() as unit:
        assert unit.switches.trading_state(ACCOUNT) is TradingState.HALTED
        unit.switches.set_trading_state(ACCOUNT, TradingState.ACTIVE, by="start", reason="reconciled", at=NOW)
        assert unit.switches.trading_state(ACCOUNT) is TradingState.ACTIVE
        assert unit.switches.trading_state("live:main") is TradingState.HALTED


def test_every_change_of_a_switch_or_state_is_kept(ledger: SqlLedger) -> None:
    """Who did it, when and why: also of what stands no longer."""
    with ledger.begin() as unit:
        unit.switches.set(ONE_SYMBOL)
        unit.switches.clear(KillScope.SYMBOL, BTC, by="cleo", reason="fine again", at=NOW + 2 * SECOND)
        unit.switches.set_trading_state(ACCOUNT, TradingState.REDUCING, by="dora", reason="calm", at=NOW)
    with ledger.engine.connect() as connection:
        rows = connection.execute(select(switch_events).order_by(switch_events.c.event_id)).all()
    assert [tuple(row)[1:] for row in rows] == [
        ("symbol", BTC, "on", "odd book", "ben", NOW + SECOND),
        ("symbol", BTC, "off", "fine again", "cleo", NOW + 2 * SECOND),
        ("trading_state", ACCOUNT, "REDUCING", "calm", "dora", NOW),
    ]


def test_the_latest_session_is_the_one_started_last(ledger: SqlLedger) -> None:
    """Its configuration is what the next start is compared with."""
    with ledger.begin() as unit:
        assert unit.sessions.latest() is None
        for number in (1, 2, 2):
            unit.sessions.start(
                session_id=f"session_{number}",
                config_hash="c0ffee",
                account=ACCOUNT,
                mode="paper",
                snapshot={"chain": {"cadence_s": 30.0}},
                at=NOW + number * SECOND,
            )
        assert unit.sessions.latest() == {
            "session_id": "session_2",
            "config_hash": "c0ffee",
            "account": ACCOUNT,
            "mode": "paper",
            "snapshot": {"chain": {"cadence_s": 30.0}},
            "started_at": NOW + 2 * SECOND,
        }
