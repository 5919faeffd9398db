"""Asking without waiting: what hangs holds nobody up, what comes late is found later."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from pipeline.market.errands import Errands
from pipeline.market.notes import ASKING, FAILED
from pipeline.market.source import NotYet
from pipeline.market.wishes import Found, Wish
from pipeline.strategies.candles import Candles
from tests.support.waiting import eventually
from tests.unit.market.candle_worlds import MINUTE, SYMBOL

ANSWER = Found(Wish(SYMBOL, MINUTE, 0, 60_000), Candles.none(), "rest")
FAILURE = Found(ANSWER.wish, Candles.none(), "rest", ("ExchangeUnavailable: HTTP 500",))
QUICK_S, PATIENT_S = 0.05, 20.0
KEY = f"{SYMBOL}:1m"


@dataclass
class Board:
    """The notes of all processes, in memory."""

    notes: dict[str, str] = field(default_factory=dict)

    def take(self, key: str) -> tuple[str, str]:
        if key in self.notes:
            return "", self.notes[key]
        self.notes[key] = ASKING
        return ASKING, ""

    def give_back(self, key: str, mine: str, failure: str = "") -> None:
        del self.notes[key]
        if failure:
            self.notes[key] = f"{FAILED}|{failure}"


class Question:
    """Answered when the test says so."""

    def __init__(self, result: Found | Exception = ANSWER) -> None:
        self.answered = threading.Event()
        self.asked = 0
        self.result = result

    def __call__(self) -> Found:
        self.asked += 1
        assert self.answered.wait(30)
        if isinstance(self.result, Exception):
            raise self.result
        return self.result


@pytest.fixture
def board() -> Board:
    return Board()


@pytest.fixture
def question() -> Iterator[Question]:
    made = Question()
    yield made
    made.answered.set()


def test_an_answer_in_time_is_the_result_and_leaves_no_note(board: Board, question: Question) -> None:
    """The usual case: it must look as if the question had been asked directly."""
    question.answered.set()
    assert Errands(board, PATIENT_S).run({KEY: question}) == {KEY: ANSWER}
    eventually(lambda: not board.notes)


def test_what_is_slow_is_left_alone_and_asked_once(board: Board, question: Question) -> None:
    """A symbol that never answers must cost a worker a moment, and the exchange one request."""
    errands, other_process = Errands(board, QUICK_S), Errands(board, QUICK_S)
    began = time.thread_time()
    for process in (errands, other_process, errands):
        (answer,) = process.run({KEY: question}).values()
        assert isinstance(answer, NotYet)
        assert not answer.given_up
    assert question.asked == 1
    assert time.thread_time() - began < 1, "waiting burns no CPU"


def test_questions_go_side_by_side(board: Board) -> None:
    """Three timeframes that each take long may not take three times as long."""
    meeting = threading.Barrier(3, timeout=20)

    def together() -> Found:
        meeting.wait()
        return ANSWER

    answers = Errands(board, PATIENT_S).run(dict.fromkeys(("1m", "5m", "15m"), together))
    assert list(answers.values()) == [ANSWER] * 3


def test_after_a_late_answer_the_next_one_may_ask_again(board: Board, question: Question) -> None:
    """By then the bars are in the store; the note must not stand in the way of newer ones."""
    Errands(board, QUICK_S).run({KEY: question})
    question.answered.set()
    eventually(lambda: not board.notes)
    assert Errands(board, PATIENT_S).run({KEY: question}) == {KEY: ANSWER}


@pytest.mark.parametrize("result", [FAILURE, ValueError("a bug")], ids=["complaint", "bug"])
def test_what_failed_while_nobody_waited_is_told_to_those_who_come_back(
    board: Board, question: Question, result: Found | Exception
) -> None:
    """The decision then ends with the cause, instead of asking and hanging once more."""
    question.result = result
    Errands(board, QUICK_S).run({KEY: question})
    question.answered.set()
    eventually(lambda: board.notes.get(KEY, "").startswith(FAILED))
    (answer,) = Errands(board, QUICK_S).run({KEY: question}).values()
    assert isinstance(answer, NotYet)
    assert answer.given_up
    assert "500" in answer.why or "a bug" in answer.why
    assert question.asked == 1


def test_what_a_question_raises_in_time_is_raised_where_it_was_asked(
    board: Board, question: Question
) -> None:
    """A bug must end the stage with its stack trace, not as missing data."""
    question.result = ValueError("a bug")
    question.answered.set()
    with pytest.raises(ValueError, match="a bug"):
        Errands(board, PATIENT_S).run({KEY: question})


def test_a_process_asks_only_so_many_questions_at_once(board: Board, question: Question) -> None:
    """When the whole exchange hangs, threads and connections must not pile up."""
    errands = Errands(board, QUICK_S, at_once=2)
    answers = errands.run({str(number): question for number in range(5)})
    assert question.asked == 2
    assert all(isinstance(answer, NotYet) and not answer.given_up for answer in answers.values())
    question.answered.set()
    eventually(lambda: not board.notes)
    assert eventually(lambda: errands.run({"later": question}) == {"later": ANSWER})
