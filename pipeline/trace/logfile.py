"""A log file that many processes append to, that rotates by size, and that never stops its writer.

Each line is one `write` to a descriptor opened with O_APPEND, so lines of several processes never mix.
Before each line its writer asks how large the open file is, whatever its name is by now. Whoever finds no room
renames it under a lock, for which the others wait; then they see by the inode that the file of that name is
another one, and follow. A file that was deleted or moved by hand is noticed within a second.
"""

from __future__ import annotations

import fcntl
import os
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

FILE_MODE = 0o600
LOOK_EVERY_S = 1.0
LOOK_EVERY_BYTES = 1_000_000
"""So that who writes a lot does not fill the disk between two looks at it."""
PATIENCE_S = 0.25
"""How long a line waits for whoever rotates. After that the file may grow: a process that was frozen in the middle
must not hold up a trade, nor cost anybody a line.
"""
IMPATIENT_FOR_S = 5.0
"""How long nobody waits again after that."""


class LogFile:
    """`path`, at most `max_bytes` large, with `keep` older ones beside it (`<name>.1` is the newest).

    Several writers may find room for their next lines at the same instant: the file is larger by those at most.

    What cannot be written (a full disk, a folder that is gone) is counted in `lost`, and the writer goes on. With less
    than `keep_free` bytes left on the disk nothing is written at all (`stopped`): they are for the ledger.
    """

    def __init__(self, path: Path, *, max_bytes: int, keep: int, keep_free: int = 0) -> None:
        self.path = path
        self.lost = 0
        self.stopped = False
        self.keep_free = keep_free
        self._max_bytes, self._keep = max_bytes, keep
        self._descriptor = -1
        self._inode = (0, 0)
        self._unseen = 0
        self._look_at = 0.0
        self._rotate_at = 0.0
        self._torn = False
        self._turn = threading.Lock()
        os.register_at_fork(after_in_child=self._forget_turn)

    def write(self, line: bytes, *, last: bool = False) -> bool:
        """Append one line that ends in a newline. False when it was lost. `last`: also when logging has stopped."""
        try:
            self._unseen += len(line)
            if self._is_due() or not self._has_room(len(line)):
                self._look(len(line))
            if self.stopped and not last:
                self.lost += 1
                return False
            whole = b"\n" + line if self._torn else line
            written = os.write(self._descriptor, whole)
            self._torn = written < len(whole)
        except OSError:
            self.lost += 1
            return False
        self.lost += self._torn
        return not self._torn

    @property
    def free_bytes(self) -> int:
        """How much room the disk has for us. Raises: OSError."""
        found = os.statvfs(self.path.parent)
        return found.f_bavail * found.f_frsize

    def close(self) -> None:
        """Give the descriptor back; a later write opens it again."""
        descriptor, self._descriptor = self._descriptor, -1
        self._look_at = 0.0
        if descriptor >= 0:
            os.close(descriptor)

    def _forget_turn(self) -> None:
        """A fork may happen while another thread has the turn; the child has no such thread."""
        self._turn = threading.Lock()

    def _is_due(self) -> bool:
        return time.monotonic() >= self._look_at or self._unseen >= LOOK_EVERY_BYTES

    def _has_room(self, wanted: int) -> bool:
        # The end's offset is the size, at a third of what `fstat` costs; O_APPEND minds no position.
        return _fits(os.lseek(self._descriptor, 0, os.SEEK_END), wanted, self._max_bytes)

    def _look(self, wanted: int) -> None:
        """Make sure that the descriptor is the file of that name, and that there is room in it."""
        if not self._turn.acquire(timeout=PATIENCE_S):
            return
        try:
            self._follow()
            if not self._has_room(wanted) and time.monotonic() >= self._rotate_at:
                self._rotate(wanted)
                self._follow()
            self.stopped = self.keep_free > 0 and self.free_bytes < self.keep_free
            self._look_at, self._unseen = time.monotonic() + LOOK_EVERY_S, 0
        finally:
            self._turn.release()

    def _follow(self) -> None:
        try:
            found = self.path.stat()
            there = (found.st_dev, found.st_ino)
        except FileNotFoundError:
            there = (0, 0)
        if self._descriptor < 0 or there != self._inode:
            self._open()

    def _open(self) -> None:
        """The descriptor keeps its number: a thread that is about to write to it writes to the new file."""
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        fresh = os.open(self.path, flags, FILE_MODE)
        found = os.fstat(fresh)
        self._inode = (found.st_dev, found.st_ino)
        if stat.S_IMODE(found.st_mode) & 0o077:
            os.fchmod(fresh, FILE_MODE)
        if self._descriptor < 0:
            self._descriptor = fresh
            return
        os.dup2(fresh, self._descriptor, inheritable=False)
        os.close(fresh)

    def _rotate(self, wanted: int) -> None:
        with _lock(self.path.with_name(f".{self.path.name}.lock")) as mine:
            if not mine:
                self._rotate_at = time.monotonic() + IMPATIENT_FOR_S
            elif self._is_full(wanted):
                for number in range(self._keep - 1, 0, -1):
                    with suppress(FileNotFoundError):
                        self._numbered(number).replace(self._numbered(number + 1))
                self.path.replace(self._numbered(1))

    def _is_full(self, wanted: int) -> bool:
        try:
            return not _fits(self.path.stat().st_size, wanted, self._max_bytes)
        except FileNotFoundError:
            return False  # whoever had the lock before us has just renamed it, and nobody has opened a new one yet

    def _numbered(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}")


def _fits(size: int, wanted: int, max_bytes: int) -> bool:
    """An empty file takes any line."""
    return size == 0 or size + wanted <= max_bytes


@contextmanager
def _lock(path: Path) -> Iterator[bool]:
    """Whether this process has the lock now; it waits `PATIENCE_S` for it at most."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
    try:
        yield _is_locked(descriptor, time.monotonic() + PATIENCE_S)
    finally:
        os.close(descriptor)


def _is_locked(descriptor: int, until: float) -> bool:
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until:
                return False
            time.sleep(0.001)
        else:
            return True
