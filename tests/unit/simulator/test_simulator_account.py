from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from simulator.account import Account, Position
from simulator.orders import OrderType, Side
from tests.unit.simulator.exchange_worlds import SYMBOL, Desk, request

FILLS = st.lists(
    st.tuples(
        st.sampled_from([-1, 1]),
        st.decimals(Decimal("0.01"), Decimal(50), places=2),
        st.decimals(Decimal(1), Decimal(500), places=1),
    ),
    max_size=30,
)


@given(FILLS)
def test_realised_and_open_profit_add_up_to_the_cash_that_moved(
    fills: list[tuple[int, Decimal, Decimal]],
) -> None:
    """Whatever the order of fills: profit is what was received less what was paid, the rest at the mark."""
    position, realised, cash = Position(), Decimal(0), Decimal(0)
    for direction, qty, price in fills:
        realised += position.apply(direction * qty, price)
        cash -= direction * qty * price
    mark = Decimal(100)
    assert abs(realised + position.unrealised(mark) - (cash + position.qty * mark)) < Decimal("1e-15")
    assert position.qty == sum((direction * qty for direction, qty, _ in fills), Decimal(0))


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["BUY", "SELL"]),
            st.integers(1, 200),
            st.booleans(),
            st.sampled_from([98, 100, 102]),
        ),
        max_size=12,
    )
)
def test_the_wallet_is_the_deposit_plus_profit_less_fees(
    steps: list[tuple[str, int, bool, int]],
) -> None:
    """Money neither appears nor vanishes, whatever is ordered while the price moves."""
    desk = Desk([100, 103, 97, 101, 99, 104, 96, 100])
    for side, hundredths, at_limit, price in steps:
        fields = {"kind": "LIMIT", "price": str(price)} if at_limit else {}
        if desk.engine.book(SYMBOL, desk.now_ms).ask < 300:
            desk.engine.execute(
                desk.account,
                request(side=side, qty=str(Decimal(hundredths) / 100), **fields),
                desk.engine.book(SYMBOL, desk.now_ms),
                desk.now_ms,
            )
        desk.wait(0.7)
    account = desk.account
    trades = account.orders.trades
    profit = sum((trade.realised for trade in trades), Decimal(0))
    fees = sum((trade.fee for trade in trades), Decimal(0))
    bought = sum((trade.side.signed(trade.qty) for trade in trades), Decimal(0))
    assert account.wallet == account.deposited + profit - fees
    assert account.wallet == account.deposited + sum((row.amount for row in account.incomes), Decimal(0))
    assert desk.held == bought
    assert all(order.executed <= order.qty for order in account.orders.by_id.values())


@given(st.lists(st.tuples(st.sampled_from(["BUY", "SELL"]), st.integers(1, 500), st.booleans()), max_size=15))
def test_reducing_orders_never_turn_a_position_round(steps: list[tuple[str, int, bool]]) -> None:
    """Reduce-only means smaller or closed, nothing else."""
    desk = Desk()
    for side, hundredths, reducing in steps:
        before = desk.held
        wanted = request(side=side, qty=str(Decimal(hundredths) / 100), reduce_only=reducing)
        if reducing and not desk.account.reducible(SYMBOL, Side(side)):
            continue
        desk.engine.execute(desk.account, wanted, desk.engine.book(SYMBOL, desk.now_ms), desk.now_ms)
        if reducing:
            assert abs(desk.held) < abs(before)
            assert desk.held * before >= 0


def test_reducing_realises_the_closed_part_and_keeps_the_entry_price() -> None:
    """Adding averages, reducing does not, turning round opens anew at the new price."""
    position = Position()
    steps = [(2, 100), (2, 110), (-1, 115), (-4, 95), (1, 90)]
    realised = [position.apply(Decimal(qty), Decimal(price)) for qty, price in steps]
    assert realised == [0, 0, 10, -30, 5]
    assert (position.qty, position.entry_price) == (Decimal(0), Decimal(0))
    position.apply(Decimal(-3), Decimal(50))
    position.apply(Decimal(5), Decimal(40))
    assert (position.qty, position.entry_price) == (Decimal(2), Decimal(40))


def test_margin_counts_open_profit_but_wallet_does_not() -> None:
    """totalWalletBalance and totalMarginBalance differ by exactly the unrealised profit."""
    desk = Desk([100, 103])
    desk.order(qty="2")
    desk.wait(3)
    margin = desk.engine.margin(desk.account, desk.now_ms)
    entry = desk.account.positions[SYMBOL].entry_price
    assert margin.unrealised == 2 * (103 - entry)
    assert margin.balance == margin.wallet + margin.unrealised
    assert margin.position_margin == Decimal(206) / 20
    assert margin.available == margin.balance - margin.initial


def test_a_new_account_has_only_its_deposit() -> None:
    """The starting point of every audit."""
    account = Account("key", b"secret", Decimal(10), Decimal(10), 0)
    assert account.value({}).available == 10
    assert account.reducible(SYMBOL, Side.SELL) == 0
    assert OrderType.MARKET.is_conditional is False
