"""The tables of answers: each word has one meaning, and the page shows them as they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.domain.orders import Acknowledged, Order, Rejected
from pipeline.exchange import echoes
from pipeline.exchange.answer_page import page
from pipeline.exchange.answers import classify
from pipeline.exchange.replies import Reply
from pipeline.exchange.tables import TABLES, Table
from tests.unit.exchange.canned import CLIENT_ID, an_order

ORDER: Order = an_order()[0]
PAGE = Path(__file__).parents[3] / "docs" / "exchange-answers.md"
NAMES = sorted(TABLES)

RISKY = {
    "binanceusdm": {"-1000", "-1001", "-1006", "-1007", "-2010", "-4116"},
    "bybit": {"10000", "10016", "110072", "170141", "170007"},
    "okx": {"50004", "51149", "51016"},
    "kraken": {"EService:Timeout", "EService:Unavailable", "EService:Busy"},
}
"""Words after which an order was seen on the exchange: none of them may ever be listed as a refusal."""


def test_the_page_is_current() -> None:
    """Run `python -m pipeline.exchange.answer_page > docs/exchange-answers.md` when this fails."""
    assert PAGE.read_text(encoding="utf-8") == page()


@pytest.mark.parametrize("name", NAMES)
def test_no_word_has_two_meanings(name: str) -> None:
    """A word that is refused and unknown at once would be whichever is looked at first."""
    table = TABLES[name]
    groups = [set(table.refused), set(table.exists), set(table.unknown), set(table.not_found)]
    words = [word for group in groups for word in group]
    assert len(words) == len(set(words))


@pytest.mark.parametrize("name", NAMES)
def test_a_word_after_which_orders_were_seen_is_no_refusal(name: str) -> None:
    """One of these taken for a refusal is a second order, or a position that nobody watches."""
    table = TABLES[name]
    assert not RISKY[name] & set(table.refused)
    assert RISKY[name] <= set(table.exists) | set(table.unknown)


@pytest.mark.parametrize("name", NAMES)
def test_only_an_answer_of_the_exchange_itself_refuses(name: str) -> None:
    """A gateway that failed may carry any body: behind a 5xx stands nobody who knows, except Binance's -1008."""
    for code, refusal in TABLES[name].refused.items():
        gateways = [status for status in refusal.statuses if status >= 500]
        assert gateways == ([503] if code == "-1008" else [])


def answers(body: object) -> dict[str, object]:
    """What each exchange's reader makes of one JSON body under 200."""
    readers = {"bybit": echoes.bybit, "okx": echoes.okx, "kraken": echoes.kraken(ORDER)}
    return {
        name: classify(_table(name), ORDER, Reply(200, str(body), body), reader)
        for name, reader in readers.items()
    }


def _table(name: str) -> Table:
    return TABLES[name]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"result": {}},
        {"result": {"orderId": "1", "orderLinkId": "another"}, "data": [], "code": "0"},
        {"result": {"orderId": "", "orderLinkId": CLIENT_ID, "txid": []}},
        {"result": {"orderId": 5, "orderLinkId": CLIENT_ID, "txid": [7]}, "data": [{"sCode": "0"}]},
        {"result": None, "data": None},
        {"result": {"txid": ["one", "two"]}, "data": [{"sCode": "0", "clOrdId": "x", "ordId": "1"}]},
        {"code": "2", "data": [{"sCode": "51008", "sMsg": "no"}], "error": ["EOrder:Insufficient funds"]},
    ],
    ids=str,
)
def test_an_answer_without_an_echo_is_never_an_acknowledgement(body: object) -> None:
    """No id, or no echo of ours: nothing is known."""
    assert not [each for each in answers(body).values() if isinstance(each, Acknowledged)]


def test_each_exchanges_own_acknowledgement_is_one() -> None:
    """The reader of one exchange understands its own answer."""
    body = {
        "retCode": 0,
        "code": "0",
        "error": [],
        "result": {"orderId": "b-1", "orderLinkId": CLIENT_ID, "txid": ["k-1"]},
        "data": [{"sCode": "0", "clOrdId": CLIENT_ID, "ordId": "o-1"}],
    }
    ids = {
        name: answer.report.exchange_order_id
        for name, answer in answers(body).items()
        if isinstance(answer, Acknowledged)
    }
    assert ids == {"bybit": "b-1", "okx": "o-1", "kraken": "k-1"}


def test_a_refusal_inside_okxs_data_is_found() -> None:
    """Its outer code says only that something failed."""
    body = {"code": "1", "msg": "", "data": [{"sCode": "51008", "sMsg": "Insufficient balance"}]}
    answer = classify(TABLES["okx"], ORDER, Reply(200, str(body), body), echoes.okx)
    assert answer == Rejected("51008", "Insufficient balance")
