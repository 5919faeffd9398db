"""A network switch as a program: one port for each host, and any of its ways can be cut or slowed.

Kernels on build machines often lack the modules for delay and loss (`tc netem`). This needs `/dev/net/tun` only. What
is cut is dropped without a word, as when somebody pulls a cable, and each direction by itself.

It reads one JSON object a line from its standard input and answers each with a line:

    {"do": "port", "name": "b", "device": "tl7b"}                  makes the device; its frames go through here
    {"do": "way", "from": "b", "to": "a", "cut": true, "delay_s": 0}
    {"do": "forget"}                                               as a firewall: connections that are open now are dead
"""

from __future__ import annotations

import fcntl
import heapq
import itertools
import json
import os
import selectors
import struct
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field

SET_INTERFACE = 0x400454CA
TAP, WITHOUT_HEADER = 0x0002, 0x1000
LONGEST_FRAME = 65536
IPV4, TCP, SYN = b"\x08\x00", 6, 0x02
EVERYBODY = 0x01
"""The bit in a frame's first byte that says: for more than one."""


@dataclass(frozen=True)
class Way:
    """From one port to another."""

    cut: bool = False
    delay_s: float = 0.0


@dataclass
class Switch:
    """Learns who is behind which port from the frames that come out of it."""

    ports: dict[str, int] = field(default_factory=dict)
    ways: dict[tuple[str, str], Way] = field(default_factory=dict)
    _connections: set[bytes] = field(default_factory=set)
    _forgot: bool = False
    _names: dict[int, str] = field(default_factory=dict)
    _behind: dict[bytes, str] = field(default_factory=dict)
    _late: list[tuple[float, int, str, bytes]] = field(default_factory=list)
    _order: itertools.count[int] = field(default_factory=itertools.count)
    _ready: selectors.DefaultSelector = field(default_factory=selectors.DefaultSelector)

    def run(self) -> None:
        """Until the standard input closes."""
        self._ready.register(0, selectors.EVENT_READ)
        while True:
            for key, _ in self._ready.select(self._patience_s()):
                if key.fd == 0:
                    line = os.read(0, LONGEST_FRAME)
                    if not line:
                        return
                    self._told(line)
                else:
                    self._read(key.fd)
            self._send_late()

    def _told(self, lines: bytes) -> None:
        for line in lines.splitlines():
            told = json.loads(line)
            if told["do"] == "port":
                self._open(told["name"], told["device"])
            elif told["do"] == "forget":
                self._forgot = True
                self._connections.clear()
            else:
                self.ways[told["from"], told["to"]] = Way(told["cut"], told["delay_s"])
            sys.stdout.write("done\n")
            sys.stdout.flush()

    def _open(self, name: str, device: str) -> None:
        port = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(port, SET_INTERFACE, struct.pack("16sH22x", device.encode(), TAP | WITHOUT_HEADER))
        self.ports[name], self._names[port] = port, name
        self._ready.register(port, selectors.EVENT_READ)

    def _read(self, port: int) -> None:
        came = self._names[port]
        with suppress(BlockingIOError, OSError):  # the device is down while its host is set up
            while frame := os.read(port, LONGEST_FRAME):
                self._behind[frame[6:12]] = came
                for goes in self._for(frame, came):
                    self._send(came, goes, frame)

    def _for(self, frame: bytes, came: str) -> list[str]:
        known = self._behind.get(frame[:6])
        if known is None or frame[0] & EVERYBODY:
            return [name for name in self.ports if name != came]
        return [known] if known != came else []

    def _send(self, came: str, goes: str, frame: bytes) -> None:
        way = self.ways.get((came, goes), Way())
        if way.cut or (self._forgot and self._is_unknown(frame)):
            return
        if way.delay_s:
            heapq.heappush(self._late, (time.monotonic() + way.delay_s, next(self._order), goes, frame))
        else:
            self._write(goes, frame)

    def _is_unknown(self, frame: bytes) -> bool:
        """Part of a connection whose beginning was not seen since the switch forgot."""
        if frame[12:14] != IPV4 or frame[23] != TCP:
            return False
        header = 14 + (frame[14] & 0x0F) * 4
        ends = sorted(
            (frame[26:30] + frame[header : header + 2], frame[30:34] + frame[header + 2 : header + 4])
        )
        connection = b"".join(ends)
        if frame[header + 13] & SYN:
            self._connections.add(connection)
        return connection not in self._connections

    def _send_late(self) -> None:
        now = time.monotonic()
        while self._late and self._late[0][0] <= now:
            _, _, goes, frame = heapq.heappop(self._late)
            self._write(goes, frame)

    def _write(self, goes: str, frame: bytes) -> None:
        with suppress(OSError):
            os.write(self.ports[goes], frame)

    def _patience_s(self) -> float | None:
        return max(0.0, self._late[0][0] - time.monotonic()) if self._late else None


if __name__ == "__main__":
    Switch().run()
