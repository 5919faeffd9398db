"""`Venue` at real public prices: our own fills, with fees, slippage, latency and partial fills.

An order that trades at once walks through a book of `depth` at each step, so a large one pays more, and a
bounded one may fill in part. What rests or waits for a trigger is looked at whenever anybody asks: against the
quote of that moment, and against the bars of the minutes in between, so that nothing that happened meanwhile
is missed. Funding and liquidation are left out.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from pipeline.domain.decisions import Mode
from pipeline.domain.errors import ThroughlineError, UnknownSymbol
from pipeline.domain.ids import ClientOrderId
from pipeline.domain.intents import OrderType, TimeInForce
from pipeline.domain.orders import (
    Acknowledged,
    Answer,
    ListedOrder,
    Order,
    OrderReport,
    OrderState,
    Rejected,
    Trade,
    Unknown,
)
from pipeline.domain.permits import Permit
from pipeline.domain.ports import Clock, MarketData, Quote
from pipeline.domain.positions import Equity, Holding, Income
from pipeline.exchange.answers import NOT_SENT
from pipeline.exchange.paper.accounting import CENT, fill, reducible
from pipeline.exchange.paper.matching import Book, Piece, Seen, is_touched, is_triggered, triggered, walk
from pipeline.exchange.paper.store import PaperStore, Turn
from pipeline.exchange.paper.terms import PaperOrder, PaperTerms, sent_ms
from pipeline.exchange.reading import instant, to_milliseconds

MINUTE_MS = 60_000


class PaperBroker:
    """One paper account. Every process of the host may have one over the same file."""

    def __init__(  # noqa: PLR0917 -- its parts, given once
        self,
        name: str,
        market: MarketData,
        store: PaperStore,
        terms: PaperTerms,
        clock: Clock,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self.name, self.account = name, terms.account
        self._market, self._store, self._terms = market, store, terms
        self._clock, self._pause = clock, pause

    # ------------------------------------------------------------------------------------------- orders

    def submit(self, order: Order, permit: Permit) -> Answer:
        if order.permit_id != permit.permit_id or order.sent_at is None:
            return Rejected(NOT_SENT, "an order is sent with its own permit and its pinned time")
        self._pause(self._terms.latency_ms / 1000)
        if self._now_ms() - sent_ms(order) > self._terms.receive_window_ms:
            return Rejected("-1021", "the request came outside its receive window", retryable=True)
        try:
            book = self._book(order.symbol)
            self._look(order.symbol)
        except ThroughlineError as error:
            return Rejected(NOT_SENT, f"there is no price to fill at: {error}", retryable=True)
        with self._store.turn() as turn:
            return self._take(turn, order, book)

    def _take(self, turn: Turn, order: Order, book: Book) -> Answer:
        known = turn.find(order.client_order_id)
        if known is not None and known.is_open:
            return Unknown("code -4116: an open order has this client order id")
        taken = PaperOrder.of(order, turn.next_number(), self._now_ms())
        refusal = self._refusal(turn, taken, book)
        if refusal is not None:
            return refusal
        turn.save(taken)
        if not taken.waits:
            taken = self._match(turn, taken, book)
        return Acknowledged(taken.report(order.client_order_id))

    def _book(self, symbol: str) -> Book:
        return Book(self._market.quote(symbol), self._market.known_instruments().find(symbol), self._terms)

    def _refusal(self, turn: Turn, order: PaperOrder, book: Book) -> Rejected | None:
        """What a real exchange would refuse as well."""
        instrument = book.instrument
        if order.qty < instrument.min_qty or order.qty != instrument.round_qty_down(order.qty):
            return Rejected("-1111", f"the quantity {order.qty} breaks the step {instrument.qty_step}")
        if order.reduce_only and not reducible(turn, order):
            return Rejected("-2022", "the order would not reduce the position")
        if order.waits and is_triggered(order, Seen.at(book.quote)):
            return Rejected("-2021", "the order would trigger at once")
        return None if order.reduce_only else self._too_dear(turn, order, book)

    def _too_dear(self, turn: Turn, order: PaperOrder, book: Book) -> Rejected | None:
        instrument = book.instrument
        notional = order.qty * (order.price if order.type is OrderType.LIMIT else book.quote.ask)
        if notional < instrument.min_notional:
            return Rejected("-4164", f"the order is worth less than {instrument.min_notional}")
        if self._exposure(turn) + notional > turn.balance(self._terms.balance) * self._terms.leverage:
            return Rejected("-2019", "the margin does not suffice")
        return None

    def _exposure(self, turn: Turn) -> Decimal:
        values = (abs(qty) * entry for qty, entry in turn.positions().values())
        return sum(values, Decimal(0))

    def _match(self, turn: Turn, order: PaperOrder, book: Book) -> PaperOrder:
        bound = order.price if order.type is OrderType.LIMIT else None
        wanted = reducible(turn, order) if order.reduce_only else order.left
        for piece in walk(book, order.side, wanted, bound):
            order = fill(turn, order, piece, self._terms, self._now_ms())
        rests = order.type is OrderType.LIMIT and order.tif is TimeInForce.GTC
        if order.is_open and not rests:
            order = replace(order, state=OrderState.EXPIRED)
            turn.save(order)
        return order

    def cancel(self, order: Order) -> bool:
        with self._store.turn() as turn:
            known = turn.find(order.client_order_id)
            if known is None or not known.is_open:
                return False
            turn.save(replace(known, state=OrderState.CANCELED))
            return True

    def dead_man(self, symbol: str, after_s: float) -> None:
        with self._store.turn() as turn:
            turn.set_dead_man(symbol, self._now_ms() + round(after_s * 1000) if after_s > 0 else None)

    # ----------------------------------------------------------------------------------------- questions

    def find(self, order: Order) -> OrderReport | None:
        self._look(order.symbol)
        with self._store.turn() as turn:
            known = turn.find(order.client_order_id)
        return known.report(order.client_order_id) if known is not None else None

    def listed(self, order: Order, since: datetime) -> OrderReport | None:
        return self.find(order)

    def trades(self, order: Order) -> Sequence[Trade]:
        with self._store.turn() as turn:
            return turn.trades_of(order.exchange_order_id)

    def trades_since(self, symbol: str, since: datetime) -> Sequence[Trade]:
        self._look(symbol)
        with self._store.turn() as turn:
            return turn.trades_since(symbol, to_milliseconds(since))

    def open_orders(self) -> Sequence[ListedOrder]:
        self._look_everywhere()
        with self._store.turn() as turn:
            open_ = [order for symbol in turn.open_symbols() for order in turn.open_orders(symbol)]
        return [order.listed() for order in open_]

    def orders_since(self, symbol: str, since: datetime) -> Sequence[ListedOrder]:
        self._look(symbol)
        with self._store.turn() as turn:
            placed = turn.orders_since(symbol, to_milliseconds(since))
        return [order.listed() for order in placed]

    def waiting(self, symbols: Collection[str]) -> frozenset[ClientOrderId]:
        """The orders on these symbols that wait for their trigger price now."""
        self._look_at_each(symbols)
        with self._store.turn() as turn:
            open_ = [order for symbol in symbols for order in turn.open_orders(symbol)]
        return frozenset(ClientOrderId(order.client_order_id) for order in open_ if order.waits)

    def holdings(self) -> Sequence[Holding]:
        self._look_everywhere()
        with self._store.turn() as turn:
            held = turn.positions()
        return [Holding(symbol=symbol, qty=qty, entry_price=price) for symbol, (qty, price) in held.items()]

    def incomes(self, since: datetime) -> Sequence[Income]:
        """There is no funding, and nobody pays in or out: trades tell all."""
        return ()

    def equity(self) -> Equity:
        self._look_everywhere()
        with self._store.turn() as turn:
            held, balance = turn.positions(), turn.balance(self._terms.balance)
        quotes = {symbol: self._market.quote(symbol) for symbol in held}
        profit = _unrealised(held, quotes)
        bound_up = sum((abs(qty) * price for qty, price in held.values()), Decimal(0)) / self._terms.leverage
        now = self._clock.now()
        return Equity(
            account=self._terms.account,
            mode=Mode.PAPER,
            equity=balance + profit,
            available=max(Decimal(0), balance + profit - bound_up),
            unrealised_pnl=profit,
            occurred_at=now,
            recorded_at=now,
        )

    # -------------------------------------------------------------------------- what has happened meanwhile

    def _look_everywhere(self) -> None:
        with self._store.turn() as turn:
            symbols = turn.open_symbols()
        self._look_at_each(symbols)

    def _look_at_each(self, symbols: Iterable[str]) -> None:
        """What is listed no more has no market: nothing happens to it, and nothing else waits for it."""
        for symbol in symbols:
            with suppress(UnknownSymbol):
                self._look(symbol)

    def _look(self, symbol: str) -> None:
        """Let the market have its way with what rests and waits. Raises: ExchangeUnavailable, ExchangeRefused."""
        self._run_countdowns()
        with self._store.turn() as turn:
            waiting = turn.open_orders(symbol)
        if not waiting:
            return
        book = self._book(symbol)
        bars = self._bars_since(symbol, min(order.seen_ms for order in waiting))
        with self._store.turn() as turn:
            for order in sorted(turn.open_orders(symbol), key=_stops_first):
                self._let_happen(turn, order, _seen(order, book.quote, bars), book)

    def _run_countdowns(self) -> None:
        with self._store.turn() as turn:
            for symbol in turn.dead_men(self._now_ms()):
                turn.set_dead_man(symbol, None)
                for order in turn.open_orders(symbol):
                    if not order.waits:
                        turn.save(replace(order, state=OrderState.CANCELED))

    def _bars_since(self, symbol: str, since_ms: int) -> Sequence[Sequence[float]]:
        first = _next_minute(since_ms)
        if first > self._now_ms() - MINUTE_MS:
            return ()
        return self._market.bars(symbol, "1m", instant(first), 1000)

    def _let_happen(self, turn: Turn, order: PaperOrder, seen: Seen, book: Book) -> None:
        wanted = reducible(turn, order) if order.reduce_only else order.left
        happens = is_triggered(order, seen) if order.waits else is_touched(order, seen)
        if not happens:
            turn.save(replace(order, seen_ms=max(order.seen_ms, self._now_ms() - MINUTE_MS)))
            return
        piece = triggered(book, order, wanted) if order.waits else _as_maker(order, wanted, self._terms)
        if wanted > 0:
            order = fill(turn, order, piece, self._terms, self._now_ms())
        if order.is_open:
            turn.save(replace(order, state=OrderState.EXPIRED))

    def _now_ms(self) -> int:
        return to_milliseconds(self._clock.now())


def _next_minute(since_ms: int) -> int:
    """The minute that was under way had a past of its own."""
    return -(-since_ms // MINUTE_MS) * MINUTE_MS


def _seen(order: PaperOrder, quote: Quote, bars: Sequence[Sequence[float]]) -> Seen:
    """The market since the last look at this order: what came before it was placed moves it no more."""
    since = [bar for bar in bars if bar[0] >= _next_minute(order.seen_ms)]
    lows = [Decimal(str(bar[3])) for bar in since]
    highs = [Decimal(str(bar[2])) for bar in since]
    return Seen(quote, min([quote.bid, *lows]), max([quote.ask, *highs]))


def _as_maker(order: PaperOrder, qty: Decimal, terms: PaperTerms) -> Piece:
    return Piece(qty, order.price, terms.maker_bps)


def _stops_first(order: PaperOrder) -> int:
    """Where both a stop and a target were reached, nobody knows which came first: the worse one counts."""
    return 0 if order.type is OrderType.STOP_MARKET else 1


def _unrealised(held: Mapping[str, tuple[Decimal, Decimal]], quotes: Mapping[str, Quote]) -> Decimal:
    profits = (
        ((quotes[symbol].bid + quotes[symbol].ask) / 2 - entry) * qty for symbol, (qty, entry) in held.items()
    )
    return sum(profits, Decimal(0)).quantize(CENT)
