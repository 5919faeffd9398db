"""What answers mean: unknown unless listed."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain.errors import ExchangeRefused, ExchangeUnavailable
from pipeline.domain.orders import Acknowledged, Answer, Rejected, Unknown
from pipeline.exchange import reading
from pipeline.exchange.answers import NOT_SENT, classify, reading_error
from pipeline.exchange.replies import Lost, Reply, Return
from pipeline.exchange.tables import BINANCE_USDM
from tests.unit.exchange.canned import an_order, told_order

ORDER, _ = an_order()


def judged(returned: Return) -> Answer:
    return classify(BINANCE_USDM, ORDER, returned, reading.report)


def reply(status: int, data: object = None, body: str = "", headers: dict[str, str] | None = None) -> Reply:
    return Reply(status, body or ("" if data is None else json.dumps(data)), data, headers or {})


def refusal(code: int, status: int = 400, msg: str = "no") -> Reply:
    return reply(status, {"code": code, "msg": msg})


def test_an_echo_of_our_id_beside_an_exchange_id_is_an_acknowledgement() -> None:
    """The only proof that it is there."""
    answer = judged(reply(200, told_order()))
    assert isinstance(answer, Acknowledged)
    assert answer.report.exchange_order_id == "8000000001"


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        {},
        told_order(clientOrderId="somebody else's"),
        told_order(orderId=None),
        told_order(orderId=""),
        told_order(status="SOMETHING_NEW"),
        told_order(executedQty=0.01),
        told_order(executedQty="-1"),
        told_order(executedQty="NaN"),
        {"code": -2019, "msg": "Margin is insufficient."},
        {"code": 200, "msg": "success"},
    ],
    ids=str,
)
def test_status_200_without_that_echo_is_unknown(body: object) -> None:
    """ccxt returns an order without an id for an empty body: no id means nothing is known."""
    assert isinstance(judged(reply(200, body)), Unknown)


@pytest.mark.parametrize(
    ("code", "status", "retryable"),
    [
        (-2019, 400, False),
        (-1111, 400, False),
        (-4164, 400, False),
        (-4045, 400, False),
        (-2022, 400, False),
        (-2015, 401, False),
        (-1021, 400, True),
        (-1003, 429, True),
        (-1015, 429, True),
        (-1008, 503, True),
    ],
)
def test_listed_refusals_are_definite(code: int, status: int, retryable: bool) -> None:
    """Nothing was placed: the exposure can be released, and some may be tried again."""
    assert judged(refusal(code, status)) == Rejected(str(code), "no", retryable)


@pytest.mark.parametrize("code", [-4116, -2010])
@pytest.mark.parametrize("status", [400, 409, 418, 429, 503])
def test_a_duplicate_id_means_that_it_exists_and_is_never_a_refusal(code: int, status: int) -> None:
    """It is the trace of our own earlier send."""
    assert isinstance(judged(refusal(code, status)), Unknown)


@pytest.mark.parametrize(
    ("text", "definite"),
    [
        ("Unknown error, please check your request or try again later.", False),
        ("Service Unavailable.", True),
        ("Internal error; unable to process your request. Please try again.", True),
    ],
)
def test_the_three_texts_of_status_503_are_told_apart(text: str, definite: bool) -> None:
    """ccxt gives one class for all three; one of them may have placed the order."""
    for told in (refusal(0, 503, text), reply(503, None, text)):
        assert isinstance(judged(told), Rejected if definite else Unknown)


@pytest.mark.parametrize("code", [-1000, -1006, -1007, -9999])
@pytest.mark.parametrize("status", [400, 408, 500, 502, 503, 504])
def test_codes_that_leave_it_open_are_unknown(code: int, status: int) -> None:
    """Documented as "execution status unknown", or not documented at all."""
    assert isinstance(judged(refusal(code, status)), Unknown)


def test_a_refusal_code_under_a_status_that_is_not_its_own_is_unknown() -> None:
    """A gateway that failed may carry any body."""
    assert isinstance(judged(refusal(-2019, 502)), Unknown)


def test_no_answer_is_unknown_unless_nothing_left_the_machine() -> None:
    """A connection that was never opened carried no order."""
    assert judged(Lost("timed out")) == Unknown("timed out")
    assert judged(Lost("connection refused", sent=False)) == Rejected(
        NOT_SENT, "connection refused", retryable=True
    )


def test_the_wait_that_the_exchange_asks_for_is_passed_on() -> None:
    """Backing off for less makes a 429 a ban."""
    answer = judged(reply(429, None, "slow down", {"retry-after": "7"}))
    assert isinstance(answer, Rejected)
    assert answer.retry_after_s == 7


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
BODIES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(sorted(told_order())), inner),
)
LISTED = set(BINANCE_USDM.refused)
TEXTS = {text for _, text in BINANCE_USDM.refused_texts}


@given(status=st.integers(100, 599), data=BODIES, body=st.text(max_size=60), code=st.integers(-9999, 9999))
def test_whatever_is_not_listed_is_unknown(status: int, data: object, body: str, code: int) -> None:
    """The property that everything rests on: unknown is the default branch."""
    if isinstance(data, dict) and str(code) not in LISTED:
        data["code"] = code
    listed = isinstance(data, dict) and str(data.get("code")) in LISTED
    if listed or status in BINANCE_USDM.refused_statuses or body.strip() in TEXTS:
        return
    if isinstance(data, dict) and data.get("clientOrderId") == ORDER.client_order_id:
        return
    assert isinstance(judged(reply(status, data, body)), Unknown)


@pytest.mark.parametrize("code", [-2015, -2014, -1022, -1002])
def test_a_wrong_key_is_named_with_what_to_check(code: int) -> None:
    """Asking again does not help; a person must look at the key."""
    error = reading_error(BINANCE_USDM, refusal(code, 401), "account")
    assert isinstance(error, ExchangeRefused)
    assert error.code == str(code)
    assert "account" in str(error)


@pytest.mark.parametrize(
    "returned",
    [
        refusal(-1003, 429),
        refusal(-1003, 418),
        refusal(-1007, 408),
        refusal(-1021),
        reply(502, None, "<html>Bad gateway</html>"),
        reply(403, None, "<html>Forbidden</html>"),
        reply(200, None, ""),
        Lost("timed out"),
    ],
    ids=str,
)
def test_trouble_that_passes_is_unavailability(returned: Return) -> None:
    """The caller backs off and tries again."""
    assert isinstance(reading_error(BINANCE_USDM, returned, "quote"), ExchangeUnavailable)


def test_a_reading_error_carries_the_wait_that_was_asked_for() -> None:
    """B5: a 429 makes all of them back off."""
    error = reading_error(BINANCE_USDM, reply(418, None, "banned", {"retry-after": "120"}), "bars")
    assert isinstance(error, ExchangeUnavailable)
    assert error.retry_after_s == 120


def test_a_question_that_makes_no_sense_is_refused_with_its_code() -> None:
    """A wrong symbol does not become right by waiting."""
    error = reading_error(BINANCE_USDM, refusal(-1121), "quote")
    assert isinstance(error, ExchangeRefused)
    assert error.code == "-1121"
