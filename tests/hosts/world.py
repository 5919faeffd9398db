"""A pipeline on three hosts: servers on `a` (this machine), beat, feed, watchdog and a worker on `b` and on `c`."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from config.home import local_key
from console import roles
from pipeline.domain.decisions import Decision, Stage
from pipeline.domain.outcomes import Reason
from pipeline.keepalive import LOST_AFTER_S
from pipeline.oversight import pulse_store
from tests.fault.accidents import Traffic
from tests.fault.rehearsal import Rehearsal, wait_slowly
from tests.hosts.network import FORGOTTEN, Host, Network, require_namespaces
from tests.support.processes import ROOT, Started
from tests.support.servers import PostgresServer
from tests.support.waiting import eventually

CADENCE_S = 3.0
PROTECT_EVERY_S = 2.0
"""Beat's own, `chain.protect_every_s`."""
HOST_MISSED_S = 10.0
"""What a host holds that nobody hears of any more comes back after the visibility time-out."""
FORGOTTEN_MISSED_S = 2 * LOST_AFTER_S + 1
"""Nobody hears anybody: each process gives up first its way to Redis, then that to the ledger, and connects anew."""
QUIET_S = 5.0
UNDER_WAY = 6
SETTINGS = {
    "CHAIN_CADENCE_S": str(CADENCE_S),
    "CHAIN_DEADLINE_S": "10",
    "CHAIN_BEAT_LEASE_S": "3",
    "CHAIN_PROTECT_EVERY_S": "2",
    "CHAIN_SOFT_TIME_LIMIT_S": "3",
    "CHAIN_HARD_TIME_LIMIT_S": "4",
    "CHAIN_VISIBILITY_TIMEOUT_S": "10",
    "CHAIN_SWEEP_EVERY_S": "1",
    "CHAIN_RESOLVE_EVERY_S": "1",
    "FEED_LEASE_S": "3",
    "LEDGER_BUSY_TIMEOUT_S": "3",
    "WATCH_PULSE_EVERY_S": "1",
    "WATCH_LOOK_EVERY_S": "1",
    "WATCH_SILENT_AFTER_S": str(QUIET_S),
    "WATCH_CLEAR_AFTER_S": "1",
    "GOVERNOR_MAX_CLOCK_SKEW_S": "2",
    "GOVERNOR_CONFIG_SEEN_WITHIN_S": "5",
}


