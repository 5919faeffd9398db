"""`MarketData` and `Venue` over the real ccxt class.

Implicit methods of ccxt (one for each path of the exchange) are called with our own exact strings: ccxt
signs, sends and paginates nothing on its own, and no price passes through its float and rounding
helpers.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TypeVar

from pipeline.domain.decisions import Mode
from pipeline.domain.errors import ExchangeUnavailable, ThroughlineError
from pipeline.domain.ids import ClientOrderId
from pipeline.domain.instruments import Instruments
from pipeline.domain.intents import OrderType
from pipeline.domain.orders import Answer, ListedOrder, Order, OrderReport, Rejected, Trade
from pipeline.domain.permits import Permit, normal
from pipeline.domain.ports import Quote
from pipeline.domain.positions import Equity, Holding, Income
from pipeline.domain.timeframes import Clock, SystemClock
from pipeline.exchange import conditional, key_rights, reading
from pipeline.exchange.answers import NOT_SENT, classify, is_not_found, reading_error
from pipeline.exchange.asking import Asking, is_out_of_time
from pipeline.exchange.budget.ports import Budget
from pipeline.exchange.clock import ExchangeClock
from pipeline.exchange.instrument_list import InstrumentList
from pipeline.exchange.key_rights import KeyRights
from pipeline.exchange.replies import Reply, Return
from pipeline.exchange.tables import TABLES
from pipeline.exchange.wire import Wire, WireOptions

Read = TypeVar("Read")

PAGE = 1000
WAITS_AT_MOST = timedelta(days=1)
"""How long before a trade the conditional order behind it is looked for: it may have waited."""
REACHES_BACK = timedelta(days=7) - timedelta(hours=1)
"""How far back a list of orders or trades is asked for: Binance refuses to span more than seven days by its clock."""
MOST_PAGES = 10
MANY_SYMBOLS = 40
"""From here on asking for all symbols at once costs less of the exchange's budget than asking for each."""
_TYPES: Mapping[OrderType, str] = {
    OrderType.LIMIT: "LIMIT",
    OrderType.MARKET: "MARKET",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ExchangeOptions:
    """Whose account, and how to reach it. Ages in seconds; equity is read in `settlement_asset`."""

    account: str
    mode: Mode
    wire: WireOptions
    instruments_max_age_s: float = 600.0
    clock_max_age_s: float = 60.0
    clock_speed: float = 1.0
    settlement_asset: str = "USDT"


def connect(
    options: ExchangeOptions, clock: Clock | None = None, budget: Budget | None = None
) -> CcxtExchange:
    """Build the adapter. Nothing is sent before the first question; instruments and clock are asked for
    when needed. Without a `budget` nothing is held back.
    """
    return CcxtExchange(options, clock or SystemClock(), budget)


class CcxtExchange:
    """Both sides of one exchange, public and private. Safe to use in threads and after a fork."""

    def __init__(self, options: ExchangeOptions, clock: Clock, budget: Budget | None = None) -> None:
        self._options = options
        self._table = TABLES[options.wire.exchange_id]
        self._ours = clock
        self._clock = ExchangeClock(clock, self._server_time, options.clock_max_age_s, options.clock_speed)
        self._wire = Wire(options.wire, lambda: reading.to_milliseconds(self._clock.at(clock.now())), budget)
        self._listed = InstrumentList(self._wire, self._table, options.instruments_max_age_s)

    @property
    def name(self) -> str:
        """The exchange's name in fills. Trades of a simulated or test exchange have numbers of their own."""
        exchange, mode = self._options.wire.exchange_id, self._options.mode
        return exchange if mode is Mode.LIVE else f"{exchange}-{mode}"

    @property
    def account(self) -> str:
        return self._options.account

    # ----------------------------------------------------------------------------------- the public side

    def instruments(self) -> Instruments:
        """Raises: ExchangeUnavailable, ExchangeRefused."""
        return self._listed.fresh()

    def instruments_naming(self, symbols: Iterable[str]) -> Instruments:
        """As `instruments`, asked for anew where one of the symbols is not among them."""
        return self._listed.naming(symbols)

    def known_instruments(self) -> Instruments:
        """Raises: ExchangeUnavailable, ExchangeRefused when there never were any."""
        return self._listed.known()

    def now(self) -> datetime:
        return self._clock.now()

    def clock_offset(self) -> timedelta:
        """How far the exchange's clock is ahead of ours, measured now."""
        return self._clock.measure()

    def bars(self, symbol: str, timeframe: str, since: datetime, limit: int) -> Sequence[Sequence[float]]:
        question = {
            "symbol": self._listed.market_id(symbol),
            "interval": timeframe,
            "startTime": reading.to_milliseconds(since),
            "limit": limit,
        }
        return self._read("fapiPublicGetKlines", question, reading.bars, f"bars of {symbol} {timeframe}")

    def quote(self, symbol: str) -> Quote:
        question = {"symbol": self._listed.market_id(symbol)}
        return self._read("fapiPublicGetTickerBookTicker", question, reading.quote, f"quote of {symbol}")

    def quotes(self) -> Mapping[str, Quote]:
        """Those of all instruments that can be read. Raises: ExchangeUnavailable, ExchangeRefused."""
        self._listed.renew()
        return self._read("fapiPublicGetTickerBookTicker", {}, self._quotes, "quotes")

    def volumes(self) -> Mapping[str, Decimal]:
        """What was traded of each symbol in the last 24 h, in quote currency.

        Raises: ExchangeUnavailable, ExchangeRefused.
        """
        self._listed.renew()
        return self._read("fapiPublicGetTicker24hr", {}, self._volumes, "volumes of 24 h")

    # ---------------------------------------------------------------------------------- the private side

    def key_rights(self) -> KeyRights:
        """What our key may do besides trading. Raises nothing."""
        return key_rights.ask(self._options.wire.exchange_id, self._ask)

    def submit(self, order: Order, permit: Permit) -> Answer:
        if order.permit_id != permit.permit_id or order.sent_at is None:
            return Rejected(NOT_SENT, "an order is sent with its own permit and its pinned time")
        try:
            question = self._submission(order)
        except ThroughlineError as error:
            return Rejected(NOT_SENT, f"instruments could not be read: {error}", retryable=True)
        pinned = reading.to_milliseconds(self._clock.at(order.sent_at))
        waits = order.type.waits
        method = "fapiPrivatePostAlgoOrder" if waits else "fapiPrivatePostOrder"
        returned = self._wire.request(method, question, signed_ms=pinned)
        self._mind_the_clock(returned)
        return classify(self._table, order, returned, conditional.report if waits else reading.report)

    def find(self, order: Order) -> OrderReport | None:
        told = self._find_conditional(order) if order.type.waits else self._find_plain(order)
        if told is not None and told.client_order_id != order.client_order_id:
            what = f"order {order.client_order_id}"
            raise ExchangeUnavailable(f"{what}: the answer is about order {told.client_order_id}")
        return told

    def _find_plain(self, order: Order) -> OrderReport | None:
        question = {
            "symbol": self._listed.market_id(order.symbol),
            "origClientOrderId": order.client_order_id,
        }
        returned = self._ask("fapiPrivateGetOrder", question)
        if is_not_found(self._table, returned):
            return None
        return self._understood(returned, reading.report, f"order {order.client_order_id}")

    def _find_conditional(self, order: Order) -> OrderReport | None:
        question = {"symbol": self._listed.market_id(order.symbol), "clientAlgoId": order.client_order_id}
        returned = self._ask("fapiPrivateGetAlgoOrder", question)
        if is_not_found(self._table, returned):
            return None
        what = f"order {order.client_order_id}"
        return self._behind(order, self._understood(returned, conditional.conditional, what))

    def _behind(self, order: Order, told: conditional.Conditional) -> OrderReport:
        """What became of it, told by the order that it has turned into, if it has."""
        if not told.became:
            return told.report
        question = {"symbol": self._listed.market_id(order.symbol), "orderId": told.became}
        what = f"order {told.became} behind {order.client_order_id}"
        return told.filled(self._read("fapiPrivateGetOrder", question, reading.report, what))

    def listed(self, order: Order, since: datetime) -> OrderReport | None:
        kind, id_name = ("AlgoOrders", "clientAlgoId") if order.type.waits else ("Orders", "clientOrderId")
        market_id, what = self._listed.market_id(order.symbol), f"orders of {order.symbol}"
        history = {"symbol": market_id, "startTime": self._start(since), "limit": PAGE}
        for method, question in ((f"Open{kind}", {"symbol": market_id}), (f"All{kind}", history)):
            orders = self._read(f"fapiPrivateGet{method}", question, reading.rows, what)
            for told in orders:
                if told.get(id_name) == order.client_order_id:
                    return self._as_report(order, told)
            _refuse_a_full_page(orders, what)
        return None

    def _as_report(self, order: Order, told: reading.Row) -> OrderReport:
        if order.type.waits:
            return self._behind(order, conditional.conditional(told))
        return reading.report(told)

    def waiting(self, symbols: Collection[str]) -> frozenset[ClientOrderId]:
        if len(symbols) > MANY_SYMBOLS:
            return self._waiting({}, "orders that wait")
        known = self._listed.known().by_symbol
        questions = [({"symbol": known[each].market_id}, each) for each in symbols if each in known]
        found = [self._waiting(question, f"orders of {symbol} that wait") for question, symbol in questions]
        return frozenset().union(*found)

    def _waiting(self, question: Mapping[str, object], what: str) -> frozenset[ClientOrderId]:
        def told(data: object) -> frozenset[ClientOrderId]:
            return frozenset(map(conditional.client_id, reading.rows(data)))

        return self._read("fapiPrivateGetOpenAlgoOrders", question, told, what)

    def trades(self, order: Order) -> Sequence[Trade]:
        market_id = self._listed.market_id(order.symbol)
        question = {"symbol": market_id, "orderId": order.exchange_order_id, "limit": PAGE}
        what = f"trades of order {order.client_order_id}"
        found = self._read("fapiPrivateGetUserTrades", question, reading.trades, what)
        return [trade for trade in found if trade.exchange_order_id == order.exchange_order_id]

    def trades_since(self, symbol: str, since: datetime) -> Sequence[Trade]:
        what, start = f"trades of {symbol}", self._start(since)
        question = {"symbol": self._listed.market_id(symbol), "startTime": start, "limit": PAGE}
        found = self._read("fapiPrivateGetUserTrades", question, reading.trades, what)
        _refuse_a_full_page(found, what)
        return found

    def open_orders(self) -> Sequence[ListedOrder]:
        self._listed.renew()
        ordinary = self._read("fapiPrivateGetOpenOrders", {}, self._listed_orders, "open orders")
        return self._with_conditional("Open", {}, ordinary, reading.EPOCH)

    def orders_since(self, symbol: str, since: datetime) -> Sequence[ListedOrder]:
        what, start = f"orders of {symbol}", self._start(since)
        question = {"symbol": self._listed.market_id(symbol), "startTime": start, "limit": PAGE}
        found = self._read("fapiPrivateGetAllOrders", question, self._listed_orders, what)
        _refuse_a_full_page(found, what)
        longer = {**question, "startTime": self._start(since - WAITS_AT_MOST)}
        return self._with_conditional("All", longer, found, self._clock.at(since))

    def _with_conditional(
        self, kind: str, question: Mapping[str, object], ordinary: Sequence[ListedOrder], since: datetime
    ) -> Sequence[ListedOrder]:
        """The list with those beside it that wait for their price, or did: the `Open` ones, or `All`."""
        what = "orders that wait for their price"

        def told(data: object) -> Sequence[ListedOrder]:
            if "limit" in question:
                _refuse_a_full_page(reading.rows(data), what)
            return conditional.listed_orders(data, self._listed.symbols, ordinary, since)

        return self._read(f"fapiPrivateGet{kind}AlgoOrders", question, told, what)

    def cancel(self, order: Order) -> bool:
        waits = order.type.waits
        id_name = "clientAlgoId" if waits else "origClientOrderId"
        question = {"symbol": self._listed.market_id(order.symbol), id_name: order.client_order_id}
        method = "fapiPrivateDeleteAlgoOrder" if waits else "fapiPrivateDeleteOrder"
        returned = self._ask(method, question)
        if isinstance(returned, Reply) and returned.code in {"-2011", "-2013"}:
            return False
        reader = conditional.cancelled if waits else reading.cancelled
        told = self._understood(returned, reader, f"cancellation of order {order.client_order_id}")
        return told == order.client_order_id

    def dead_man(self, symbol: str, after_s: float) -> None:
        question = {"symbol": self._listed.market_id(symbol), "countdownTime": round(after_s * 1000)}
        self._read("fapiPrivatePostCountdownCancelAll", question, reading.row, f"dead-man switch of {symbol}")

    def equity(self) -> Equity:
        def told(data: object) -> reading.Balance:
            return reading.balance(data, self._options.settlement_asset)

        balance = self._read("fapiPrivateV3GetAccount", {}, told, "account")
        recorded_at = self._ours.now()
        return Equity(
            account=self._options.account,
            mode=self._options.mode,
            equity=balance.equity,
            available=balance.available,
            unrealised_pnl=balance.unrealised_pnl,
            occurred_at=self._clock.at(recorded_at),
            recorded_at=recorded_at,
        )

    def incomes(self, since: datetime) -> Sequence[Income]:
        self._listed.renew()
        found: dict[tuple[str, str, str], Income] = {}
        start = reading.to_milliseconds(since)
        for _ in range(MOST_PAGES):
            page = self._read(
                "fapiPrivateGetIncome", {"startTime": start, "limit": PAGE}, self._incomes, "incomes"
            )
            found |= {(each.kind, each.income_id, each.symbol): each for each in page}
            if len(page) < PAGE:
                return sorted(found.values(), key=lambda each: each.occurred_at)
            start = reading.to_milliseconds(page[-1].occurred_at)
        raise ExchangeUnavailable(f"incomes: more than {MOST_PAGES * PAGE} since {since:%Y-%m-%d %H:%M}")

    def holdings(self) -> Sequence[Holding]:
        self._listed.renew()
        positions = self._read("fapiPrivateV3GetPositionRisk", {}, self._holdings, "positions")
        return [holding for holding in positions if holding.qty != 0]

    # ------------------------------------------------------------------------------------------- helpers

    def _start(self, since: datetime) -> int:
        """In the exchange's time: a recording's clock may be a year behind ours."""
        return reading.to_milliseconds(self._clock.at(max(since, self._ours.now() - REACHES_BACK)))

    def _submission(self, order: Order) -> dict[str, object]:
        """The order in the exchange's words, every number as the exact text of its Decimal."""
        if order.type.waits:
            return conditional.submission(order, self._listed.market_id(order.symbol))
        question: dict[str, object] = {
            "symbol": self._listed.market_id(order.symbol),
            "side": order.side.value.upper(),
            "type": _TYPES[order.type],
            "quantity": normal(order.qty),
            "newClientOrderId": order.client_order_id,
            "newOrderRespType": "RESULT",
        }
        if order.type is OrderType.LIMIT:
            question |= {"price": normal(order.limit_price), "timeInForce": order.tif.value}
        if order.reduce_only:
            question["reduceOnly"] = "true"
        return question

    def _quotes(self, data: object) -> Mapping[str, Quote]:
        told, symbols = reading.quotes(data), self._listed.symbols
        return {symbols[name]: quote for name, quote in told.items() if name in symbols}

    def _volumes(self, data: object) -> Mapping[str, Decimal]:
        told, symbols = reading.volumes(data), self._listed.symbols
        return {symbols[name]: volume for name, volume in told.items() if name in symbols}

    def _listed_orders(self, data: object) -> Sequence[ListedOrder]:
        return [reading.listed_order(item, self._listed.symbols) for item in reading.rows(data)]

    def _incomes(self, data: object) -> Sequence[Income]:
        return [reading.income(item, self._listed.symbols) for item in reading.rows(data)]

    def _holdings(self, data: object) -> Sequence[Holding]:
        return [reading.holding(item, self._listed.symbols) for item in reading.rows(data)]

    def _read(
        self, method: str, question: Mapping[str, object], reader: Callable[[object], Read], what: str
    ) -> Read:
        return self._understood(self._ask(method, question), reader, what)

    def _ask(self, method: str, question: Mapping[str, object]) -> Return:
        return Asking(self._wire, self._clock).ask(method, question)

    def _understood(self, returned: Return, reader: Callable[[object], Read], what: str) -> Read:
        """Raises: ExchangeUnavailable, ExchangeRefused; an unreadable answer is none."""
        self._mind_the_clock(returned)
        if not isinstance(returned, Reply) or returned.status != 200:
            raise reading_error(self._table, returned, what)
        try:
            return reader(returned.data)
        except reading.UNREADABLE as error:
            told = returned.described()
            raise ExchangeUnavailable(f"{what}: the answer cannot be read ({told}; {error!r})") from None

    def _mind_the_clock(self, returned: Return) -> None:
        """Told that our timestamp is wrong, measure before the next request signs one."""
        if is_out_of_time(returned):
            self._clock.forget()

    def _server_time(self) -> datetime:
        def told(data: object) -> datetime:
            return reading.instant(reading.row(data)["serverTime"])

        return self._read("fapiPublicGetTime", {}, told, "time of the exchange")


def _refuse_a_full_page(found: Sequence[object], what: str) -> None:
    """Absence from a page that was cut off proves nothing."""
    if len(found) >= PAGE:
        raise ExchangeUnavailable(f"{what}: more than {PAGE} since then, the list is cut off")
