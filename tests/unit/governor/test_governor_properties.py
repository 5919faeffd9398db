"""What holds for every input: rubbish is never admitted, and tightening a limit never admits more."""

from __future__ import annotations

import os
import random
from dataclasses import fields, replace
from decimal import Decimal
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.domain.decisions import Mode
from pipeline.domain.guards import Activity, Marks, Reconciliation
from pipeline.domain.intents import Intent, OrderType
from pipeline.domain.orders import OrderState
from pipeline.domain.permits import Denied, Permit
from pipeline.domain.signals import Side
from pipeline.domain.switches import KillScope, KillSwitch, TradingState
from pipeline.governor.assess import assess
from pipeline.governor.checks import run
from pipeline.governor.view import LIMIT_NAMES, Limits, Safeguards, WorldView
from tests.unit.governor.worlds import (
    ACTIVITY,
    AUTHORITY,
    EQUITY,
    INSTRUMENT,
    LIMITS,
    OTHER,
    QUOTE,
    SAFEGUARDS,
    SYMBOL,
    a_permit,
    a_position,
    a_view,
    ago,
    an_exit,
    an_intent,
    an_order,
    judged,
    terms_of,
)

D = Decimal
LONG = bool(os.environ.get("TEST_LONG"))
"""With TEST_LONG=1: 100,000 generated inputs and every subset of missing ones; some minutes."""
EXAMPLES = 3_000 if LONG else 300
GENERATED = 100_000 if LONG else 3_000


class Evil:
    """Answers every question with an exception. Not for hypothesis, which prints what it draws."""

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError("evil")

    def __repr__(self) -> str:
        raise RuntimeError("evil")

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("evil")

    def __hash__(self) -> int:
        raise RuntimeError("evil")


NUMBERS = tuple(map(D, ("NaN", "-NaN", "sNaN", "Infinity", "-Infinity", "-1", "-0.001", "1E+30", "1E-30")))
EXTREMES = (D("1E+999999"), D("1E-999999"), D("9" * 5000), D("1." + "3" * 60))
OTHERS: tuple[Any, ...] = (
    None,
    "",
    "10",
    b"10",
    10**4000,
    0.5,
    float("nan"),
    1 + 2j,
    [],
    {},
    set(),
    object(),
    Exception,
)
rubbish = st.one_of(
    st.sampled_from((*NUMBERS, *EXTREMES, *OTHERS)),
    st.floats(),
    st.text(max_size=3),
    st.binary(max_size=3),
    st.decimals(max_value=0),
    st.lists(st.none(), min_size=1, max_size=2),
    st.datetimes(),
)


def _is_number(value: Any) -> bool:
    return isinstance(value, Decimal) and value.is_finite() and value >= 0


def _is_small(name: str, value: Decimal) -> bool:
    return name == "clock_offset_s" or value >= 0


def _is_sound(source: Any, name: str, value: Any) -> bool:
    """What by chance is nothing wrong there: a text, no level, an empty list, 0 of something held."""
    if value is True and name in {"in_universe", "active"}:
        return True
    if isinstance(source, Intent):
        return _is_sound_of_an_intent(name, value)
    if isinstance(source, Safeguards):
        return name == "latches" and isinstance(value, (list, str, bytes, dict, set)) and not value
    if isinstance(source, Activity):
        return isinstance(value, int) and 0 <= value <= 1
    return _is_sound_of_a_view(name, value) if isinstance(source, WorldView) else _is_number(value)


def _is_sound_of_an_intent(name: str, value: Any) -> bool:
    if name in {"strategy", "reason"}:
        return isinstance(value, str) and bool(value.strip() or name == "reason")
    if name == "score":
        return _is_number(value) and value <= 1
    if name == "min_notional":
        return value is None or (_is_number(value) and value <= D(1000))
    return name in {"stop_loss", "take_profit"} and value is None


def _is_sound_of_a_view(name: str, value: Any) -> bool:
    if name in {"clock_offset_s", "bar_jump_bps"}:
        is_number = isinstance(value, Decimal) and value.is_finite()
        return is_number and abs(value) <= 2 and _is_small(name, value)
    return value == [] and name in {"positions", "unsettled", "reserving", "recent", "kill_switches"}


def spoiled(source: Any, names: tuple[str, ...]) -> st.SearchStrategy[Any]:
    """`source` with one to three of the fields `names` replaced by rubbish."""

    def wrong(name: str) -> st.SearchStrategy[Any]:
        return rubbish.filter(lambda value: not _is_sound(source, name, value))

    chosen = st.lists(st.sampled_from(names), min_size=1, max_size=3, unique=True)
    changes = chosen.flatmap(lambda some: st.fixed_dictionaries({name: wrong(name) for name in some}))
    return changes.map(lambda made: replace(source, **made))


