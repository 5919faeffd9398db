"""What the auditor looks at: rows of the ledger, entries of the exchange's journal, both as plain values."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row

Row = Mapping[str, Any]

TABLES = ("decisions", "permits", "orders", "order_steps", "fills", "positions")
MONEY = frozenset(
    {"qty", "limit_price", "reserved", "filled_qty", "avg_price", "fee", "price", "entry_price", "fees"}
    | {"realised_pnl", "decision_price"}
)
TIMES = frozenset(
    {"sent_at", "issued_at", "expires_at", "used_at", "ended_at", "enqueued_at", "deadline_at", "created_at"}
)
FINAL = frozenset({"FILLED", "CANCELED", "EXPIRED", "REJECTED", "NOT_PLACED", "ABANDONED"})
ENDED = frozenset({"order_canceled", "order_expired"})
ORDER_PATHS = frozenset({"/fapi/v1/order", "/fapi/v1/algoOrder"})
ID_PARAMS = ("newClientOrderId", "clientAlgoId")

ONE_CYCLE_S = 2.0
"""How long a position may be without its stop while nothing is in the way."""


@dataclass(frozen=True)
class Accident:
    """What the run itself did, on one symbol or, where that is empty, to all; at `until` it must be made up for."""

    what: str
    since: datetime
    until: datetime
    symbol: str = ""


@dataclass(frozen=True)
class Evidence:
    """Both sides. `foreign` are client order ids that somebody else placed on the same account on purpose.
    `one_cycle_s`: how long a cycle of protection takes in this run, from one to the next and through all positions.
    """

    decisions: Sequence[Row]
    permits: Sequence[Row]
    orders: Sequence[Row]
    order_steps: Sequence[Row]
    fills: Sequence[Row]
    positions: Sequence[Row]
    journal: Sequence[Row]
    foreign: frozenset[str] = field(default_factory=frozenset)
    accidents: Sequence[Accident] = ()
    one_cycle_s: float = ONE_CYCLE_S

    @cached_property
    def decision(self) -> Mapping[str, Row]:
        return {row["decision_id"]: row for row in self.decisions}

    @cached_property
    def permit(self) -> Mapping[str, Row]:
        return {row["permit_id"]: row for row in self.permits}

    @cached_property
    def order(self) -> Mapping[str, Row]:
        return {row["client_order_id"]: row for row in self.orders}

    @cached_property
    def orders_of(self) -> Mapping[str, Sequence[Row]]:
        """The ledger's orders by decision."""
        found = defaultdict(list)
        for row in self.orders:
            found[row["decision_id"]].append(row)
        return found

    @cached_property
    def sent(self) -> Counter[str]:
        """How many requests to place an order reached the exchange, by client order id."""
        posts = (
            entry
            for entry in self.journal
            if entry["kind"] == "request" and entry["method"] == "POST" and entry["path"] in ORDER_PATHS
        )
        return Counter(name for entry in posts if (name := client_id_of(entry)))

    @cached_property
    def accepted(self) -> Sequence[Row]:
        """Each acceptance into the exchange's books; of a triggered order only that of its condition."""
        conditional = {each["client_order_id"] for each in self._of("order_accepted") if "algo_id" in each}
        return [
            each
            for each in self._of("order_accepted")
            if each["client_order_id"] not in self.foreign
            and ("algo_id" in each or each["client_order_id"] not in conditional)
        ]

    @cached_property
    def traded(self) -> Sequence[Row]:
        """The exchange's trades that are nobody else's."""
        return [each for each in self._of("fill") if each["client_order_id"] not in self.foreign]

    @cached_property
    def executed_qty(self) -> Mapping[str, Decimal]:
        """What the exchange filled, by client order id."""
        found: defaultdict[str, Decimal] = defaultdict(Decimal)
        for each in self.traded:
            found[each["client_order_id"]] += Decimal(each["fill_qty"])
        return found

    @cached_property
    def gone(self) -> frozenset[str]:
        """Client order ids whose order was cancelled or expired on the exchange."""
        return frozenset(each["client_order_id"] for each in self.journal if each["kind"] in ENDED)

    def _of(self, kind: str) -> Iterable[Row]:
        return (each for each in self.journal if each["kind"] == kind)


def client_id_of(entry: Row) -> str | None:
    return next((entry["params"][name] for name in ID_PARAMS if entry["params"].get(name)), None)


def market_of(symbol: str) -> str:
    """`BTC/USDT:USDT` as the exchange spells it: `BTCUSDT`."""
    return symbol.partition(":")[0].replace("/", "")


def read_evidence(
    ledger_url: str,
    journal: Iterable[Row],
    foreign: Iterable[str] = (),
    account_key: str = "sim-key",
    accidents: Sequence[Accident] = (),
    one_cycle_s: float = ONE_CYCLE_S,
) -> Evidence:
    """Read the ledger now. `journal` is what the simulated exchange wrote down, oldest first."""
    tables = _sqlite(ledger_url) if ledger_url.startswith("sqlite") else _postgres(ledger_url)
    mine = [each for each in journal if each.get("account") in {account_key, None}]
    return Evidence(
        **tables, journal=mine, foreign=frozenset(foreign), accidents=accidents, one_cycle_s=one_cycle_s
    )


def journal_file(path: Path) -> Iterable[Row]:
    """The journal that `--journal` wrote; a last line that is not whole yet is left out."""
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            if line.endswith("\n"):
                yield json.loads(line)


def _sqlite(url: str) -> dict[str, list[Row]]:
    path = url.removeprefix("sqlite:///")
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)) as connection:
        connection.row_factory = sqlite3.Row
        connection.execute("BEGIN")
        return {
            table: [_plain(dict(row)) for row in connection.execute(f"SELECT * FROM {table}")]  # noqa: S608
            for table in TABLES
        }


def _postgres(url: str) -> dict[str, list[Row]]:
    address = url.replace("postgresql+psycopg", "postgresql")
    with psycopg.connect(address, row_factory=dict_row) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        return {
            table: [_plain(row) for row in connection.execute(f"SELECT * FROM {table}".encode())]  # noqa: S608
            for table in TABLES
        }


def _plain(row: dict[str, Any]) -> Row:
    """Money as Decimal and times as microseconds since 1970, whatever the database."""
    return {name: _value(name, value) for name, value in row.items()}


def _value(name: str, value: Any) -> Any:
    if value is None:
        return None
    if name in MONEY:
        return Decimal(value)
    if name in TIMES and isinstance(value, datetime):
        return round(value.timestamp() * 1_000_000)
    return value
