"""A log file that many processes append to, that rotates by size, and that never stops its writer.

Each line is one `write` to a descriptor opened with O_APPEND, so lines of several processes never mix.
Whoever finds the file too large renames it under a lock; the others see by the inode that
the file of that name is another one, and follow within a second.
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
LOOK_EVERY_BYTES = 16 * 1024
LOOK_EVERY_S = 1.0


class LogFile:
    """`path`, at most about `max_bytes` large, with `keep` older ones beside it (`<name>.1` is the newest).

    What cannot be written (a full disk, a folder that is gone) is counted in `lost`, and the writer goes on.
    """

    def __init__(self, path: Path, *, max_bytes: int, keep: int) -> None:
        self.path = path
        self.lost = 0
        self._max_bytes, self._keep = max_bytes, keep
        self._descriptor = -1
        self._inode = (0, 0)
        self._unseen = LOOK_EVERY_BYTES
        self._look_at = 0.0
        self._torn = False
        self._turn = threading.Lock()
        os.register_at_fork(after_in_child=self._forget_turn)

    def write(self, line: bytes) -> bool:
        """Append one line that ends in a newline. False when it was lost."""
        try:
            self._unseen += len(line)
            if self._unseen >= LOOK_EVERY_BYTES or time.monotonic() >= self._look_at:
                self._look()
            whole = b"\n" + line if self._torn else line
            written = os.write(self._descriptor, whole)
            self._torn = written < len(whole)
        except OSError:
            self.lost += 1
            return False
        self.lost += self._torn
        return not self._torn

    def close(self) -> None:
        """Give the descriptor back; a later write opens it again."""
        descriptor, self._descriptor = self._descriptor, -1
        self._unseen = LOOK_EVERY_BYTES
        if descriptor >= 0:
            os.close(descriptor)

    def _forget_turn(self) -> None:
        """A fork may happen while another thread has the turn; the child has no such thread."""
        self._turn = threading.Lock()

    def _look(self) -> None:
        """Make sure that the descriptor is the file of that name, and that it is not too large."""
        if not self._turn.acquire(blocking=self._descriptor < 0):
            return
        try:
            self._follow()
            if os.fstat(self._descriptor).st_size >= self._max_bytes:
                self._rotate()
                self._follow()
            self._unseen, self._look_at = 0, time.monotonic() + LOOK_EVERY_S
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

    def _rotate(self) -> None:
        with _lock(self.path.with_name(f".{self.path.name}.lock")) as mine:
            if not mine or not self._is_too_large():
                return
            for number in range(self._keep - 1, 0, -1):
                with suppress(FileNotFoundError):
                    self._numbered(number).replace(self._numbered(number + 1))
            self.path.replace(self._numbered(1))

    def _is_too_large(self) -> bool:
        try:
            return self.path.stat().st_size >= self._max_bytes
        except FileNotFoundError:
            return False  # whoever had the lock before us has just renamed it, and nobody has opened a new one yet

    def _numbered(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}")


@contextmanager
def _lock(path: Path) -> Iterator[bool]:
    """Whether this process has the lock now; it never waits for it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield True
    except BlockingIOError:
        yield False
    finally:
        os.close(descriptor)
