"""What stands in a queue after a hand-off: what Celery itself would have put there, and our headers."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest
import redis
from celery import Celery

from config.sections.processes import RedisSettings
from config.settings import Settings
from pipeline.domain.decisions import Stage
from pipeline.domain.ids import task_id
from tasks import headers, publishing, signing, transport
from tasks.policies import publish_options, task_name
from tasks.settings import celery_settings
from tests.support.ways import DECISION, LONGEST, a_decision

KEY = "a key of this deployment"
ITS_OWN = {"published_at", "origin"}
"""Headers that two messages need not have in common."""


@pytest.fixture
def app(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Celery]:
    """A publisher of the pipeline's own settings, on a Redis of its own."""
    transport.install()
    signing.use(KEY)
    made = Celery("publishing-test", set_as_current=False)
    made.conf.update(celery_settings(Settings(redis=RedisSettings(url=redis_url))))
    monkeypatch.setattr(publishing, "app", made)
    monkeypatch.setattr(publishing, "_kept", {})
    yield made
    for kept in publishing._kept.values():
        kept.producer.connection.release()
    made.close()


@pytest.fixture
def queued(redis_url: str) -> Iterator[Any]:
    """What stands in a queue, the oldest first."""
    with redis.Redis.from_url(redis_url) as client:
        yield lambda queue: [json.loads(each) for each in reversed(client.lrange(queue, 0, -1))]


def carried(message: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in message["headers"].items() if name not in {*ITS_OWN, "headers"}}


@pytest.mark.parametrize("stage", Stage)
def test_a_hand_off_says_what_celery_would_have_said(app: Celery, queued: Any, stage: Stage) -> None:
    """Flower, the worker and whoever reads a queue know Celery's messages."""
    publishing.publish(stage, DECISION)
    app.send_task(
        task_name(stage),
        args=(DECISION.symbol,),
        task_id=task_id(DECISION.decision_id, stage.value),
        root_id=DECISION.decision_id,
        headers=DECISION.headers(),
        ignore_result=True,
        **publish_options(stage, DECISION),
    )
    ours, theirs = queued(stage.value)
    assert carried(ours) == carried(theirs)
    assert ours["body"] == theirs["body"]
    assert ours["headers"]["headers"].keys() == theirs["headers"]["headers"].keys()
    assert all(signing.problem_of(each, stage.value, KEY) is None for each in (ours, theirs))


def test_many_in_one_packet_are_the_same_messages(app: Celery, queued: Any) -> None:
    """A close's decisions are published together; nothing else about them differs."""
    decisions = [DECISION, LONGEST, a_decision("ETH/USDT:USDT")]
    for decision in decisions:
        publishing.publish(Stage.FETCH, decision)
    publishing.publish_all(Stage.FETCH, decisions, **publishing.SCHEDULED)
    found = queued(Stage.FETCH.value)
    assert len(found) == 2 * len(decisions)
    assert [*map(carried, found[:3])] == [*map(carried, found[3:])]
    assert all(signing.problem_of(each, Stage.FETCH.value, KEY) is None for each in found)
    assert [each["headers"][headers.NAMES[0]] for each in found[3:]] == [d.decision_id for d in decisions]


def test_whoever_publishes_next_has_a_connection_again(app: Celery, queued: Any, redis_url: str) -> None:
    """One broken connection must not break all that follow: Redis restarts, and firewalls forget."""
    publishing.publish(Stage.FETCH, DECISION)
    with redis.Redis.from_url(redis_url) as client:
        client.client_kill_filter(_type="normal", skipme=True)
    publishing.publish(Stage.FETCH, DECISION)
    assert len(queued(Stage.FETCH.value)) == 2
    with pytest.raises(ZeroDivisionError), publishing._producer():
        _ = 1 / 0
    publishing.publish_all(Stage.FETCH, [DECISION])
    assert len(queued(Stage.FETCH.value)) == 3


def test_nothing_to_publish_publishes_nothing(app: Celery, queued: Any) -> None:
    nobody: Sequence[Any] = []
    publishing.publish_all(Stage.FETCH, nobody)
    assert queued(Stage.FETCH.value) == []
