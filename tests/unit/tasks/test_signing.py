"""Signatures of messages."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.loading import load
from tasks import signing
from tasks.signing import message_key, problem_of, sign

KEY = "a key of this deployment"


def a_message() -> dict[str, Any]:
    return {
        "body": "W1tdLCB7fSwge31d",
        "content-type": "application/json",
        "content-encoding": "utf-8",
        "headers": {
            "task": "tasks.fetch",
            "id": "dec_1.fetch",
            "expires": None,
            "headers": {"mode": "paper"},
        },
        "properties": {
            "delivery_tag": "1",
            "delivery_info": {"exchange": "", "routing_key": "fetch"},
            "priority": 0,
        },
    }


def a_signed_message() -> dict[str, Any]:
    message = a_message()
    sign(message, KEY)
    return message


def paths(tree: dict[str, Any], above: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Every leaf of the message, by the names that lead to it."""
    found: list[tuple[str, ...]] = []
    for name, value in tree.items():
        found += paths(value, (*above, name)) if isinstance(value, dict) else [(*above, name)]
    return found


def test_a_signed_message_is_believed_after_its_way_through_redis() -> None:
    """JSON turns tuples into lists; nothing else may change on the way."""
    assert problem_of(json.loads(json.dumps(a_signed_message())), "fetch", KEY) is None


@pytest.mark.parametrize("path", paths(a_signed_message()), ids=".".join)
def test_a_change_anywhere_breaks_the_signature(path: tuple[str, ...]) -> None:
    """There is no part of a message that its author has not answered for."""
    message = a_signed_message()
    place: Any = message
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = "something else"
    assert problem_of(message, "fetch", KEY) is not None


@pytest.mark.parametrize("place", ["headers", "properties"])
def test_what_is_added_breaks_the_signature(place: str) -> None:
    message = a_signed_message()
    message[place]["more"] = 1
    assert problem_of(message, "fetch", KEY) is not None


def test_the_mark_of_a_second_delivery_does_not() -> None:
    """Kombu sets it when a worker has died with the message: it has no key, and needs none."""
    message = a_signed_message()
    message["headers"]["redelivered"] = True
    message["properties"]["delivery_info"]["redelivered"] = True
    assert problem_of(message, "fetch", KEY) is None


def test_it_is_believed_in_no_other_queue() -> None:
    """What was meant for a worker without keys must not reach one that has them."""
    assert "the queue fetch" in str(problem_of(a_signed_message(), "execute", KEY))


def test_without_a_key_nothing_is_believed() -> None:
    """Fail closed: a process that lost its key must not take everything."""
    assert problem_of(a_message(), "fetch", "") == "it is not signed"
    assert problem_of(a_signed_message(), "fetch", "") is not None


def test_a_process_has_no_key_until_it_is_given_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signing, "_own", {})
    assert signing.own_key() == ""
    signing.use(KEY)
    assert signing.own_key() == KEY


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(JSON)
def test_rubbish_is_never_believed_and_never_raises(rubbish: object) -> None:
    """It is read in the event loop of a worker: what rises there ends it."""
    assert problem_of(rubbish, "fetch", KEY) is not None
    for place in ("headers", "properties", "body"):
        assert problem_of({**copy.deepcopy(a_signed_message()), place: rubbish}, "fetch", KEY) is not None


def test_a_home_keeps_one_key_for_all_its_processes(tmp_path: Any) -> None:
    settings = load(env={"THROUGHLINE_HOME": str(tmp_path)})
    assert message_key(settings) == message_key(settings)
    assert len(message_key(settings)) == 64
    told = load(env={"THROUGHLINE_HOME": str(tmp_path), "THROUGHLINE_REDIS_MESSAGE_KEY": KEY})
    assert message_key(told) == KEY
