"""What the exchange knows of its accounts, kept in a file: started again with it, the simulator goes on where it was.

Each line is the newest word on something: an account, an order, a position. It is written before the caller is
answered, so that a killed simulator forgets nothing that it has said; a power cut may.
"""

from __future__ import annotations

import types
from collections.abc import Callable
from dataclasses import dataclass, field, fields, is_dataclass
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any, TextIO, TypeVar, Union, get_args, get_origin, get_type_hints

import orjson

from simulator.account import Account, Income, Position
from simulator.clock import SimClock, wall_ms
from simulator.errors import OptionsError
from simulator.orders import AlgoOrder, Order, Trade

Made = TypeVar("Made")


class State:
    """Writes what changes. Without a file it writes nothing."""

    def __init__(self, clock: SimClock, file: Path | None = None) -> None:
        """Raises: OptionsError when the file cannot be written."""
        self._clock = clock
        self._file: TextIO | None = None
        if file is not None:
            try:
                file.parent.mkdir(parents=True, exist_ok=True)
                file.touch(mode=0o600)  # the keys of accounts stand in it
                self._file = file.open("a", encoding="utf-8")
            except OSError as error:
                raise OptionsError(f"--state {file}: cannot be written ({error.strerror})") from None

    def begin(self, start_ms: int, prices: str) -> None:
        """A new exchange: when its prices begin, and where they come from."""
        self._write({"start_ms": start_ms, "prices": prices})

    def account(self, account: Account) -> None:
        """It was opened, or what belongs to no order has changed."""
        told = {name: getattr(account, name) for name in ("wallet", "deposited", "created_ms", "leverages")}
        secret, isolated = account.api_secret.decode(), sorted(account.isolated)
        self._write({"account": account.api_key, "secret": secret, "isolated": isolated, **told})

    def order(self, account: Account, order: Order) -> None:
        self._write({"of": account.api_key, "order": order})

    def algo(self, account: Account, algo: AlgoOrder) -> None:
        self._write({"of": account.api_key, "algo": algo})

    def fill(self, account: Account, order: Order, trade: Trade) -> None:
        position = account.position(trade.symbol)
        self._write(
            {
                "of": account.api_key,
                "order": order,
                "trade": trade,
                "position": position,
                "wallet": account.wallet,
            }
        )

    def income(self, account: Account, income: Income) -> None:
        self._write({"of": account.api_key, "income": income, "wallet": account.wallet})

    def clock(self) -> None:
        """Somebody has turned it, or the simulator ends."""
        self._write({})

    def close(self) -> None:
        if self._file is not None:
            self.clock()
            self._file.close()
            self._file = None

    def _write(self, line: dict[str, object]) -> None:
        if self._file is None:
            return
        told = {"at_ms": self._clock.now_ms(), "wall_ms": wall_ms(), **line}
        self._file.write(orjson.dumps(told, default=str).decode() + "\n")
        self._file.flush()


@dataclass(slots=True)
class Kept:
    """What a file says. `at_ms` is the exchange's time and `wall_ms` ours when it was last written."""

    start_ms: int = 0
    prices: str = ""
    at_ms: int = 0
    wall_ms: int = 0
    accounts: dict[str, Account] = field(default_factory=dict)

    def now_ms(self) -> int:
        """What the clock shows now. While it was down it went as fast as the wall, however fast it was before: a night
        must not become a month.
        """
        return self.at_ms + max(0, wall_ms() - self.wall_ms)


def load(file: Path | None, prices: str) -> Kept | None:
    """None when there is nothing yet. Raises: OptionsError when it cannot be read, or is of other prices."""
    if file is None or not file.exists():
        return None
    kept = Kept()
    try:
        for line in whole_lines(file):
            take(kept, orjson.loads(line))
    except (OSError, ValueError, KeyError, TypeError, ArithmeticError) as error:
        raise OptionsError(f"--state {file}: cannot be read ({error}); remove it to start anew") from None
    if kept.prices != prices:
        raise OptionsError(
            f"--state {file}: it is of an exchange with other prices ({kept.prices}; asked is {prices}). Name another "
            "file, or remove this one and with it everything that its accounts hold"
        )
    return kept


def whole_lines(file: Path) -> list[bytes]:
    """A last line that a kill has cut off was never answered for: it is taken away."""
    told = file.read_bytes()
    whole = told[: told.rfind(b"\n") + 1]
    if len(whole) < len(told):
        with file.open("r+b") as torn:
            torn.truncate(len(whole))
    return whole.splitlines()


def take(kept: Kept, line: dict[str, Any]) -> None:
    """One line's word."""
    kept.at_ms, kept.wall_ms = line["at_ms"], line["wall_ms"]
    if "start_ms" in line:
        kept.start_ms, kept.prices = line["start_ms"], line["prices"]
    if "account" in line:
        _take_account(kept, line)
    if "of" in line:
        _take_change(kept.accounts[line["of"]], line)


def _take_account(kept: Kept, line: dict[str, Any]) -> None:
    key, known = line["account"], kept.accounts.get(line["account"])
    if known is None or line["created_ms"] != known.created_ms:
        secret, wallet, deposited = (
            line["secret"].encode(),
            Decimal(line["wallet"]),
            Decimal(line["deposited"]),
        )
        known = kept.accounts[key] = Account(key, secret, wallet, deposited, line["created_ms"])
    known.leverages, known.isolated = line["leverages"], set(line["isolated"])


def _take_change(account: Account, line: dict[str, Any]) -> None:
    if "order" in line:
        _put_order(account, made(Order, line["order"]))
    if "algo" in line:
        _put_algo(account, made(AlgoOrder, line["algo"]))
    if "trade" in line:
        account.take(made(Trade, line["trade"]))
        account.positions[line["trade"]["symbol"]] = made(Position, line["position"])
    if "income" in line:
        account.receive(made(Income, line["income"]))
    if "wallet" in line:
        account.wallet = Decimal(line["wallet"])


def _put_order(account: Account, order: Order) -> None:
    """In place of what was known of it."""
    book, same_id = account.orders, account.orders.by_client.setdefault(order.request.client_id, [])
    _replace(same_id, order, lambda each: each.order_id)
    book.by_id[order.order_id] = order
    book.open.drop(order.order_id)
    if order.status.is_open:
        book.open.add(order.order_id, order)


def _put_algo(account: Account, algo: AlgoOrder) -> None:
    book, same_id = account.orders, account.orders.algos_by_client.setdefault(algo.request.client_id, [])
    _replace(same_id, algo, lambda each: each.algo_id)
    book.algos[algo.algo_id] = algo
    book.open_algos.drop(algo.algo_id)
    if algo.is_open:
        book.open_algos.add(algo.algo_id, algo)


def _replace(found: list[Made], new: Made, number: Callable[[Made], int]) -> None:
    for place, each in enumerate(found):
        if number(each) == number(new):
            found[place] = new
            return
    found.append(new)


def made(kind: type[Made], told: dict[str, Any]) -> Made:
    """A dataclass from its plain JSON. Raises: KeyError, TypeError, ValueError, ArithmeticError."""
    hints = get_type_hints(kind)
    return kind(**{each.name: _value(hints[each.name], told[each.name]) for each in fields(kind)})  # type: ignore[arg-type]


def _value(hint: Any, told: Any) -> Any:
    if get_origin(hint) in {Union, types.UnionType}:
        (hint,) = (each for each in get_args(hint) if each is not type(None))
    if told is None:
        return None
    if is_dataclass(hint):
        return made(hint, told)  # type: ignore[arg-type]
    return hint(told) if hint is Decimal or issubclass(hint, Enum) else told
