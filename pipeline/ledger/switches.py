"""Kill switches and trading states: how they stand, and who changed them when and why."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import bindparam, delete, select
from sqlalchemy import insert as plain_insert

from pipeline.domain.switches import KillScope, KillSwitch, TradingState
from pipeline.ledger.repository import Query, Repository, every, insert, reader
from pipeline.ledger.tables import kill_switches, switch_events, trading_states

STATE_SCOPE = "trading_state"

_values = reader(KillSwitch)

ON = every(select(kill_switches).order_by(kill_switches.c.set_at), KillSwitch)
_INSERT = insert(kill_switches)
_SET = _INSERT.on_conflict_do_update(
    index_elements=["scope", "name"],
    set_={name: _INSERT.excluded[name] for name in ("reason", "set_by", "set_at")},
)
_CLEAR = delete(kill_switches).where(
    kill_switches.c.scope == bindparam("of_scope"), kill_switches.c.name == bindparam("of_name")
)
STATE: Query[TradingState] = Query(
    select(trading_states.c.state).where(trading_states.c.account == bindparam("of_account")),
    lambda rows: rows[0]["state"] if rows else TradingState.HALTED,
)
_INSERT_STATE = insert(trading_states)
_SET_STATE = _INSERT_STATE.on_conflict_do_update(
    index_elements=["account"],
    set_={name: _INSERT_STATE.excluded[name] for name in ("state", "reason", "set_by", "set_at")},
)
_NOTE = plain_insert(switch_events).inline()


class SqlSwitches(Repository):
    """Fulfils `ports.Switches`. Every change is also a row of `switch_events`, which only grows."""

    __slots__ = ()

    def on(self) -> Sequence[KillSwitch]:
        return self._ask(ON, {})

    def set(self, switch: KillSwitch) -> None:
        self._write(_SET, _values(switch))
        scope, name, by = switch.scope.value, switch.name, switch.set_by
        self._note(scope, name, became="on", reason=switch.reason, by=by, at=switch.set_at)

    def clear(self, scope: KillScope, name: str, *, by: str, reason: str, at: datetime) -> bool:
        cleared = self._changed(_CLEAR, {"of_scope": scope, "of_name": name})
        if cleared:
            self._note(scope.value, name, became="off", reason=reason, by=by, at=at)
        return cleared

    def trading_state(self, account: str) -> TradingState:
        return self._ask(STATE, {"of_account": account})

    def set_trading_state(
        self, account: str, state: TradingState, *, by: str, reason: str, at: datetime
    ) -> None:
        values = {"account": account, "state": state, "reason": reason, "set_by": by, "set_at": at}
        self._write(_SET_STATE, values)
        self._note(STATE_SCOPE, account, became=state.value, reason=reason, by=by, at=at)

    def _note(self, scope: str, name: str, *, became: str, reason: str, by: str, at: datetime) -> None:
        event = {"scope": scope, "name": name, "became": became, "reason": reason, "set_by": by, "at": at}
        self._write(_NOTE, event)
