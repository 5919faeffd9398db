"""The real adapter on a simulated exchange, and a fake one, behind one face."""

from __future__ import annotations

import itertools
import json
import urllib.request
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import ROUND_UP, Decimal

from pipeline.domain.decisions import Decision, Mode, Origin
from pipeline.domain.ids import client_order_id, decision_id, permit_id
from pipeline.domain.instruments import Instrument
from pipeline.domain.intents import Intent, Leg, OrderType, TimeInForce
from pipeline.domain.orders import Answer, Order
from pipeline.domain.permits import OrderTerms, Permit
from pipeline.domain.ports import Clock, Venue
from pipeline.domain.signals import Side
from pipeline.exchange.ccxt_adapter import CcxtExchange, ExchangeOptions, connect
from pipeline.exchange.wire import WireOptions
from pipeline.market.quotes import Quoting
from tests.support.servers import Simulator

BTC = "BTC/USDT:USDT"
SIM_KEY, SIM_SECRET = "sim-key", "sim-secret"
_numbers = itertools.count()


@dataclass
class Exchange:
    """Both ports of one exchange, the clock that it goes by, and its volumes of 24 h."""

    venue: Venue
    market: Quoting
    clock: Clock
    volumes: Callable[[], Mapping[str, Decimal]] = dict

    @property
    def instrument(self) -> Instrument:
        return self.market.instruments().find(BTC)

    def intent(self, side: Side = Side.BUY, qty: str = "", bps: int = 50, **changes: object) -> Intent:
        """A limit order `bps` beyond the best price of the other side: negative ones do not trade."""
        quote = self.market.quote(BTC)
        best = quote.ask if side is Side.BUY else quote.bid
        price = best * (1 + Decimal(bps) * side.sign / 10_000)
        instrument = self.instrument
        bound = instrument.round_price_up(price) if side is Side.BUY else instrument.round_price_down(price)
        wanted = Intent(
            symbol=BTC,
            leg=Leg.ENTRY,
            side=side,
            type=OrderType.LIMIT,
            tif=TimeInForce.IOC,
            qty=Decimal(qty) if qty else self.small_qty(best),
            limit_price=bound,
            reduce_only=False,
            decision_price=best,
            priced_at=self.clock.now(),
            stop_loss=None,
            take_profit=None,
            strategy="test",
            score=Decimal(1),
            reason="test",
        )
        return replace(wanted, **changes)  # type: ignore[arg-type]  # names of its own fields

    def small_qty(self, price: Decimal) -> Decimal:
        """A quantity worth about three times the minimum."""
        instrument = self.instrument
        steps = (instrument.min_notional * 3 / price / instrument.qty_step).to_integral_value(ROUND_UP)
        return max(instrument.min_qty, steps * instrument.qty_step)

    def order(self, wanted: Intent | None = None) -> tuple[Order, Permit]:
        """An order that is about to be sent, with its permit."""
        decision = a_decision(self.clock.now())
        return as_order(wanted or self.intent(), decision, self.clock.now())

    def submit(self, wanted: Intent | None = None) -> tuple[Order, Answer]:
        order, permit = self.order(wanted)
        return order, self.venue.submit(order, permit)


def a_decision(now: datetime) -> Decision:
    return Decision(
        decision_id=decision_id(BTC, now, f"exchange test {next(_numbers)} {now}"),
        symbol=BTC,
        slot=now,
        origin=Origin.PYTHON,
        account="test",
        mode=Mode.PAPER,
        config_hash="c0ffee",
        enqueued_at=now,
        expires_at=now + timedelta(seconds=30),
        deadline_at=now + timedelta(seconds=60),
    )


def as_order(wanted: Intent, decision: Decision, now: datetime) -> tuple[Order, Permit]:
    terms = OrderTerms.of(wanted, decision.decision_id, decision.account, decision.mode)
    permit = Permit(
        permit_id=permit_id(decision.decision_id, wanted.leg),
        terms=terms,
        terms_hash=terms.hash(),
        reserved=terms.notional,
        limits={},
        issued_at=now,
        expires_at=now + timedelta(seconds=30),
        signature="",
    )
    order = Order(
        client_order_id=client_order_id(decision.account, decision.decision_id, wanted.leg, 1),
        decision_id=decision.decision_id,
        leg=wanted.leg,
        attempt=1,
        account=decision.account,
        mode=decision.mode,
        permit_id=permit.permit_id,
        symbol=wanted.symbol,
        side=wanted.side,
        type=wanted.type,
        tif=wanted.tif,
        qty=wanted.qty,
        limit_price=wanted.limit_price,
        reduce_only=wanted.reduce_only,
        decision_price=wanted.decision_price,
        created_at=now,
        sent_at=now,
    )
    return order, permit


def adapter(
    url: str, *, key: str = SIM_KEY, secret: str = SIM_SECRET, timeout_s: float = 20.0
) -> CcxtExchange:
    """The real adapter, its requests diverted to `url`."""
    wire = WireOptions(
        api_key=key, api_secret=secret, base_url=url, timeout_s=timeout_s, public_timeout_s=timeout_s
    )
    return connect(ExchangeOptions(account="test", mode=Mode.PAPER, wire=wire))


class Rehearsal:
    """One simulated exchange with an account of its own for each test, and its faults."""

    def __init__(self, server: Simulator) -> None:
        self.server = server
        self.key = f"key-{next(_numbers)}-{datetime.now(UTC).timestamp()}"
        self.call("POST", "/_sim/accounts", {"api_key": self.key, "api_secret": "s", "balance": "10000"})

    def adapter(self, timeout_s: float = 20.0) -> CcxtExchange:
        return adapter(self.server.url, key=self.key, secret="s", timeout_s=timeout_s)

    def fault(self, kind: str, **fields: object) -> None:
        self.call("POST", "/_sim/faults", {"kind": kind, **fields})

    def calm(self) -> None:
        """No more faults."""
        self.call("DELETE", "/_sim/faults")

    def accepted(self) -> list[dict[str, object]]:
        """The orders of this test's account that reached the exchange's book."""
        return [entry for entry in self.mine() if entry["kind"] == "order_accepted"]

    def submissions(self) -> list[dict[str, object]]:
        """Every request of this test's account to place an order, answered or not."""
        posts = (entry for entry in self.mine() if entry["method"] == "POST" and entry["kind"] == "request")
        return [entry for entry in posts if entry["path"] == "/fapi/v1/order"]

    def mine(self) -> Iterable[dict[str, object]]:
        return [entry for entry in self.server.journal() if entry.get("account") == self.key]

    def call(self, method: str, path: str, body: dict[str, object] | None = None) -> object:
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(self.server.url + path, data, method=method)  # noqa: S310 - our own address
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - our own address
            return json.load(answer)