def names_of(source: Any) -> tuple[str, ...]:
    return tuple(field.name for field in fields(source))


REQUIRED = tuple(name for name in names_of(a_view()) if name not in {"account", "mode", "now"})
INSTRUMENT_NUMBERS = ("symbol", "price_tick", "qty_step", "min_qty", "max_qty", "min_notional", "active")
EQUITY_PARTS = ("account", "mode", "equity", "available", "occurred_at", "recorded_at")
ACTIVITY_PARTS = ("last_second", "last_minute", "last_day", "rejects", "unknowns", "on_symbol", "losses")
ORDER_NUMBERS = ("qty", "limit_price", "decision_price", "filled_qty")

spoiled_worlds = st.one_of(
    spoiled(a_view(), names_of(a_view())),
    spoiled(INSTRUMENT, INSTRUMENT_NUMBERS).map(lambda instrument: a_view(instrument=instrument)),
    spoiled(EQUITY, EQUITY_PARTS).map(lambda equity: a_view(equity=equity)),
    spoiled(QUOTE, ("bid", "ask", "occurred_at")).map(lambda quote: a_view(quote=quote)),
    spoiled(a_position(symbol=OTHER, qty=D(1)), ("qty", "entry_price", "opened_at")).map(
        lambda position: a_view(positions=(position,))
    ),
    spoiled(an_order(), ORDER_NUMBERS).map(lambda order: a_view(unsettled=(order,))),
    spoiled(an_order(symbol=SYMBOL), ("state",)).map(lambda order: a_view(unsettled=(order,))),
    spoiled(an_order(symbol=SYMBOL), ("created_at",)).map(lambda order: a_view(recent=(order,))),
    spoiled(SAFEGUARDS, ("latches", "marks", "reconciliation", "config_hashes")).map(
        lambda known: a_view(safeguards=known)
    ),
    spoiled(ACTIVITY, ACTIVITY_PARTS).map(lambda activity: a_view(activity=activity)),
    spoiled(a_permit(), ("reserved", "terms")).map(lambda permit: a_view(reserving=(permit,))),
)


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.one_of(spoiled(an_intent(), names_of(an_intent())), spoiled(an_exit(), names_of(an_intent()))))
def test_a_spoiled_intent_is_never_admitted(intent: Intent) -> None:
    """Signals come from code that users write: anything can stand in an intent."""
    view = a_view(positions=(a_position(),)) if intent.reduce_only is True else a_view()
    terms = replace(terms_of(an_intent()), **_terms_like(intent))
    _assert_denied(assess(intent, terms, view, LIMITS, AUTHORITY))


def _terms_like(intent: Intent) -> dict[str, Any]:
    """The same rubbish in the terms, so that it is not the comparison alone that denies."""
    names = ("leg", "symbol", "side", "type", "tif", "qty", "limit_price", "reduce_only")
    return {name: getattr(intent, name) for name in names}


@settings(max_examples=EXAMPLES, deadline=None)
@given(spoiled_worlds)
def test_a_spoiled_world_is_never_admitted(view: WorldView) -> None:
    """Ledgers are edited by hand, exchanges send nonsense."""
    _assert_denied(judged(an_intent(), view))


@settings(max_examples=2000 if LONG else 200, deadline=None)
@given(st.tuples(rubbish, rubbish, rubbish, rubbish, rubbish))
def test_rubbish_in_every_place_is_never_admitted(everything: tuple[Any, ...]) -> None:
    """Also when not even the types are right."""
    _assert_denied(assess(*everything))
    for place, wrong in enumerate(everything):
        _assert_denied(assess(*_with_one_wrong(place, wrong)))


def test_no_subset_of_missing_inputs_is_admitted() -> None:
    """What cannot be known denies. Here the small and the large ones; the long form has all 65,535."""
    sizes = range(1, len(REQUIRED) + 1) if LONG else (1, 2, len(REQUIRED) - 1, len(REQUIRED))
    subsets = [some for size in sizes for some in combinations(REQUIRED, size)]
    assert not LONG or len(subsets) == 2 ** len(REQUIRED) - 1
    for missing in subsets:
        _assert_denied(judged(an_intent(), a_view(**dict.fromkeys(missing))))


@pytest.mark.parametrize("place", range(5))
def test_an_object_that_raises_at_every_touch_is_never_admitted(place: int) -> None:
    """Not even `isinstance` and `repr` are safe; the worker must live on."""
    _assert_denied(assess(*_with_one_wrong(place, Evil())))