@dataclass
class World:
    """Hosts, what runs on them, and the rehearsal that all of it belongs to. `code`: where a host's own code lies."""

    network: Network
    on: Rehearsal
    running: dict[tuple[str, str], Started] = field(default_factory=dict)
    code: dict[str, Path] = field(default_factory=dict)
    wrong_clocks: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.traffic = Traffic(self.on)
        self.on.protect_every_s = PROTECT_EVERY_S
        self.network.on_trouble = self._note

    # -- processes --------------------------------------------------------------------------------------------

    def _note(self, trouble: str) -> None:
        self.on.note(trouble, FORGOTTEN_MISSED_S if trouble == FORGOTTEN else HOST_MISSED_S)

    def start(self, *names: str) -> None:
        """Every role that runs on each host; ready when their pulses are there."""
        for host in names:
            for role, command in self._roles().items():
                self.start_role(host, role, command)
        for host in names:
            self.await_pulses(host)

    def start_role(self, host: str, role: str, command: tuple[str, ...]) -> Started:
        place = self.network.hosts[host]
        started = Started(
            f"{role} on {host}",
            [*place.inside, *command],
            place.home / f"{role}.out",
            env=self.environment(place),
            cwd=self.code.get(host, ROOT),
        )
        self.running[host, role] = started
        return started

    def _roles(self) -> Mapping[str, tuple[str, ...]]:
        return {
            "worker-all": roles.worker(roles.QUEUES, concurrency=1, name="all"),
            "beat": (*roles.beat(), "--pidfile="),
            "feed": roles.feed(),
            "watch": roles.watch(),
        }

    def environment(self, host: Host) -> dict[str, str]:
        """What a host's processes are told: as everywhere, but for its home, and the keys that all share."""
        shared = self.on.chain.home
        told = {
            **self.on.chain.env,
            "THROUGHLINE_HOME": str(host.home),
            "THROUGHLINE_REDIS_MESSAGE_KEY": local_key(shared, "message_key").decode(),
            "THROUGHLINE_GOVERNOR_PERMIT_KEY": local_key(shared, "permit_key").decode(),
            "PYTHONPATH": str(self.code.get(host.name, ROOT)),
        }
        return {**told, **host.clock.environment} if host.name in self.wrong_clocks else told

    def await_pulses(self, host: str, timeout: float = 60) -> None:
        wanted = set(self._roles())
        eventually(
            lambda: wanted <= self.live_roles(host), timeout, f"{host} to live; {self.last_words(host)}"
        )

    def live_roles(self, host: str) -> set[str]:
        now = self.on.chain.pipeline.clock.now()
        pulses = pulse_store(self.on.chain.pipeline).read()
        return {each.role for each in pulses if each.host == host and each.age_s(now) < QUIET_S}

    def last_words(self, host: str) -> str:
        return "\n".join(
            f"--- {role}: {started.output()[-600:]}"
            for (at, role), started in self.running.items()
            if at == host
        )

    def kill(self, host: str) -> None:
        """The host loses its power."""
        self._note(f"{host} without power")
        self.network.hosts[host].kill()
        for at, role in list(self.running):
            if at == host:
                self.running.pop((at, role)).wait()

    @contextmanager
    def no_new_slots(self) -> Iterator[None]:
        """The beats stand still meanwhile: what is audited must have ended."""
        beats = [started for (_, role), started in self.running.items() if role == "beat"]
        for beat in beats:
            beat.send(signal.SIGSTOP)
        try:
            yield
        finally:
            for beat in beats:
                beat.send(signal.SIGCONT)

    @contextmanager
    def cut_off(self, host: str, *, both_ways: bool) -> Iterator[None]:
        """What is sent to it is lost meanwhile, and what it sends when both ways are cut."""
        self.network.cut(host, to=True, fro=both_ways)
        try:
            yield
        finally:
            self.network.heal()

    @contextmanager
    def wrong_clock(self, host: str, ahead_s: int) -> Iterator[None]:
        """What starts there meanwhile tells another time, and ends with it. Raises: Unavailable."""
        self.network.hosts[host].clock.set(ahead_s)
        self.wrong_clocks.add(host)
        try:
            yield
        finally:
            self.wrong_clocks.discard(host)
            self.kill(host)

    def stop(self) -> None:
        for host in self.network.hosts:
            self.kill(host)

    # -- what is to be seen -----------------------------------------------------------------------------------

    def told(self, host: str, event: str) -> list[dict[str, Any]]:
        """What the processes of a host said of one kind, the oldest first."""
        lines = (
            (self.network.hosts[host].home / "logs" / "all.jsonl").read_text(errors="replace").splitlines()
        )
        return [
            entry for line in lines if f'"{event}"' in line and (entry := json.loads(line))["event"] == event
        ]

    def alerts(self, code: str, subject: str) -> list[str]:
        """What anybody was told of it, the oldest first."""
        here = self.on.chain.pipeline
        with here.ledger.engine.connect() as connection:
            told = connection.exec_driver_sql(
                "SELECT kind FROM alerts WHERE code = %s AND subject = %s ORDER BY at", (code, subject)
            )
            return [str(kind) for kind in told.scalars()]

    def told_of_its_end(self, host: str) -> bool:
        """Whether each time that somebody was told that it is gone, he was told once that it is back."""
        told = self.alerts("HOST_GONE", host)
        assert told == ["raised", "cleared"] * (len(told) // 2), told
        return True

    def await_alert(self, code: str, subject: str) -> None:
        eventually(
            lambda: "raised" in self.alerts(code, subject), 30, f"somebody to be told of {code} {subject}"
        )

    def await_ended(self, reason: Reason, timeout: float = 60) -> Decision:
        """A pass that ended for this reason, while more of them flow. Not an exit: whoever finds one that nobody has
        sent yet, and may not send it, ends it and makes one of its own.
        """
        found: list[Decision] = []

        def there() -> bool:
            self.flow()
            with self.on.chain.pipeline.ledger.read() as unit:
                ended = [each for each in unit.decisions.latest(limit=200) if each.reason is reason]
            found.extend(each for each in ended if not each.origin.is_exit)
            return bool(found)

        wait_slowly(there, timeout, f"a decision to end as {reason}; {self.on.chain.counts()}")
        return found[0]

    def ended_by(self, decision: Decision) -> str:
        """The worker that did its last stage."""
        with self.on.chain.pipeline.ledger.read() as unit:
            return max(
                unit.stages.of(decision.decision_id), key=lambda each: list(Stage).index(each.stage)
            ).worker

    def workers(self) -> set[str]:
        """All that ever did a stage."""
        with self.on.chain.pipeline.ledger.engine.connect() as connection:
            return {row[0] for row in connection.exec_driver_sql("SELECT DISTINCT worker FROM stages")}

    def leads(self) -> str:
        """The host whose beat leads."""
        held = self.on.chain.pipeline.redis.get(f"tl:beat:{self.on.chain.pipeline.account}:lease")
        return held.decode().partition(":")[0] if isinstance(held, bytes) else ""

    def other(self, host: str) -> str:
        return next(name for name in self.network.hosts if name != host)

    def doctor(self) -> dict[str, Any]:
        """What the doctor says here, on `a`."""
        told: dict[str, Any] = json.loads(self.on.chain.run("doctor", "--json", code=None).output())
        return told

    def findings(self) -> list[tuple[str, str]]:
        """Codes and subjects that the doctor found, the first cause first."""
        return [(each["code"], each["subject"]) for each in self.doctor()["findings"]]

    def is_well(self) -> bool:
        """Fails with what the doctor finds, for whoever waits for it."""
        found = self.findings()
        assert not found, found
        return True

    def flow(self) -> None:
        """Some more decisions."""
        self.traffic.keep(UNDER_WAY)

    def executed(self) -> int:
        return self.on.chain.counts().get("executed", 0)

    def await_executed(self, more: int, timeout: float = 40) -> None:
        """Orders go on being filled."""
        wanted = self.executed() + more

        def there() -> bool:
            self.flow()
            return self.executed() >= wanted

        wait_slowly(there, timeout, f"{more} more executions; {self.on.chain.counts()}")


@contextmanager
def hosts(*, seed: int, symbols: int, **settings: str) -> Iterator[World]:
    """Hosts `b` and `c` with nothing on them yet. Raises: Unavailable."""
    require_namespaces()
    network = Network()
    try:
        network.add("b")
        network.add("c")
        server = PostgresServer(address=network.address)
        try:
            url = server.url(server.create_database())
            told = {**SETTINGS, **settings}
            on = Rehearsal(seed=seed, symbols=symbols, ledger_url=url, address=network.address, **told)
            world = World(network, on)
            try:
                yield world
            finally:
                world.stop()
                on.stop()
        finally:
            server.stop()
    finally:
        network.close()
