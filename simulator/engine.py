"""The exchange itself: takes orders, fills them, moves them along with the price."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from simulator import errors, filters, funding
from simulator.account import MAKER_FEE, TAKER_FEE, Account, Income, Margin
from simulator.book import Book, Level, take
from simulator.cushion import Cushion
from simulator.errors import ApiError
from simulator.ids import Ids
from simulator.instruments import round_down
from simulator.journal import Journal
from simulator.market import Market
from simulator.orders import (
    AlgoOrder,
    AlgoStatus,
    Order,
    OrderRequest,
    OrderType,
    Status,
    TimeInForce,
    Trade,
)
from simulator.state import State

ALL = Decimal(1)
CENT = Decimal("0.00000001")  # USDT are kept to eight places, as on Binance


class Engine:
    """Orders and accounts over one market.

    Methods take the time; `Sweeper.advance` has brought resting orders up to it before.
    """

    def __init__(self, market: Market, journal: Journal, state: State | None = None) -> None:
        self.market = market
        self.accounts: dict[str, Account] = {}
        self.state = state or State(journal.clock)
        self._journal = journal
        self._ids = Ids()
        self._cushions: dict[str, Cushion] = {}

    def open_account(
        self, api_key: str, api_secret: str, balance: Decimal, now_ms: int, *, can_withdraw: bool = False
    ) -> Account:
        """A new account, or the same key again with a fresh balance and no history."""
        account = Account(api_key, api_secret.encode(), balance, balance, now_ms, can_withdraw)
        self.accounts[api_key] = account
        self.state.account(account)
        return account

    def book(self, symbol: str, now_ms: int) -> Book:
        return Book(self.market.instrument(symbol), self.market.last_ticks(symbol, now_ms), now_ms)

    def margin(self, account: Account, now_ms: int) -> Margin:
        """The account valued at the prices of that time."""
        held = [symbol for symbol, position in account.positions.items() if position.qty]
        return account.value({symbol: self.market.last(symbol, now_ms) for symbol in held})

    def cushion(self, account: Account) -> Cushion:
        known = self._cushions.get(account.api_key)
        if known is None or known.account is not account:
            known = self._cushions[account.api_key] = Cushion(account, self.market)
        return known

    def _has_available(self, account: Account, amount: Decimal, now_ms: int) -> bool:
        return (
            self.cushion(account).least(now_ms) >= amount or self.margin(account, now_ms).available >= amount
        )

    def place(self, account: Account, request: OrderRequest, now_ms: int, fraction: Decimal = ALL) -> Order:
        """Accept an order and fill what can be filled at once.

        `fraction` is the share that an IOC or market order may get (a fault asks for less than all).
        Raises: ApiError when it is refused; nothing has changed then.
        """
        if account.orders.has_open_client_id(request.client_id):
            raise ApiError(errors.DUPLICATE_CLIENT_ID)
        book = self.book(request.symbol, now_ms)
        last = self.market.last(request.symbol, now_ms)
        filters.check(request, self.market.instrument(request.symbol), last, book)
        return self.execute(account, request, book, now_ms, fraction)

    def execute(
        self, account: Account, request: OrderRequest, book: Book, now_ms: int, fraction: Decimal = ALL
    ) -> Order:
        """Like `place`, for an order whose filters have been checked, against a given book."""
        qty = self._allowed_qty(account, request)
        self._check_margin(account, replace(request, qty=qty), book, now_ms)
        pieces = self._matches(request, qty, fraction, book)
        order = Order(self._ids.order(), request, qty, now_ms, now_ms, orig_type=request.type)
        account.orders.add(order)
        self._tell("order_accepted", account, order)
        for piece in pieces:
            self._fill(account, order, piece, TAKER_FEE, now_ms)
        if order.status.is_open and not self._may_rest(request):
            self._end(account, order, Status.EXPIRED, "order_expired", now_ms)
        return order

    def fill_resting(self, account: Account, order: Order, now_ms: int) -> None:
        """The price has come to a resting order: it trades in full at its own limit, as maker."""
        request = order.request
        qty = order.remaining
        if request.reduce_only:
            qty = min(qty, account.reducible(request.symbol, request.side))
        if qty > 0 and request.price is not None:
            self._fill(account, order, Level(request.price, qty), MAKER_FEE, now_ms)
        if order.status.is_open:
            self._end(account, order, Status.EXPIRED, "order_expired", now_ms)

    def cancel(self, account: Account, order: Order, now_ms: int) -> Order:
        """Raises: ApiError -2011 when it is not open any more."""
        if not order.status.is_open:
            raise ApiError(errors.UNKNOWN_CANCEL)
        self._end(account, order, Status.CANCELED, "order_canceled", now_ms)
        return order

    def cancel_all(self, account: Account, symbol: str, now_ms: int) -> list[Order]:
        mine = account.orders.open.of(symbol)
        return [self.cancel(account, order, now_ms) for order in mine]

    def place_algo(self, account: Account, request: OrderRequest, now_ms: int) -> AlgoOrder:
        """Accept a conditional order. Raises: ApiError when it is refused."""
        if account.orders.has_open_algo_id(request.client_id):
            raise ApiError(errors.DUPLICATE_CLIENT_ID)
        book = self.book(request.symbol, now_ms)
        last = self.market.last(request.symbol, now_ms)
        filters.check(request, self.market.instrument(request.symbol), last, book)
        if request.is_reducing and not account.reducible(request.symbol, request.side):
            raise ApiError(errors.REDUCE_ONLY)
        algo = AlgoOrder(self._ids.algo(), request, now_ms, now_ms)
        account.orders.add_algo(algo)
        self._tell_algo("order_accepted", account, algo)
        return algo

    def cancel_algo(self, account: Account, algo: AlgoOrder, now_ms: int) -> AlgoOrder:
        """Raises: ApiError -2011 when it is not waiting any more."""
        if not algo.is_open:
            raise ApiError(errors.UNKNOWN_CANCEL)
        self._end_algo(account, algo, AlgoStatus.CANCELED, "order_canceled", now_ms)
        return algo

    def trigger(self, account: Account, algo: AlgoOrder, ticks: int, now_ms: int) -> None:
        """The trigger price was reached: the order behind it goes to the book, or dies when it cannot."""
        algo.triggered_ms = now_ms
        self._end_algo(account, algo, AlgoStatus.TRIGGERED, "order_triggered", now_ms)
        instrument = self.market.instrument(algo.request.symbol)
        try:
            order = self.execute(account, triggered(algo), Book(instrument, ticks, now_ms), now_ms)
        except ApiError as refused:
            reducing = algo.request.is_reducing and refused.code == errors.REDUCE_ONLY.code
            status = AlgoStatus.EXPIRED if reducing else AlgoStatus.REJECTED
            self._end_algo(account, algo, status, "order_expired", now_ms)
            return
        algo.order_id = order.order_id
        algo.order_avg_price = order.avg_price
        algo.status = AlgoStatus.FINISHED
        self.state.algo(account, algo)

    def fund(self, at_ms: int) -> None:
        """It is a funding time: charge or pay every position."""
        for account in self.accounts.values():
            for symbol, position in account.positions.items():
                if position.qty:
                    rate, mark = funding.rate(symbol, at_ms), self.market.last(symbol, at_ms)
                    amount = funding.payment(position.qty, mark, rate).quantize(CENT)
                    self._receive(account, Income("FUNDING_FEE", symbol, amount, at_ms, self._ids.trade()))

    def transfer(self, account: Account, amount: Decimal, now_ms: int) -> Income:
        """Somebody moves money into the wallet, or out of it."""
        return self._receive(account, Income("TRANSFER", "", amount, now_ms, self._ids.trade()))

    def _receive(self, account: Account, income: Income) -> Income:
        account.receive(income)
        self._journal.income(account, income)
        self.state.income(account, income)
        return income

    def _allowed_qty(self, account: Account, request: OrderRequest) -> Decimal:
        """Reducing orders are cut to the position. Raises: ApiError -2022 when there is nothing to reduce."""
        if not request.is_reducing:
            return request.qty
        reducible = account.reducible(request.symbol, request.side)
        if not reducible:
            raise ApiError(errors.REDUCE_ONLY)
        return reducible if request.close_position else min(request.qty, reducible)

    def _check_margin(self, account: Account, request: OrderRequest, book: Book, now_ms: int) -> None:
        """Only what opens or adds needs margin. Raises: ApiError -2019."""
        opening = request.qty - account.reducible(request.symbol, request.side)
        if request.is_reducing or opening <= 0:
            return
        price = request.price or (book.ask if request.side == "BUY" else book.bid)
        needed = opening * price / account.leverage(request.symbol) + request.qty * price * TAKER_FEE
        if not self._has_available(account, needed, now_ms):
            raise ApiError(errors.MARGIN_INSUFFICIENT)

    def _matches(self, request: OrderRequest, qty: Decimal, fraction: Decimal, book: Book) -> list[Level]:
        """What fills at once. Raises: ApiError for FOK that cannot fill and GTX that would."""
        wanted = qty
        if fraction < ALL:
            wanted = round_down(qty * fraction, self.market.instrument(request.symbol).step)
        pieces = take(book.against(request.side), request.side, wanted, request.price)
        if request.time_in_force is TimeInForce.FOK and sum(piece.qty for piece in pieces) < qty:
            raise ApiError(errors.FOK_NOT_FILLED)
        if request.time_in_force is TimeInForce.GTX and pieces:
            raise ApiError(errors.POST_ONLY)
        return pieces

    def _may_rest(self, request: OrderRequest) -> bool:
        return request.type is OrderType.LIMIT and request.time_in_force in {TimeInForce.GTC, TimeInForce.GTX}

    def _fill(self, account: Account, order: Order, piece: Level, fee_rate: Decimal, now_ms: int) -> None:
        request = order.request
        position = account.position(request.symbol)
        realised = position.apply(request.side.signed(piece.qty), piece.price)
        position.updated_ms = now_ms
        account.changed.add(request.symbol)
        order.fill(piece.qty, piece.price, now_ms)
        trade = Trade(
            trade_id=self._ids.trade(),
            order_id=order.order_id,
            symbol=request.symbol,
            side=request.side,
            price=piece.price,
            qty=piece.qty,
            realised=realised.quantize(CENT),
            fee=(piece.qty * piece.price * fee_rate).quantize(CENT),
            maker=fee_rate == MAKER_FEE,
            at_ms=now_ms,
        )
        account.take(trade)
        account.orders.settle(order)
        self._journal.fill(account, order, trade)
        self.state.fill(account, order, trade)

    def _end(self, account: Account, order: Order, status: Status, kind: str, now_ms: int) -> None:
        order.end(status, now_ms)
        account.orders.settle(order)
        self._tell(kind, account, order)

    def _end_algo(
        self, account: Account, algo: AlgoOrder, status: AlgoStatus, kind: str, now_ms: int
    ) -> None:
        algo.end(status, now_ms)
        account.orders.open_algos.drop(algo.algo_id)
        self._tell_algo(kind, account, algo)

    def _tell(self, kind: str, account: Account, order: Order) -> None:
        account.changed.add(order.request.symbol)
        self._journal.order(kind, account, order)
        self.state.order(account, order)

    def _tell_algo(self, kind: str, account: Account, algo: AlgoOrder) -> None:
        self._journal.algo(kind, account, algo)
        self.state.algo(account, algo)


def triggered(algo: AlgoOrder) -> OrderRequest:
    """The order that a conditional order becomes: the client id stays the same."""
    kind = OrderType.LIMIT if algo.request.type.has_price else OrderType.MARKET
    return replace(algo.request, type=kind, trigger=None)
