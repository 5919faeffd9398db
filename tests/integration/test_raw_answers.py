"""Raw HTTP answers through the real ccxt classes of four exchanges, over real sockets."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import ccxt
import pytest
from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter

from pipeline.domain.errors import ExchangeUnavailable
from pipeline.domain.orders import Acknowledged, Answer, OrderReport, Rejected, Unknown
from pipeline.exchange import echoes, reading
from pipeline.exchange.answers import NOT_SENT, classify, is_not_found, reading_error
from pipeline.exchange.replies import Reply
from pipeline.exchange.tables import TABLES
from pipeline.exchange.wire import Wire, WireOptions
from tests.integration.raw_answers import ANSWERS, OURS, Told
from tests.support.raw_http import Raw, RawServer
from tests.unit.exchange.canned import an_order

ORDER, _ = an_order(client_order_id=OURS)
PATIENT_S, IMPATIENT_S = 20.0, 0.4


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one exchange is asked to take an order: by ccxt's method for its path, and how it says yes."""

    method: str
    question: Mapping[str, str]
    market_id: str
    read: Callable[[object], OrderReport]


DIALECTS = {
    "binanceusdm": Dialect("fapiPrivatePostOrder", {"newClientOrderId": OURS}, "BTCUSDT", reading.report),
    "bybit": Dialect("privatePostV5OrderCreate", {"orderLinkId": OURS}, "BTCUSDT", echoes.bybit),
    "okx": Dialect("privatePostTradeOrder", {"clOrdId": OURS}, "BTC-USDT-SWAP", echoes.okx),
    "kraken": Dialect("privatePostAddOrder", {"cl_ord_id": OURS}, "XBTUSDT", echoes.kraken(ORDER)),
}


@pytest.fixture(scope="module")
def server() -> Iterator[RawServer]:
    server = RawServer()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def wires(server: RawServer) -> Mapping[str, Wire]:
    """Each exchange's real ccxt class, its requests signed for the real host and dialled to ours."""
    return {name: _wire(name, server.url) for name in DIALECTS}


class Diverting(HTTPAdapter):
    """Dials one address, whatever host ccxt asks, and asks once."""

    def __init__(self, url: str) -> None:
        super().__init__(max_retries=0)
        self._url = url

    def send(self, request: PreparedRequest, *rest: Any, **options: Any) -> Response:
        request.url = self._url + request.path_url
        return super().send(request, *rest, **options)


@pytest.fixture(scope="module")
def plain(server: RawServer) -> Mapping[str, Any]:
    """The same classes with nothing of ours in them but the address that is dialled."""
    return {name: _plain(name, server.url) for name in DIALECTS}


def _plain(name: str, url: str) -> Any:
    secret = base64.b64encode(b"s" * 64).decode()
    options = {"maxRetriesOnFailure": 0, "enableUnifiedMargin": False, "enableUnifiedAccount": True}
    exchange = getattr(ccxt, name)({"apiKey": "k", "secret": secret, "password": "p", "options": options})
    exchange.enableRateLimit = False
    exchange.session.mount("https://", Diverting(url))
    exchange.set_markets([_market(exchange, name)])
    return exchange


def _wire(name: str, url: str) -> Wire:
    secret = base64.b64encode(b"s" * 64).decode()
    options = WireOptions(exchange_id=name, api_key="k", api_secret=secret, base_url=url, timeout_s=PATIENT_S)
    wire = Wire(options, lambda: 1_700_000_000_000)
    wire.ccxt.password = "p"
    return wire


def _market(exchange: Any, name: str) -> Any:
    """A market by hand: loading the real ones would need the exchange."""
    spot = name == "kraken"
    shape = {
        "id": DIALECTS[name].market_id,
        "symbol": "BTC/USDT" if spot else "BTC/USDT:USDT",
        "base": "BTC",
        "quote": "USDT",
        "settle": None if spot else "USDT",
        "type": "spot" if spot else "swap",
        "spot": spot,
        "swap": not spot,
        "contract": not spot,
        "linear": None if spot else True,
        "inverse": None if spot else False,
        "contractSize": None if spot else 1.0,
        "active": True,
        "precision": {"amount": 0.001, "price": 0.1},
        "info": {"orderTypes": ["LIMIT", "MARKET"]},
    }
    return exchange.safe_market_structure(shape)


def patience_s(told: Told) -> float:
    """Soon over where nothing will come; elsewhere a busy machine must not look like silence."""
    return IMPATIENT_S if told.raw.mute else PATIENT_S


def submitted(wire: Wire, name: str) -> Answer:
    dialect = DIALECTS[name]
    returned = wire.request(dialect.method, dialect.question)
    return classify(TABLES[name], ORDER, returned, dialect.read)


def in_words(answer: Answer) -> str:
    """The answer as the table of raw answers writes it."""
    match answer:
        case Acknowledged():
            return "placed"
        case Rejected(code=code, retryable=retryable):
            return f"refused {code}{' again' if retryable else ''}"
    return "unknown"


