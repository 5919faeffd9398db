"""The journal of entries, and the balances that they add up to."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from sqlalchemy import bindparam, select, update

from pipeline.domain.entries import ZERO, Balance, Entry, Heading, Transaction
from pipeline.domain.positions import Position
from pipeline.ledger.positions import POSITIONS
from pipeline.ledger.repository import Repository, insert, insert_once
from pipeline.ledger.tables import balances, positions
from pipeline.ledger.tables import entries as table

_INSERT, _INSERT_ONCE, _INSERT_BALANCE = insert(table), insert_once(table), insert_once(balances)
_BALANCE = select(balances).where(
    balances.c.account == bindparam("of_account"), balances.c.asset == bindparam("of_asset")
)
_LOCK = _BALANCE.with_for_update()
_SET = (
    update(balances)
    .where(balances.c.account == bindparam("of_account"), balances.c.asset == bindparam("of_asset"))
    .values({heading.value: bindparam(f"new_{heading.value}") for heading in Heading})
)
_BALANCES = select(balances).where(balances.c.account == bindparam("of_account")).order_by(balances.c.asset)
_OF = select(table).where(table.c.transaction_id == bindparam("id")).order_by(table.c.line)
_LATEST = (
    select(table)
    .where(table.c.account == bindparam("of_account"))
    .order_by(table.c.occurred_at.desc(), table.c.transaction_id, table.c.line)
)
_UNBOOKED = POSITIONS.where(
    positions.c.account == bindparam("of_account"),
    positions.c.closed_at.is_(None),
    ~select(table.c.line).where(table.c.position_id == positions.c.position_id).exists(),
)


class SqlJournal(Repository):
    """Fulfils `ports.Journal`. Whoever books holds the balance of the symbol's settlement asset until the end of the
    unit, so that balances and entries agree at every commit.
    """

    __slots__ = ()

    def post(self, transaction: Transaction) -> bool:
        rows = [_row(transaction, line, entry) for line, entry in enumerate(transaction.entries, start=1)]
        if not rows or not self._changed(_INSERT_ONCE, rows[0]):
            return False
        self._write(_INSERT, *rows[1:])
        changes: dict[str, dict[Heading, Decimal]] = {}
        for entry in transaction.entries:
            by_heading = changes.setdefault(entry.asset, defaultdict(Decimal))
            by_heading[entry.heading] += entry.amount
        for asset, by_heading in changes.items():
            self._add(transaction.account, asset, by_heading)
        return True

    def _add(self, account: str, asset: str, changes: Mapping[Heading, Decimal]) -> None:
        key = {"of_account": account, "of_asset": asset}
        before = self._first(_LOCK, key)
        if before is None:
            nothing = {heading.value: ZERO for heading in Heading}
            self._write(_INSERT_BALANCE, {"account": account, "asset": asset, **nothing})
            before = self._first(_LOCK, key) or nothing
        after = {f"new_{each.value}": before[each.value] + changes.get(each, ZERO) for each in Heading}
        self._write(_SET, key | after)

    def balance(self, account: str, asset: str) -> Balance:
        row = self._first(_BALANCE, {"of_account": account, "of_asset": asset})
        return Balance(account=account, asset=asset) if row is None else _balance(row)

    def balances(self, account: str) -> Sequence[Balance]:
        return [_balance(row) for row in self._all(_BALANCES, {"of_account": account})]

    def get(self, transaction_id: str) -> Transaction | None:
        rows = self._all(_OF, {"id": transaction_id})
        return _transaction(rows) if rows else None

    def unbooked(self, account: str) -> Sequence[Position]:
        return [Position(**row) for row in self._all(_UNBOOKED, {"of_account": account})]

    def latest(self, account: str, limit: int) -> Sequence[Transaction]:
        """Newest first; at most so many lines are read."""
        rows = self._latest(_LATEST.limit(limit).params(of_account=account))
        return [_transaction(each) for each in _together(rows)]

    def problems(self, account: str) -> Sequence[str]:
        """What does not add up: a transaction that is not zero, a balance that is not the sum of its entries. Reads
        every entry of the account.
        """
        totals: dict[str, dict[Heading, Decimal]] = {}
        broken: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
        for row in self._all(_LATEST, {"of_account": account}):
            totals.setdefault(row["asset"], defaultdict(Decimal))[row["heading"]] += row["amount"]
            broken[row["transaction_id"], row["asset"]] += row["amount"]
        found = [
            f"transaction {name}: its {asset} sums to {of}, not to 0"
            for (name, asset), of in broken.items()
            if of
        ]
        return [*found, *_wrong(self.balances(account), totals)]


def _wrong(kept: Sequence[Balance], totals: Mapping[str, Mapping[Heading, Decimal]]) -> Iterator[str]:
    by_asset = {balance.asset: balance for balance in kept}
    for asset in sorted({*by_asset, *totals}):
        balance = by_asset.get(asset, Balance(account="", asset=asset))
        for heading in Heading:
            summed = totals.get(asset, {}).get(heading, ZERO)
            if balance.of(heading) != summed:
                yield f"{heading} of {asset}: the balance says {balance.of(heading)}, its entries sum to {summed}"


def _row(transaction: Transaction, line: int, entry: Entry) -> dict[str, Any]:
    return {
        "transaction_id": transaction.transaction_id,
        "line": line,
        "account": transaction.account,
        "mode": transaction.mode,
        "cause": transaction.cause,
        "symbol": transaction.symbol,
        "heading": entry.heading,
        "asset": entry.asset,
        "amount": entry.amount,
        "position_id": entry.position_id,
        "decision_id": transaction.decision_id,
        "detail": transaction.detail,
        "occurred_at": transaction.occurred_at,
        "recorded_at": transaction.recorded_at,
    }


def _together(rows: Sequence[Mapping[str, Any]]) -> Iterator[list[Mapping[str, Any]]]:
    """Lines by transaction; the last one may be cut off, and is left out then."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        found.setdefault(row["transaction_id"], []).append(row)
    for lines in found.values():
        if not sum((row["amount"] for row in lines), ZERO):
            yield lines


def _transaction(rows: Sequence[Mapping[str, Any]]) -> Transaction:
    first = rows[0]
    common = (
        "transaction_id",
        "account",
        "mode",
        "cause",
        "symbol",
        "occurred_at",
        "recorded_at",
        "decision_id",
        "detail",
    )
    lines = tuple(Entry(row["heading"], row["asset"], row["amount"], row["position_id"]) for row in rows)
    return Transaction(**{name: first[name] for name in common}, entries=lines)


def _balance(row: Mapping[str, Any]) -> Balance:
    amounts = {heading: row[heading.value] for heading in Heading}
    return Balance(account=row["account"], asset=row["asset"], amounts=amounts)
