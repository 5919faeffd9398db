"""Flower beside a running chain: it finds a decision's tasks by the decision's id, and can ask for a pass."""

from __future__ import annotations

import json
import sys
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import psutil
import pytest
from celery import Celery

from console import roles
from pipeline.domain.decisions import Decision, Origin, Stage
from pipeline.domain.ids import DecisionId, task_id
from pipeline.domain.outcomes import Outcome
from tasks import signing
from tasks.policies import QUEUES
from tests.support.chain import ChainProcesses, chain_processes
from tests.support.clients import trusted_client
from tests.support.processes import Started, free_port, temporary_folder
from tests.support.waiting import eventually

USER, PASSWORD = "operator", "not-a-secret"


@dataclass
class Flower:
    """What a person can do with it, over HTTP."""

    port: int

    def get(self, path: str, **query: str) -> Any:
        return self._ask(Request(f"http://127.0.0.1:{self.port}{path}?{urlencode(query)}"))

    def post(self, path: str, body: object) -> Any:
        request = Request(
            f"http://127.0.0.1:{self.port}{path}", data=json.dumps(body).encode(), method="POST"
        )
        return self._ask(request)

    def tasks_of(self, decision_id: str) -> dict[str, Any]:
        """What its search finds for a text that somebody pasted."""
        found: dict[str, Any] = self.get("/api/tasks", search=decision_id)
        return found

    @staticmethod
    def _ask(request: Request) -> Any:
        request.add_header("Authorization", "Basic " + b64encode(f"{USER}:{PASSWORD}".encode()).decode())
        with urlopen(request, timeout=60) as answer:  # noqa: S310 - our own address
            return json.load(answer)


@pytest.fixture(scope="module")
def chain() -> Iterator[ChainProcesses]:
    """One chain for this file: each test uses a symbol of its own."""
    with chain_processes(STRATEGIES_ENABLED="always_buys") as chain:
        yield chain


@pytest.fixture(scope="module")
def flower(chain: ChainProcesses) -> Flower:
    """As `throughline flower` starts it, behind a password; ready when it has heard of both workers."""
    port = free_port()
    told = {"PORT": str(port), "USER": USER, "PASSWORD": PASSWORD}
    env = {**chain.env, **{f"THROUGHLINE_FLOWER_{name}": value for name, value in told.items()}}
    process = Started("flower", list(roles.flower()), chain.home / "flower.out", env=env)
    chain.processes["flower"] = process
    chain.start_workers()
    found = Flower(port)
    eventually(lambda: knows_workers(found, process), 30, "Flower to know the workers")
    return found


def knows_workers(flower: Flower, process: Started) -> bool:
    if not process.is_running():
        raise RuntimeError(f"Flower ended and said:\n{process.output()[-3000:]}")
    try:
        return len(flower.get("/workers", json="1")["data"]) == 2
    except OSError:
        return False


@pytest.fixture(scope="module")
def executed(chain: ChainProcesses, flower: Flower) -> Decision:
    """A decision that went through all four stages while Flower was watching."""
    return chain.ended(chain.enqueue("BTCUSDT"))


def test_nobody_gets_in_without_a_login(chain: ChainProcesses, flower: Flower) -> None:
    """It can call tasks. On loopback every user of the host could."""
    for path in ("/", "/workers", "/api/tasks", "/api/task/apply/tasks.fetch"):
        with pytest.raises(HTTPError) as refused:
            urlopen(f"http://127.0.0.1:{flower.port}{path}", timeout=60)
        refused.value.close()
        assert refused.value.code in {401, 405}

    shown = " ".join(psutil.Process(chain.processes["flower"].pid).cmdline())
    assert "--address=127.0.0.1" in shown
    assert PASSWORD not in shown


def stages_of(decision_id: DecisionId) -> set[str]:
    return {task_id(decision_id, stage) for stage in Stage}


def test_pasting_a_decisions_id_finds_its_four_tasks(flower: Flower, executed: Decision) -> None:
    """A4 and F9: their ids are derived from it, and it is the root of them all."""
    wanted = stages_of(executed.decision_id)
    found = eventually(lambda: finished(flower, executed.decision_id, 4), what="four finished tasks")
    assert set(found) == wanted
    assert {task["root_id"] for task in found.values()} == {executed.decision_id}
    assert {task["worker"].partition("@")[0] for task in found.values()} == {"market", "orders"}


