"""The append-only record of every request and every event: what tests and audits read."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from heapq import merge
from itertools import islice
from pathlib import Path
from typing import TextIO

import orjson

from simulator.account import Account, Income
from simulator.clock import SimClock, iso, wall_ms
from simulator.errors import OptionsError
from simulator.orders import AlgoOrder, Order, OrderRequest, Trade

READS_KEPT = 50_000
REQUEST = "request"

Params = dict[str, str]
Fields = dict[str, object]


@dataclass(frozen=True, slots=True)
class Call:
    """The request that is being answered."""

    method: str | None = None
    path: str | None = None
    params: Params = field(default_factory=dict)
    account: str | None = None


NO_CALL = Call()


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the journal; `fields` differ by kind."""

    seq: int
    at_ms: int
    wall_ms: int
    kind: str
    call: Call
    status: int | None
    fields: dict[str, object]

    def as_dict(self) -> dict[str, object]:
        return {
            "seq": self.seq,
            "at": iso(self.at_ms),
            "wall": iso(self.wall_ms),
            "kind": self.kind,
            "method": self.call.method,
            "path": self.call.path,
            "params": self.call.params,
            "status": self.status,
            "account": self.call.account,
            **self.fields,
        }

    def concerns(self, symbol: str) -> bool:
        return symbol in {self.fields.get("symbol"), self.call.params.get("symbol")}


class Journal:
    """Everything that happened, in order.

    Plain GET requests are kept up to `READS_KEPT`, all else is never dropped.
    """

    def __init__(self, clock: SimClock, file: Path | None = None) -> None:
        """Raises: OptionsError when the file cannot be written."""
        self.clock = clock
        self._seq = 0
        self._kept: list[Entry] = []
        self._reads: deque[Entry] = deque(maxlen=READS_KEPT)
        self._file = open_file(file)
        self.call = NO_CALL

    def read(self, since: int, limit: int, kind: str = "", symbol: str = "") -> list[dict[str, object]]:
        """Entries with seq above `since`, oldest first, at most `limit`."""
        kinds = set(filter(None, kind.split(",")))
        found: list[dict[str, object]] = []
        for entry in self._entries(since, kinds):
            if (not kinds or entry.kind in kinds) and (not symbol or entry.concerns(symbol)):
                found.append(entry.as_dict())
                if len(found) >= limit:
                    break
        return found

    @property
    def seq(self) -> int:
        """The number of the latest entry."""
        return self._seq

    def request(self, call: Call, status: int | None, took_us: int) -> None:
        """One request and how it was answered; status None when it never was."""
        self._add(REQUEST, call, status, {"took_us": took_us}, read=call.method == "GET")

    def event(self, kind: str, fields: Fields, call: Call | None = None) -> None:
        """Something that is neither an order nor a fill: a socket, a changed clock."""
        self._add(kind, call or self.call, None, fields)

    def fault(self, name: str, fault_id: int, args: Mapping[str, object], call: Call) -> None:
        """A fault struck this request; `args` are its own fields."""
        fields: Fields = {
            "fault": name,
            "fault_id": fault_id,
            "args": args,
            "symbol": call.params.get("symbol"),
            "client_order_id": client_id_of(call.params),
            "order_id": None,
        }
        self._add("fault", call, None, fields)

    def rejected(self, call: Call, status: int, code: int, msg: str) -> None:
        """An order that the exchange refused."""
        params = call.params
        fields: Fields = {
            "symbol": params.get("symbol"),
            "client_order_id": client_id_of(params),
            "order_id": None,
            "code": code,
            "msg": msg,
        }
        self._add("order_rejected", call, status, fields)

    def order(self, kind: str, account: Account, order: Order) -> None:
        fields: Fields = {
            "account": account.api_key,
            "order_id": str(order.order_id),
            **request_fields(order.request),
            "qty": plain(order.qty),
            "executed_qty": plain(order.executed),
            "avg_price": plain(order.avg_price),
            "state": order.status.value,
        }
        self._add(kind, self.call, 200 if self.call is not NO_CALL else None, fields)

    def algo(self, kind: str, account: Account, algo: AlgoOrder) -> None:
        fields: Fields = {
            "account": account.api_key,
            "order_id": None if algo.order_id is None else str(algo.order_id),
            "algo_id": str(algo.algo_id),
            **request_fields(algo.request),
            "qty": plain(algo.request.qty),
            "trigger_price": plain(algo.trigger),
            "state": algo.status.value,
        }
        self._add(kind, self.call, 200 if self.call is not NO_CALL else None, fields)

    def income(self, account: Account, income: Income) -> None:
        """The wallet changed without a trade."""
        fields: Fields = {
            "account": account.api_key,
            "symbol": income.symbol,
            "income": income.kind,
            "amount": plain(income.amount),
            "tran_id": str(income.tran_id),
        }
        self._add("income", self.call, None, fields)

    def fill(self, account: Account, order: Order, trade: Trade) -> None:
        fields: Fields = {
            "account": account.api_key,
            "order_id": str(order.order_id),
            "trade_id": str(trade.trade_id),
            **request_fields(order.request),
            "fill_price": plain(trade.price),
            "fill_qty": plain(trade.qty),
            "fee": plain(trade.fee),
            "realised_pnl": plain(trade.realised),
            "maker": trade.maker,
        }
        self._add("fill", self.call, 200 if self.call is not NO_CALL else None, fields)

    def flush(self) -> None:
        if self._file is not None:
            self._file.flush()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _add(
        self, kind: str, call: Call, status: int | None, fields: dict[str, object], read: bool = False
    ) -> None:
        self._seq += 1
        entry = Entry(self._seq, self.clock.now_ms(), wall_ms(), kind, call, status, fields)
        (self._reads if read else self._kept).append(entry)
        if self._file is not None:
            self._file.write(orjson.dumps(entry.as_dict()).decode() + "\n")

    def _entries(self, since: int, kinds: set[str]) -> Iterator[Entry]:
        """Those that may be of these kinds; who asks for what is new pays for nothing else."""
        kept = newer(self._kept, since)
        if kinds and REQUEST not in kinds:
            return kept
        return merge(kept, newer(self._reads, since), key=lambda entry: entry.seq)


def newer(entries: Sequence[Entry], since: int) -> Iterator[Entry]:
    """Those with seq above `since`, oldest first."""
    return islice(entries, bisect_right(entries, since, key=lambda entry: entry.seq), None)


def open_file(file: Path | None) -> TextIO | None:
    if file is None:
        return None
    try:
        return file.open("a", encoding="utf-8")
    except OSError as error:
        raise OptionsError(f"--journal {file}: cannot be written ({error.strerror})") from None


def request_fields(request: OrderRequest) -> dict[str, object]:
    return {
        "symbol": request.symbol,
        "client_order_id": request.client_id,
        "side": request.side.value,
        "type": request.type.value,
        "time_in_force": request.time_in_force.value,
        "price": None if request.price is None else plain(request.price),
        "reduce_only": request.is_reducing,
    }


def client_id_of(params: Params) -> str | None:
    """The client order id that a request names, under any of its names."""
    names = ("newClientOrderId", "clientAlgoId", "origClientOrderId")
    return next((params[name] for name in names if params.get(name)), None)


def plain(value: Decimal) -> str:
    """Digits without an exponent."""
    return f"{value:f}"
