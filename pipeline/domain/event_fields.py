"""The words that events speak: every field's name, with what it holds. A name means the same in every event."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from enum import StrEnum, unique


@unique
class FieldType(StrEnum):
    """How a field's value is written in a line of JSON; each may be null when it is not known."""

    TEXT = "text"
    COUNT = "whole number"
    NUMBER = "number"
    EXACT = "exact number, as text"
    TIME = "time, UTC, ISO 8601"
    FLAG = "true or false"
    LIST = "list"
    TABLE = "table"

    def fits(self, value: object) -> bool:
        """Whether a value may stand in a field of this type. None always may."""
        return value is None or _FITS[self](value)


def _is_exact(value: object) -> bool:
    try:
        return isinstance(value, (Decimal, str)) and Decimal(value).is_finite()
    except InvalidOperation:
        return False


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


_FITS: Mapping[FieldType, Callable[[object], bool]] = {
    FieldType.TEXT: lambda value: isinstance(value, str),
    FieldType.COUNT: lambda value: isinstance(value, int) and not isinstance(value, bool),
    FieldType.NUMBER: _is_number,
    FieldType.EXACT: _is_exact,
    FieldType.TIME: lambda value: isinstance(value, (datetime, str)),
    FieldType.FLAG: lambda value: isinstance(value, bool),
    FieldType.LIST: lambda value: isinstance(value, (list, tuple, set, frozenset)),
    FieldType.TABLE: lambda value: isinstance(value, Mapping),
}


@dataclass(frozen=True, slots=True)
class EventField:
    """One field: its name, how it is written, what it says."""

    name: str
    type: FieldType
    means: str


def _of(type_: FieldType, **meanings: str) -> dict[str, EventField]:
    return {name: EventField(name, type_, means) for name, means in meanings.items()}