def finished(flower: Flower, decision_id: str, wanted: int) -> dict[str, Any] | None:
    found = flower.tasks_of(decision_id)
    done = [task for task in found.values() if task["state"] == "SUCCESS"]
    return found if len(done) >= wanted else None


def test_its_page_finds_them_as_well(flower: Flower, executed: Decision) -> None:
    """The page asks elsewhere than the API."""
    query = {"draw": "1", "start": "0", "length": "50", "search[value]": executed.decision_id}
    order = {"order[0][column]": "0", "order[0][dir]": "asc", "columns[0][data]": "name"}

    def shown() -> set[str]:
        return {row["uuid"] for row in flower.get("/tasks/datatable", **query, **order)["data"]}

    assert eventually(lambda: shown() == stages_of(executed.decision_id), what="the same four tasks")


@pytest.mark.parametrize(
    ("way", "symbol"),
    [("async-apply", "ETH/USDT:USDT"), ("send-task", "SOL/USDT:USDT")],
    ids=["apply", "send"],
)
def test_a_call_from_its_page_takes_the_same_path(
    chain: ChainProcesses, flower: Flower, way: str, symbol: str
) -> None:
    """A7: a list of one symbol is all that a person has to type; the decision is found by its id as well."""
    called = flower.post(f"/api/task/{way}/tasks.fetch", {"args": [symbol]})["task-id"]
    (decision,) = eventually(lambda: decisions_over(chain, symbol), 20, "a decision of the call")
    ended = chain.ended(decision.decision_id)
    assert (ended.origin, ended.outcome) == (Origin.CALL, Outcome.EXECUTED)
    found = eventually(lambda: finished(flower, ended.decision_id, 5), what="the call and four tasks")
    assert set(found) == {called, *stages_of(ended.decision_id)}


def decisions_over(chain: ChainProcesses, symbol: str) -> list[Decision]:
    with chain.pipeline.ledger.read() as unit:
        return list(unit.decisions.latest(symbol=symbol))


def test_it_knows_every_queue(flower: Flower) -> None:
    """F9: their depth is what an operator looks at first."""
    told = flower.get("/api/queues/length")["active_queues"]
    assert {queue["name"] for queue in told} == set(QUEUES)


def test_only_the_worker_that_sends_no_orders_answers_remote_control(
    chain: ChainProcesses, flower: Flower
) -> None:
    """Whoever can write to Redis could stop the other one."""
    with trusted_client("stranger", chain.redis.url, chain.home) as stranger:
        eventually(lambda: who_answers(stranger) == ["market"], what="the one that answers, and nobody else")


def who_answers(stranger: Celery) -> list[str]:
    return [name.partition("@")[0] for answer in stranger.control.ping(timeout=1) for name in answer]


def test_the_log_says_where_it_answers_and_that_it_asks_who_is_there(
    chain: ChainProcesses, flower: Flower
) -> None:
    """An open page through which tasks can be called is nothing to find out by accident."""
    lines = [json.loads(line) for line in chain.log_lines("flower.jsonl")]
    [told] = [line for line in lines if line["event"] == "DASH_EVENT"]
    assert told["url"] == f"http://127.0.0.1:{flower.port}"
    assert told["login"] is True


def test_nobody_answers_remote_control_that_is_not_signed(
    chain: ChainProcesses, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever can write to Redis could stop every worker with one message."""
    monkeypatch.setattr(signing, "_own", {})
    with Celery("stranger", broker=chain.redis.url, set_as_current=False) as stranger:
        assert stranger.control.ping(timeout=1) == []


def test_flower_started_by_hand_is_not_open_to_everybody() -> None:
    """Celery's own command listens everywhere and asks nobody who they are."""
    with_chain = temporary_folder("flower")
    command = [sys.executable, "-m", "celery", "-A", "tasks", "flower", f"--port={free_port()}"]
    told = {"THROUGHLINE_HOME": str(with_chain), "THROUGHLINE_REDIS_URL": "redis://127.0.0.1:1/0"}
    process = Started("flower", command, with_chain / "flower.out", env=told)
    assert process.wait(60) == 2, process.output()
    assert "throughline flower" in process.output()
