"""The paper broker's books: a SQLite file of its own, shared by all processes of one host.

It is the exchange's memory, not ours: the ledger learns of it only through the port, as it would from a real one.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import fields
from decimal import Decimal
from pathlib import Path
from typing import Any

from pipeline.domain.errors import ExchangeUnavailable
from pipeline.domain.intents import OrderType, TimeInForce
from pipeline.domain.orders import OrderState, Trade
from pipeline.domain.signals import Side
from pipeline.exchange.paper.matching import Piece
from pipeline.exchange.paper.terms import PaperOrder
from pipeline.exchange.reading import instant

SCHEMA = """
CREATE TABLE IF NOT EXISTS orders (
    number INTEGER PRIMARY KEY, client_order_id TEXT, symbol TEXT, side TEXT, type TEXT, tif TEXT, qty TEXT,
    price TEXT, reduce_only INTEGER, state TEXT, filled TEXT, worth TEXT, placed_ms INTEGER, seen_ms INTEGER,
    is_open INTEGER
);
CREATE INDEX IF NOT EXISTS orders_by_client_id ON orders (client_order_id);
CREATE INDEX IF NOT EXISTS orders_open ON orders (symbol) WHERE is_open = 1;
CREATE TABLE IF NOT EXISTS trades (
    number INTEGER PRIMARY KEY, order_number INTEGER, symbol TEXT, side TEXT, qty TEXT, price TEXT, fee TEXT,
    fee_asset TEXT, at_ms INTEGER, realised TEXT
);
CREATE INDEX IF NOT EXISTS trades_by_order ON trades (order_number);
CREATE INDEX IF NOT EXISTS trades_by_symbol ON trades (symbol, at_ms);
CREATE TABLE IF NOT EXISTS positions (symbol TEXT PRIMARY KEY, qty TEXT, entry_price TEXT);
CREATE TABLE IF NOT EXISTS money (asset TEXT PRIMARY KEY, balance TEXT);
CREATE TABLE IF NOT EXISTS dead_men (symbol TEXT PRIMARY KEY, at_ms INTEGER);
"""
_COLUMNS = [each.name for each in fields(PaperOrder)]
_READERS = {
    "side": Side,
    "type": OrderType,
    "tif": TimeInForce,
    "qty": Decimal,
    "price": Decimal,
    "reduce_only": bool,
    "state": OrderState,
    "filled": Decimal,
    "worth": Decimal,
}


class PaperStore:
    """Opens its file when it is first needed, again after a fork. Raises: ExchangeUnavailable."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._mine = threading.local()

    @contextmanager
    def turn(self) -> Iterator[Turn]:
        """One at a time, all or nothing."""
        try:
            connection = self._connection()
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield Turn(connection)
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise ExchangeUnavailable(f"the paper broker's books at {self._path}: {error}") from error

    def _connection(self) -> sqlite3.Connection:
        if getattr(self._mine, "pid", None) != os.getpid():
            self._path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(self._path, timeout=5, isolation_level=None)
            connection.executescript(f"PRAGMA journal_mode=WAL; {SCHEMA}")
            _widen(connection)
            self._mine.pid, self._mine.connection = os.getpid(), connection
        found: sqlite3.Connection = self._mine.connection
        return found

    def close(self) -> None:
        """Close this thread's connection."""
        if getattr(self._mine, "pid", None) == os.getpid():
            self._mine.connection.close()
            self._mine.pid = None


def _widen(connection: sqlite3.Connection) -> None:
    """Books of before trades knew what they realised."""
    columns = {name for _, name, *_ in connection.execute("PRAGMA table_info(trades)")}
    if "realised" not in columns:
        with suppress(sqlite3.OperationalError):  # another process was quicker
            connection.execute("ALTER TABLE trades ADD COLUMN realised TEXT")