def ccxts_view(exchange: Any) -> str:
    """What ccxt's own `create_order` makes of it."""
    symbol = next(iter(exchange.markets))
    try:
        order = exchange.create_order(symbol, "limit", "buy", 0.01, 60000.0, {"clientOrderId": OURS})
    except Exception as error:  # noqa: BLE001 -- its class is what is compared
        return type(error).__name__
    return f"id={order['id']}"


def every_answer() -> list[Any]:
    return [
        pytest.param(name, told, id=f"{name}: {told.name}")
        for name, answers in ANSWERS.items()
        for told in answers
    ]


@pytest.mark.parametrize(("name", "told"), every_answer())
def test_an_answer_means_what_the_table_says(
    server: RawServer, wires: Mapping[str, Wire], name: str, told: Told
) -> None:
    """A ccxt or a table that changes one of these would place twice, or give up what is live."""
    server.answer, wires[name].transport.timeout_s = told.raw, patience_s(told)
    before = len(server.requests)
    assert in_words(submitted(wires[name], name)) == told.means
    assert len(server.requests) - before == 1, "one submission is one request"


@pytest.mark.parametrize(("name", "told"), every_answer())
def test_ccxt_makes_of_it_what_it_did_when_the_tables_were_written(
    server: RawServer, plain: Mapping[str, Any], name: str, told: Told
) -> None:
    """Nothing depends on ccxt's classes; a change tells whoever raises its version where to look."""
    server.answer, plain[name].timeout = told.raw, round(1000 * patience_s(told))
    before = len(server.requests)
    assert ccxts_view(plain[name]) == told.ccxt
    assert len(server.requests) - before == 1, "ccxt repeats nothing"


@pytest.mark.parametrize("name", DIALECTS)
def test_a_connection_that_was_refused_carried_no_order(name: str) -> None:
    """The only failure of the network that is a definite no."""
    closed = RawServer()
    closed.stop()
    answer = submitted(_wire(name, closed.url), name)
    assert isinstance(answer, Rejected)
    assert (answer.code, answer.retryable) == (NOT_SENT, True)


@pytest.mark.parametrize("name", DIALECTS)
def test_an_order_whose_answer_trickles_is_asked_about(
    server: RawServer, wires: Mapping[str, Wire], name: str
) -> None:
    """It was sent, and what the rest of the answer would have said nobody knows: neither placed nor refused."""
    placed = next(told.raw for told in ANSWERS[name] if told.means == "placed")
    server.answer, wires[name].transport.timeout_s = replace(placed, drips_s=0.02), IMPATIENT_S
    before = len(server.requests)
    answer = submitted(wires[name], name)
    assert isinstance(answer, Unknown)
    assert "TimeoutError" in answer.why
    assert len(server.requests) - before == 1


def test_an_answer_that_is_too_large_counts_as_none(
    server: RawServer, wires: Mapping[str, Wire], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who asked for data is told why it may be asked for again; an order is asked about."""
    monkeypatch.setattr("pipeline.exchange.connection.MOST_BYTES", 1000)
    wire = wires["binanceusdm"]
    server.answer, wire.transport.timeout_s = Raw(200, " " * 2000), PATIENT_S
    problem = reading_error(TABLES["binanceusdm"], wire.request("fapiPublicGetTime", {}), "the time")
    assert isinstance(problem, ExchangeUnavailable)
    assert "the answer is larger than" in str(problem)
    assert isinstance(submitted(wire, "binanceusdm"), Unknown)


@pytest.mark.parametrize("name", DIALECTS)
def test_the_wait_in_a_429_is_read(server: RawServer, wires: Mapping[str, Wire], name: str) -> None:
    """Backing off for less makes a 429 a ban."""
    server.answer = Raw(429, "", {"Retry-After": "7"})
    answer = submitted(wires[name], name)
    assert isinstance(answer, Rejected)
    assert answer.retry_after_s == 7


NOT_FOUND = {
    "binanceusdm": Raw(400, '{"code": -2013, "msg": "Order does not exist."}'),
    "bybit": Raw(200, '{"retCode": 110001, "retMsg": "Order does not exist"}'),
    "okx": Raw(200, '{"code": "51603", "data": [], "msg": "Order does not exist"}'),
    "kraken": Raw(200, '{"error": ["EOrder:Unknown order"]}'),
}


@pytest.mark.parametrize("name", DIALECTS)
def test_not_found_is_the_exchanges_own_word_and_no_gateways(
    server: RawServer, wires: Mapping[str, Wire], name: str
) -> None:
    """It counts as a miss; a page of a proxy must not, nor the same word under a failing gateway."""
    method, question = DIALECTS[name].method, DIALECTS[name].question
    for raw, expected in (
        (NOT_FOUND[name], True),
        (Raw(502, NOT_FOUND[name].body), False),
        (Raw(404, "<html>not found</html>"), False),
        (Raw(200, ""), False),
    ):
        server.answer = raw
        returned = wires[name].request(method, question)
        assert is_not_found(TABLES[name], returned) is expected
        assert isinstance(returned, Reply)
