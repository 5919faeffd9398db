"""The trace as people see it, drawn from a real ledger's records."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest
from rich.console import Console

from console.output import show
from console.render.trace import render_trace
from console.render.values import Record
from console.stories import NotInLedger, story
from pipeline.domain.decisions import Stage
from pipeline.domain.outcomes import EndReason
from pipeline.ledger.memory import memory_ledger
from pipeline.ledger.sql import SqlLedger
from tests.unit.console.console_worlds import a_decision, end, enqueue, execute

PAGE = 100


@pytest.fixture
def ledger() -> Iterator[SqlLedger]:
    made = memory_ledger()
    yield made
    made.close()


def drawn(trace: Record, width: int | None = None) -> str:
    """As it stands in a pipe, or on a page of some width."""
    if width is not None:
        page = Console(file=io.StringIO(), width=width, emoji=False)
        with page.capture() as captured:
            page.print(render_trace(trace))
        return captured.get()
    out = io.StringIO()
    show(render_trace(trace), out)
    return out.getvalue()


def words(text: str) -> str:
    """Without line breaks and columns: where something stands is the drawing's business."""
    return " ".join(text.split())


def test_an_executed_decision_shows_everything_that_led_to_its_fill(ledger: SqlLedger) -> None:
    """Whoever asks "why did it buy" finds every link of the chain on one page."""
    client_order_id = execute(ledger, a_decision())
    shown = words(drawn(story(ledger, client_order_id)))
    for link in (
        a_decision().decision_id, "BTC/USDT:USDT", "paper", "executed FILLED", "from beat",
        "fetch market@h1", "evaluate market@h1", "validate orders@h1", "execute orders@h1",
        "2.5 ms", "10.0 ms",
        "30m=ok 4h=missing", "the exchange has only 3 bars",
        "buy 0.71 · entry 65000.1 · stop 64000 · target 67000 · oversold [bounce] (chosen)",
        "no signal · nearest miss: rsi 41.25, wanted 28.5", "failed: ValueError: no bars Traceback …",
        "1 allow 1 deny 1 do not apply", "not for an order that reduces: RATE",
        "ok EQUITY_STALE age 1.2 s 60 s", "no MAX_VALUE 2100 USDT 2000 USDT",
        "binds buy 0.012 at 65100.5 limit IOC", "used 03:04:00.350",
        client_order_id, "8000000001", "INTENT → SENDING 03:04:00.350 → FILLED 03:04:00.400",
        "0.012 65000.1 0.312 USDT -0.63 bps", "long 0.012 BTC/USDT:USDT at 65000.1",
    ):  # fmt: skip
        assert link in shown


def test_no_line_of_a_trace_is_wider_than_its_page(ledger: SqlLedger) -> None:
    """It is read in terminals and pasted into tickets."""
    execute(ledger, a_decision())
    lines = drawn(story(ledger, a_decision().decision_id), PAGE).splitlines()
    assert max(map(len, lines)) <= PAGE


def test_in_a_pipe_a_trace_breaks_no_record_and_leaves_no_cell_empty(ledger: SqlLedger) -> None:
    """`grep` answers with lines: what a strategy said must stand on one, with all its columns."""
    execute(ledger, a_decision())
    lines = drawn(story(ledger, a_decision().decision_id)).splitlines()
    assert [
        line for line in lines if "nearest miss: rsi 41.25, wanted 28.5" in line and "adaptive_str" in line
    ]
    assert next(line.split() for line in lines if line.strip().startswith("no  4h"))[3:5] == ["-", "-"]
    assert not [line for line in lines if line != line.rstrip()]


def test_a_decision_that_ended_early_shows_only_the_sections_it_has(ledger: SqlLedger) -> None:
    """Empty headings would look like missing data."""
    decision = enqueue(ledger, a_decision())
    end(ledger, decision, EndReason.NO_SIGNAL, 0.03, Stage.FETCH, Stage.EVALUATE)
    shown = drawn(story(ledger, decision.decision_id))
    assert "no_signal" in shown
    assert [title for title in ("Permit", "Orders", "Fills", "Position", "Checks") if title in shown] == []


def test_a_decision_that_goes_on_says_that_it_is_open(ledger: SqlLedger) -> None:
    """`enqueue --wait` draws it from its first moment, when it has nothing but its row."""
    decision = enqueue(ledger, a_decision())
    shown = drawn(story(ledger, decision.decision_id))
    assert "open" in shown
    assert "not ended yet" in shown


def test_stages_lie_on_the_waterfall_in_the_order_of_their_time(ledger: SqlLedger) -> None:
    """The bars tell at a glance where the time went."""
    execute(ledger, a_decision())
    lines = drawn(story(ledger, a_decision().decision_id)).splitlines()
    bars = [line.index("█") for stage in Stage for line in lines if line.strip().startswith(f"{stage} ")]
    assert len(bars) == len(Stage)
    assert bars == sorted(set(bars))


def test_every_id_of_a_decision_leads_to_its_trace(ledger: SqlLedger) -> None:
    """People hold an order id or a position id in their hands, seldom the decision's."""
    client_order_id = execute(ledger, a_decision())
    whole = story(ledger, a_decision().decision_id)
    position = whole["position"]
    assert isinstance(position, dict)
    for wanted in (client_order_id, "8000000001", str(position["position_id"])):
        assert story(ledger, wanted) == whole


def test_an_id_that_nobody_has_is_said_to_be_unknown(ledger: SqlLedger) -> None:
    """A typing error must not look like an empty trace."""
    with pytest.raises(NotInLedger, match="nope"):
        story(ledger, "nope")


def test_the_trace_is_drawn_in_colour_on_a_terminal(ledger: SqlLedger) -> None:
    """Markup inside data (a reason with brackets) must not break the colours."""
    execute(ledger, a_decision())
    out = io.StringIO()
    terminal = Console(file=out, force_terminal=True, color_system="standard", width=PAGE)
    terminal.print(render_trace(story(ledger, a_decision().decision_id)))
    assert "\x1b[" in out.getvalue()
    assert "[bounce]" in out.getvalue()