FIELDS: Mapping[str, EventField] = {
    **_of(
        FieldType.TEXT,
        about="which process, queue or symbol it is about; empty where there is one only",
        cause="the code whose consequence it is; empty when it is none",
        severity="notice, warning or critical",
        slowest_stage="the stage that ran longest",
        slowest_symbol="the symbol whose decision took longest",
        account="the account, as the ledger calls it",
        bar="the bar as it came: opening time in ms, open, high, low, close, volume",
        area="the area that is being debugged",
        by="who did it",
        client_order_id="our id of the order, which the exchange has as well",
        closed_by="the decision that closed the position",
        condition="the strategy's condition that failed by least",
        code="the code of a check, a latch or the exchange's error",
        config_hash="the hash of the configuration: equal on every host of one system",
        decision_id="the decision",
        doing="what a part of a process is at",
        detail="the same in words, with the numbers",
        error="what was raised, or what a library said",
        exchange_order_id="the exchange's id of the order",
        fee_asset="what the fee was paid in",
        file="the file",
        holder="the process that has the lease: host:token/pid, the token of its start",
        intent_id="the intent: decision and leg",
        limit="what would have been allowed",
        leg="which order of the decision: entry, stop, target, close",
        mode="paper, testnet or live",
        note="what somebody should know of it, in words",
        process="the process: role@host/pid",
        name="what the switch is for; empty for all trading",
        next="the stage that the decision goes on to",
        opened_by="the decision that opened the position",
        origin="who asked for the pass: beat, or a person",
        outcome="how the decision ended",
        page="which page: flower",
        part="the part that it is about; where time is told, the one that took most of it",
        permit_id="the permit",
        position_id="the position",
        problem="what went wrong",
        queue="the queue of a message",
        queued_task_id="the task id of that message",
        reason="why, from a closed list where the system decided, else in somebody's words",
        regime="trending, ranging or volatile",
        result="passed, ended, or unresolved",
        role="what the process does",
        scope="global, symbol or strategy",
        session_id="the run; its folder under `sessions` has this name",
        side="buy or sell",
        source="where the symbols come from",
        stage="fetch, evaluate, validate or execute",
        stopped="what may not leave: everything, or orders",
        state="the state of the order, of trading, or of the process, now",
        strategy="the strategy",
        summary="the whole of it in one sentence",
        symbol="the symbol",
        task="the name of a task",
        theirs="the release that a message was published by",
        ours="the release that this process runs",
        task_id="the message's task id, by which Flower finds it",
        thread="the name of the thread",
        tif="time in force",
        timeframe="the timeframe",
        timeframes="each timeframe with what is the matter with its candles (`30m=ok 4h=missing`)",
        trade_id="the exchange's id of the trade",
        value="what was observed",
        verdict="signal, no_signal or failed",
        version="the universe's version: a hash over its symbols",
        was="the state before",
        before="the state before",
        what="what it is about, in words",
        where="where the thread is: file, line and function, innermost first",
        why="the reason in words",
        worker="the worker, with its host",
        url="where it answers",
    ),
    **_of(
        FieldType.COUNT,
        attempt="which delivery or which order attempt, counted from 1",
        ended="how many decisions have ended",
        held="how many messages are at workers",
        positions="how many positions are open",
        received="how many decisions were enqueued",
        done="how many tasks it has finished",
        fence="the how-manieth holder of the lease it is",
        line="the line in the file",
        lines="how many lines",
        max_retries="how many further attempts there may be",
        missing="how many symbols lack bars",
        missed="how many slots were missed",
        misses="how often the exchange was asked for the order and did not know it",
        retry_backoff_ms="how long it waits before the next attempt, in milliseconds",
        symbols="how many symbols",
    ),
    **_of(
        FieldType.NUMBER,
        slowest_ms="how long that decision took, in milliseconds",
        slowest_stage_ms="how long that stage ran, in milliseconds",
        for_s="for how long, in seconds",
        last_done_age_s="how long ago it finished its last task, in seconds",
        limit_s="how long it may be, in seconds",
        up_s="how long it has been running, in seconds",
        observed="what the condition saw",
        free_mb="how much room the disk has, in megabytes",
        least_mb="how much room is kept for the ledger, in megabytes",
        limit_ms="the threshold, in milliseconds",
        ms="how long it took, in milliseconds",
        queue_wait_ms="how long the message waited, in milliseconds",
        run_ms="how long it ran, in milliseconds",
        threshold="what the value would have had to reach",
        wait_s="for how long, in seconds",
        total_ms="from enqueueing to the end, in milliseconds",
    ),
    **_of(
        FieldType.EXACT,
        available="the money that is free for new positions",
        avg_price="the average price of what was filled",
        entry="the price at which the strategy wants to enter",
        entry_price="the average price at which the position was entered",
        equity="the account's money with what is unrealised",
        fee="the fee",
        fees="all fees of the position",
        filled_qty="how much was filled so far",
        least="the smallest quantity that the exchange takes",
        limit_px="the worst price that the order may have",
        min_notional="the exchange's smallest order, in quote currency",
        notional="quantity times price, in quote currency",
        price="the price",
        qty="the quantity, in base currency",
        rest="what of the quantity was left over",
        quote_budget="what the permit reserved for the order at worst, in quote currency",
        realised_pnl="profit or loss of what was closed",
        score="how much the strategy wants it, from 0 to 1",
        slippage_bps="worse than the decision's price by so much, in basis points",
        stop_loss="the price at which the position is given up",
        take_profit="the price at which the profit is taken",
        unrealised_pnl="profit or loss of what is open",
    ),
    **_of(
        FieldType.TIME,
        attempt_start_ts="when the attempt began: the time that the request is signed with",
        enqueued_at="when the decision was enqueued",
        expires_at="until when it is valid",
        occurred_at="when it happened, by the exchange's clock",
        since="since when, or from when on",
        until="until when",
        slot="the instant that the pass is for",
    ),
    **_of(
        FieldType.FLAG,
        login="whether it asks who is there",
        answers="whether it answers now",
        chosen="whether it is this strategy that was chosen",
        handed_on="whether the message after it was published again",
        on="whether it is on now",
        raised="whether it stands now",
        open="whether it is open now",
        tripped="whether the latch is tripped now",
        was_on="whether it was on before",
        well="whether all that was missing could be had",
    ),
    **_of(
        FieldType.LIST,
        areas="the areas that are on, with the time until which they are",
        changes="what changed: key, old and new value",
        codes="the checks that denied, the first one first",
        differences="what ledger and exchange disagree on, by name",
        repaired="what they disagreed on until the ledger was put right, by name and with what was done",
        finished="the tasks that it finished before it stopped",
        handed_back="the tasks that go back to their queues",
        lacked="the timeframes that lacked bars",
        overrides="what variables set: variable, key, default and value",
        threads="the names of its threads",
        undeclared="fields of this line that the catalogue does not know",
    ),
    **_of(
        FieldType.TABLE,
        components="each part of it with its age, or what it is at",
        lacking="which timeframes, by symbol; the first ten",
        oldest_s="how long the oldest message of each queue has waited, in seconds",
        outcomes="how many decisions by outcome",
        queues="how many messages wait in each queue",
        data="what is being debugged, as it is",
        out="the names that are out of the universe, and why",
        parts="the parts that were timed, in milliseconds",
        sources="where the candles of each timeframe came from",
    ),
}
