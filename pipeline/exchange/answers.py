"""What an exchange's answer means: placed, refused, unknown.

An order counts as placed only when the answer echoes our client order id beside the exchange's own id,
and as refused only when `pipeline.exchange.tables` lists the answer. **Everything else is unknown**:
`ExchangeError` proves no refusal and `NetworkError` no ambiguity, so the HTTP status, the exchange's
code and its text are read, never a class of exceptions.
"""

from __future__ import annotations

from collections.abc import Callable

from pipeline.domain.errors import ExchangeRefused, ExchangeUnavailable, ThroughlineError
from pipeline.domain.orders import Acknowledged, Answer, Order, OrderReport, Rejected, Unknown
from pipeline.exchange.replies import Lost, Reply, Return
from pipeline.exchange.tables import Refusal, Table
from pipeline.exchange.words import Words

NOT_SENT = "NOT_SENT"

ReadReport = Callable[[object], OrderReport]


def classify(table: Table, order: Order, returned: Return, read_report: ReadReport) -> Answer:
    """What the answer to a submission means. Unknown is the last line, and the only default."""
    if isinstance(returned, Lost):
        return Unknown(returned.why) if returned.sent else _not_sent(returned)
    said = table.words(returned)
    if returned.status == 200 and not said.code:
        return _acknowledged(order, returned, read_report)
    refusal = definite_refusal(table, returned, said)
    if refusal is not None:
        code, message = said.code or f"HTTP {returned.status}", said.text or refusal.meaning
        return Rejected(code, message, refusal.retryable, returned.retry_after_s)
    known = {**table.exists, **table.unknown}.get(said.code, "")
    return Unknown(f"{described(returned, said)}{f' ({known})' if known else ''}")


def _not_sent(lost: Lost) -> Rejected:
    return Rejected(NOT_SENT, lost.why, retryable=True, retry_after_s=lost.retry_after_s)


def definite_refusal(table: Table, reply: Reply, said: Words) -> Refusal | None:
    """The listed row that an answer matches, if there is one."""
    by_code = table.refused.get(said.code)
    if by_code is not None and reply.status in by_code.statuses:
        return by_code
    by_text = table.refused_texts.get((reply.status, said.text or reply.body.strip()))
    if by_text is not None:
        return by_text
    if said.code in table.exists or said.code in table.unknown:
        return None  # whatever the status says: the code means that it may be there
    return table.refused_statuses.get(reply.status)


def described(reply: Reply, said: Words) -> str:
    """One line for people: `HTTP 400 code -2019: Margin is insufficient.`"""
    if said.code:
        return f"HTTP {reply.status} code {said.code}{f': {said.text}' if said.text else ''}"
    return reply.described()


def _acknowledged(order: Order, reply: Reply, read_report: ReadReport) -> Answer:
    try:
        report = read_report(reply.data)
    except (KeyError, TypeError, ValueError, ArithmeticError, IndexError):
        return Unknown(f"the answer is no order: {reply.described()}")
    if report.client_order_id != order.client_order_id or not report.exchange_order_id:
        return Unknown(f"the answer does not echo our client order id: {reply.described()}")
    return Acknowledged(report)


def is_not_found(table: Table, returned: Return) -> bool:
    """Whether the exchange itself says that it knows no such order; no page of a gateway can say it."""
    if not isinstance(returned, Reply) or returned.status not in {200, 400}:
        return False
    return table.words(returned).code in table.not_found


def reading_error(table: Table, returned: Return, what: str) -> ThroughlineError:
    """The exception for a reading request that did not give what it should. `what` was being read."""
    if isinstance(returned, Lost):
        return ExchangeUnavailable(f"{what}: {returned.why}", retry_after_s=returned.retry_after_s)
    said = table.words(returned)
    told = f"{what}: {described(returned, said)}"
    if said.code in table.wrong_key:
        return ExchangeRefused(f"{told}; {table.wrong_key[said.code]}", code=said.code)
    if _worth_waiting(table, returned, said):
        return ExchangeUnavailable(told, retry_after_s=returned.retry_after_s)
    return ExchangeRefused(told, code=said.code)


def _worth_waiting(table: Table, reply: Reply, said: Words) -> bool:
    if reply.status in table.refused_statuses or said.code in table.wait or reply.status >= 500:
        return True
    return not said.code  # no word of the exchange itself: a gateway, a proxy, a truncated page
