"""Hosts in namespaces, and the network between them. Needs root, `/dev/net/tun`, and the program `ip`.

This machine itself is host `a`: its servers listen on an address that only the other hosts reach. Nothing has to be
cleaned up: a namespace ends with its last process, a device with the switch.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path

import psutil

from tests.support.processes import ROOT, Started, child_environment, temporary_folder
from tests.support.servers import Unavailable
from tests.support.waiting import eventually

FAKETIME = "/usr/lib/*-linux-gnu/faketime/libfaketime.so.1"

FORGOTTEN = "connections forgotten"


def nobody(trouble: str) -> None:
    """Who is told of trouble until somebody asks for it."""


class Network:
    """The switch, and the hosts at it. `on_trouble` is told what is done to them."""

    def __init__(self) -> None:
        self.on_trouble: Callable[[str], None] = nobody
        self.folder = temporary_folder("hosts")
        self.hosts: dict[str, Host] = {}
        self._net = f"10.213.{os.getpid() % 251}"
        self._switch = subprocess.Popen(
            [sys.executable, "-m", "tests.hosts.switch"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            env=child_environment({}),
            text=True,
            start_new_session=True,
        )
        device = self._port("a")
        _ip("address", "add", f"{self.address}/24", "dev", device)
        _ip("link", "set", device, "up")

    @property
    def address(self) -> str:
        """Of this machine, host `a`."""
        return f"{self._net}.1"

    def add(self, name: str) -> Host:
        """A host of its own, called `name`."""
        host = Host(name, self.folder)
        device = self._port(name)
        _ip("link", "set", device, "netns", str(host.anchor.pid))
        for command in (
            ("link", "set", "lo", "up"),
            ("link", "set", device, "name", "eth0"),
            ("address", "add", f"{self._net}.{len(self.hosts) + 2}/24", "dev", "eth0"),
            ("link", "set", "eth0", "up"),
        ):
            subprocess.run([*host.inside, "ip", *command], check=True)
        self.hosts[name] = host
        return host

    def cut(self, host: str, *, to: bool = True, fro: bool = True) -> None:
        """What is sent to the host, and from it, is lost from now on."""
        self.on_trouble(f"{host} cut off")
        for other in (each for each in ("a", *self.hosts) if each != host):
            self._way(other, host, cut=to)
            self._way(host, other, cut=fro)

    def slow(self, host: str, delay_s: float) -> None:
        """Everything to it, and from it, takes so much longer."""
        self.on_trouble(f"{host} slow")
        self._slow(host, delay_s)

    def _slow(self, host: str, delay_s: float) -> None:
        for other in (each for each in ("a", *self.hosts) if each != host):
            self._way(other, host, delay_s=delay_s)
            self._way(host, other, delay_s=delay_s)

    def heal(self) -> None:
        """All ways are open and quick."""
        for host in self.hosts:
            self._slow(host, 0.0)

    def forget(self) -> None:
        """As when a firewall between the hosts is started anew: what is connected now is dead, and nobody says so."""
        self.on_trouble(FORGOTTEN)
        self._tell({"do": "forget"})

    def close(self) -> None:
        for host in self.hosts.values():
            host.close()
        self._switch.communicate(timeout=60)

    def _way(self, came: str, goes: str, *, cut: bool = False, delay_s: float = 0.0) -> None:
        self._tell({"do": "way", "from": came, "to": goes, "cut": cut, "delay_s": delay_s})

    def _port(self, name: str) -> str:
        device = f"tl{os.getpid()}{name[:2]}"
        self._tell({"do": "port", "name": name, "device": device})
        return device

    def _tell(self, told: dict[str, object]) -> None:
        assert self._switch.stdin is not None
        assert self._switch.stdout is not None
        self._switch.stdin.write(json.dumps(told) + "\n")
        self._switch.stdin.flush()
        if self._switch.stdout.readline().strip() != "done":
            raise Unavailable(
                f"the switch cannot do {told}: /dev/net/tun, or the right to use it, is missing"
            )


class Host:
    """One host: a network, a name and a home of its own, and where wanted a clock of its own."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.home = folder / name
        self.home.mkdir()
        command = [
            "unshare",
            "--net",
            "--uts",
            "sh",
            "-c",
            'hostname "$0" && echo up && exec sleep 1000000',
            name,
        ]
        self.anchor = Started(f"host {name}", command, folder / f"{name}.host")
        self.anchor.await_output("up")

    @property
    def inside(self) -> Sequence[str]:
        """What goes before a command so that it runs there."""
        return ("nsenter", "--target", str(self.anchor.pid), "--net", "--uts", "--")

    @cached_property
    def clock(self) -> Clock:
        return Clock(self.home / "clock")

    def processes(self) -> Iterator[psutil.Process]:
        """Everything that runs there."""
        here = _network_of(self.anchor.pid)
        for process in psutil.process_iter():
            with suppress(OSError):
                if process.pid != self.anchor.pid and _network_of(process.pid) == here:
                    yield process

    def kill(self) -> None:
        """The power fails: everything there ends at once."""
        running = list(self.processes())
        for process in running:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        eventually(lambda: not list(self.processes()), 10, f"{self.name} to be dead")

    def close(self) -> None:
        self.kill()
        self.anchor.stop()


class Clock:
    """A host's clock, which may be wrong: libfaketime tells it to every process that starts with `environment`."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.set(0)

    @property
    def environment(self) -> dict[str, str]:
        return {
            "LD_PRELOAD": faketime(),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
        }

    def set(self, ahead_s: int) -> None:
        """From now on it is so far ahead; behind, when that is negative."""
        self._file.write_text(f"{ahead_s:+d}", encoding="utf-8")


def faketime() -> str:
    """Raises: Unavailable when Debian's package libfaketime, or what is like it, is not installed."""
    found = [str(file) for file in Path("/").glob(FAKETIME.lstrip("/"))]
    if not found:
        raise Unavailable("clocks cannot be set: libfaketime is not installed")
    return found[0]


def require_namespaces() -> None:
    """Raises: Unavailable with what is missing on this machine."""
    if os.geteuid() != 0:
        raise Unavailable("hosts need namespaces, and only root may make them")
    if not Path("/dev/net/tun").exists():
        raise Unavailable("hosts need a network, and there is no /dev/net/tun")
    for program in ("ip", "unshare", "nsenter", "hostname"):
        if shutil.which(program) is None:
            raise Unavailable(f"hosts need the program {program}, which is not installed")
    tried = subprocess.run(["unshare", "--net", "--uts", "true"], capture_output=True, check=False)
    if tried.returncode != 0:
        raise Unavailable(
            f"hosts need namespaces, and this machine allows none: {tried.stderr.decode().strip()}"
        )


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)


def _network_of(pid: int) -> Path:
    return Path(f"/proc/{pid}/ns/net").readlink()