class Turn:
    """What can be read and written in one turn."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._run = connection.execute

    def next_number(self) -> int:
        (last,) = self._run("SELECT COALESCE(MAX(number), 0) FROM orders").fetchone()
        return int(last) + 1

    def save(self, order: PaperOrder) -> None:
        values = [_plain(getattr(order, name)) for name in _COLUMNS]
        marks = ", ".join("?" * (len(_COLUMNS) + 1))
        named = ", ".join([*_COLUMNS, "is_open"])
        self._run(f"INSERT OR REPLACE INTO orders ({named}) VALUES ({marks})", [*values, order.is_open])  # noqa: S608 -- our own names

    def find(self, client_order_id: str) -> PaperOrder | None:
        """The latest one of that id."""
        found = self._orders("client_order_id = ? ORDER BY number DESC LIMIT 1", client_order_id)
        return found[0] if found else None

    def open_orders(self, symbol: str) -> Sequence[PaperOrder]:
        """Oldest first."""
        return self._orders("is_open = 1 AND symbol = ? ORDER BY number", symbol)

    def orders_since(self, symbol: str, at_ms: int) -> Sequence[PaperOrder]:
        """Open or not, oldest first."""
        return self._orders("symbol = ? AND placed_ms >= ? ORDER BY number", symbol, at_ms)

    def open_symbols(self) -> Sequence[str]:
        rows = self._run("SELECT DISTINCT symbol FROM orders WHERE is_open = 1 ORDER BY symbol")
        return [symbol for (symbol,) in rows]

    def _orders(self, where: str, *values: object) -> Sequence[PaperOrder]:
        rows = self._run(f"SELECT {', '.join(_COLUMNS)} FROM orders WHERE {where}", values)  # noqa: S608 -- our own names
        return [_order(dict(zip(_COLUMNS, row, strict=True))) for row in rows]

    def add_trade(self, order: PaperOrder, piece: Piece, fee: Decimal, realised: Decimal, at_ms: int) -> None:
        what = (str(piece.qty), str(piece.price), str(fee), "USDT")
        values = (order.number, order.symbol, order.side.value, *what, at_ms, str(realised))
        self._run(
            "INSERT INTO trades (order_number, symbol, side, qty, price, fee, fee_asset, at_ms, realised)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            values,
        )

    def trades_of(self, exchange_order_id: str) -> Sequence[Trade]:
        return self._trades("order_number = ?", exchange_order_id)

    def trades_since(self, symbol: str, at_ms: int) -> Sequence[Trade]:
        return self._trades("symbol = ? AND at_ms >= ?", symbol, at_ms)

    def _trades(self, where: str, *values: object) -> Sequence[Trade]:
        rows = self._run(
            "SELECT number, order_number, side, qty, price, fee, fee_asset, at_ms, realised FROM trades"  # noqa: S608 -- our own names
            f" WHERE {where} ORDER BY number",
            values,
        )
        return [_trade(row) for row in rows]

    def position(self, symbol: str) -> tuple[Decimal, Decimal]:
        """Signed quantity and mean entry price."""
        row = self._run("SELECT qty, entry_price FROM positions WHERE symbol = ?", (symbol,)).fetchone()
        return (Decimal(row[0]), Decimal(row[1])) if row else (Decimal(0), Decimal(0))

    def positions(self) -> Mapping[str, tuple[Decimal, Decimal]]:
        rows = self._run("SELECT symbol, qty, entry_price FROM positions").fetchall()
        return {symbol: (Decimal(qty), Decimal(price)) for symbol, qty, price in rows if Decimal(qty)}

    def set_position(self, symbol: str, qty: Decimal, entry_price: Decimal) -> None:
        values = (symbol, str(qty), str(entry_price))
        self._run("INSERT OR REPLACE INTO positions VALUES (?, ?, ?)", values)

    def balance(self, at_first: Decimal) -> Decimal:
        row = self._run("SELECT balance FROM money").fetchone()
        return Decimal(row[0]) if row else at_first

    def set_balance(self, balance: Decimal) -> None:
        self._run("INSERT OR REPLACE INTO money VALUES ('USDT', ?)", (str(balance),))

    def dead_men(self, now_ms: int) -> Sequence[str]:
        """The symbols whose countdown is over."""
        rows = self._run("SELECT symbol FROM dead_men WHERE at_ms <= ?", (now_ms,))
        return [symbol for (symbol,) in rows]

    def set_dead_man(self, symbol: str, at_ms: int | None) -> None:
        self._run("DELETE FROM dead_men WHERE symbol = ?", (symbol,))
        if at_ms is not None:
            self._run("INSERT INTO dead_men VALUES (?, ?)", (symbol, at_ms))


def _plain(value: object) -> object:
    return value if isinstance(value, int) else str(value)


def _order(row: dict[str, object]) -> PaperOrder:
    read = {name: _READERS[name](value) if name in _READERS else value for name, value in row.items()}
    return PaperOrder(**read)  # type: ignore[arg-type]  # the columns are its fields


def _trade(row: Sequence[Any]) -> Trade:
    number, order_number, side, qty, price, fee, fee_asset, at_ms, realised = row
    return Trade(
        trade_id=str(number),
        exchange_order_id=str(order_number),
        side=Side(side),
        qty=Decimal(qty),
        price=Decimal(price),
        fee=Decimal(fee),
        fee_asset=fee_asset,
        occurred_at=instant(at_ms),
        realised=Decimal(realised) if realised is not None else None,
    )