@pytest.mark.parametrize("name", REQUIRED)
def test_a_part_of_the_world_that_raises_at_every_touch_is_never_admitted(name: str) -> None:
    """The same one level deeper."""
    _assert_denied(judged(an_intent(), a_view(**{name: Evil()})))


def test_a_number_too_long_to_be_printed_is_never_admitted() -> None:
    """Python refuses to print it: the text of the verdict must not fail on it."""
    _assert_denied(assess(an_intent(qty=10**6000), terms_of(an_intent()), a_view(), LIMITS, AUTHORITY))


POOL: tuple[Any, ...] = (
    *NUMBERS,
    *EXTREMES,
    *OTHERS,
    float("inf"),
    -0.0,
    D(0),
    D("-0"),
    -1,
    True,
    "NaN",
    [None],
)


def test_generated_inputs_produce_no_admission_and_no_exception() -> None:
    """Faster than the search for counterexamples above, so many more of them: the long form has 100,000."""
    chance = random.Random(5)  # the same ones each time
    sources: tuple[tuple[Any, tuple[str, ...]], ...] = (
        (an_intent(), names_of(an_intent())),
        (a_view(), names_of(a_view())),
        (INSTRUMENT, INSTRUMENT_NUMBERS),
        (EQUITY, EQUITY_PARTS),
        (QUOTE, ("bid", "ask", "occurred_at")),
        (ACTIVITY, ACTIVITY_PARTS),
        (SAFEGUARDS, ("marks", "reconciliation", "config_hashes")),
    )
    made = 0
    while made < GENERATED:
        source, names = chance.choice(sources)
        changes = {
            name: chance.choice(POOL) for name in chance.sample(names, chance.randint(1, min(3, len(names))))
        }
        if all(_is_sound(source, name, value) for name, value in changes.items()):
            continue
        _assert_denied(_judged_with(replace(source, **changes)))
        made += 1


def _judged_with(part: Any) -> Permit | Denied:
    """The good world with one part of it replaced."""
    if isinstance(part, Intent):
        return assess(part, replace(terms_of(an_intent()), **_terms_like(part)), a_view(), LIMITS, AUTHORITY)
    if isinstance(part, WorldView):
        return judged(an_intent(), part)
    places = {Activity: "activity", Safeguards: "safeguards", type(EQUITY): "equity", type(QUOTE): "quote"}
    changes: dict[str, Any] = {places.get(type(part), "instrument"): part}
    return judged(an_intent(), a_view(**changes))


def _with_one_wrong(place: int, wrong: Any) -> Any:
    good: list[Any] = [an_intent(), terms_of(an_intent()), a_view(), LIMITS, AUTHORITY]
    return [*good[:place], wrong, *good[place + 1 :]]


def _assert_denied(answer: Permit | Denied) -> None:
    assert isinstance(answer, Denied)
    assert answer.reason
    assert all(isinstance(verdict.value, str) for verdict in answer.verdicts)


amounts = st.decimals(D("0.001"), D(30), places=3)
prices = st.decimals(D(97), D(103), places=1)
ages = st.floats(-3, 90)
symbols = st.sampled_from((SYMBOL, OTHER, "SOL/USDT:USDT"))

intents = st.builds(
    an_intent,
    qty=amounts,
    limit_price=prices,
    side=st.sampled_from(Side),
    type=st.sampled_from((OrderType.LIMIT, OrderType.MARKET)),
    priced_at=st.floats(0, 8000).map(ago),
)
positions = st.builds(a_position, symbol=symbols, qty=amounts, side=st.sampled_from(Side))
orders = st.builds(
    an_order,
    st.integers(10, 10_000),
    symbol=symbols,
    qty=amounts,
    side=st.sampled_from(Side),
    state=st.sampled_from((OrderState.INTENT, OrderState.ACKED, OrderState.UNKNOWN)),
    created_at=ages.map(ago),
)
permits = st.builds(
    a_permit,
    st.integers(10_001, 20_000),
    symbol=symbols,
    reserved=st.integers(0, 2000),
    age_s=st.floats(0, 9),
)
switches = st.builds(
    KillSwitch,
    scope=st.just(KillScope.SYMBOL),
    name=symbols,
    reason=st.just("drill"),
    set_by=st.just("anna"),
    set_at=st.just(ago(60)),
)
counts = st.integers(0, 20)
activities = st.builds(
    Activity,
    last_second=counts,
    last_minute=st.integers(0, 90),
    last_day=st.integers(0, 2000),
    rejects=counts,
    unknowns=counts,
    on_symbol=counts,
    losses=counts,
    last_loss_at=st.one_of(st.none(), ages.map(ago)),
)
A_MARK = Marks(account="main", day=ago(43200), day_start=D(5000), peak=D(5000))
COMPARED = Reconciliation(account="main", compared_at=ago(5))

views = st.builds(
    a_view,
    quote=st.one_of(st.none(), st.builds(lambda age: replace(QUOTE, occurred_at=ago(age)), st.floats(0, 8))),
    equity=st.builds(
        lambda amount, age: replace(EQUITY, equity=amount, available=amount, recorded_at=ago(age)),
        st.decimals(D(100), D(5000), places=0),
        ages,
    ),
    positions=st.lists(positions, max_size=3),
    unsettled=st.lists(orders, max_size=3),
    reserving=st.lists(permits, max_size=3),
    recent=st.lists(orders, max_size=2),
    kill_switches=st.lists(switches, max_size=1),
    trading_state=st.sampled_from(TradingState),
    bar_jump_bps=st.decimals(0, 2500, places=1),
    activity=activities,
    clock_offset_s=st.decimals(-4, 4, places=2),
    safeguards=st.builds(
        lambda day_start, peak, age: replace(
            SAFEGUARDS,
            marks=replace(A_MARK, day_start=day_start, peak=peak),
            reconciliation=replace(COMPARED, compared_at=ago(age)),
        ),
        st.decimals(100, 6000, places=0),
        st.decimals(100, 6000, places=0),
        ages,
    ),
)
easy_views = st.builds(
    a_view, positions=st.lists(positions, max_size=2), reserving=st.lists(permits, max_size=1)
)


def _scaled(factors: dict[str, Decimal]) -> Limits:
    return Limits(**{name: factor * getattr(LIMITS, name) for name, factor in factors.items()})


factors = st.fixed_dictionaries({name: st.decimals(D("0.2"), D(3), places=3) for name in LIMIT_NAMES})
limits_of_any_size = factors.map(_scaled)


@settings(max_examples=300, deadline=None)
@given(
    intents,
    st.one_of(views, easy_views),
    limits_of_any_size,
    st.sampled_from(LIMIT_NAMES),
    st.one_of(st.none(), st.decimals(0, 1, places=3)),
)
def test_tightening_a_limit_never_admits_more(
    intent: Intent, view: WorldView, loose: Limits, name: str, factor: Decimal | None
) -> None:
    """Somebody who turns a limit down in a hurry must be able to rely on it, for each rule alone."""
    tight = replace(loose, **{name: _tightened(name, getattr(loose, name), factor)})
    before = {verdict.code: verdict.ok for verdict in run(intent, view, loose)}
    after = {verdict.code: verdict.ok for verdict in run(intent, view, tight)}
    assert [code for code in before if after.get(code, False) and not before[code]] == []


LONGER_IS_TIGHTER = {"duplicate_within_s", "cooldown_after_loss_s"}


def _tightened(name: str, limit: Decimal, factor: Decimal | None) -> Decimal | None:
    """A longer time to wait is the tighter one; for everything else less is tighter."""
    if factor is None:
        return None
    return limit * (2 - factor) if name in LONGER_IS_TIGHTER else limit * factor


@settings(max_examples=200, deadline=None)
@given(intents, easy_views, st.one_of(orders, permits, positions))
def test_more_that_is_pending_never_admits_more(intent: Intent, view: WorldView, more: Any) -> None:
    """An order whose fate is unknown may only ever cost room."""
    place = {"Order": "unsettled", "Permit": "reserving", "Position": "positions"}[type(more).__name__]
    added: dict[str, Any] = {place: [*(getattr(view, place) or ()), more]}
    heavier = replace(view, **added)
    assert not (isinstance(judged(intent, heavier), Permit) and isinstance(judged(intent, view), Denied))


@settings(max_examples=300, deadline=None)
@given(intents, easy_views)
def test_what_is_admitted_is_within_its_limits(intent: Intent, view: WorldView) -> None:
    """Counted again in another way, by hand."""
    answer = judged(intent, view)
    if isinstance(answer, Denied):
        return
    held = sum((each.qty * each.entry_price for each in view.positions or ()), D(0))
    promised = sum((each.reserved for each in view.reserving or ()), D(0))
    own = intent.qty * intent.limit_price
    assert answer.reserved >= own
    assert held + promised + own <= D(10000)
    assert own <= D(2000)
    assert answer.terms.mode is Mode.PAPER
