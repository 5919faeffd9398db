"""The home folder: where everything that this host keeps lies, readable by its owner only."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pipeline.domain.errors import ConfigError

FOLDER_MODE = 0o700
FILE_MODE = 0o600
OTHERS = 0o077
"""The umask under which nobody but the owner gets anything."""
FREE_BYTES_WANTED = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Home:
    """Paths under the home. `Home(settings.home)` names them; `ensure_home` creates the folders."""

    root: Path

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def run(self) -> Path:
        """Sockets, pid files and the supervisor's own configuration."""
        return self.root / "run"

    @property
    def redis(self) -> Path:
        return self.root / "redis"

    @property
    def sessions(self) -> Path:
        return self.root / "sessions"

    @property
    def secrets(self) -> Path:
        return self.root / "secrets"

    @property
    def session_file(self) -> Path:
        """The overlay that `throughline up` writes for the processes of its run."""
        return self.root / "session.yaml"

    @property
    def folders(self) -> tuple[Path, ...]:
        return (self.root, self.logs, self.run, self.redis, self.sessions, self.secrets)


def ensure_home(root: Path) -> Home:
    """Create what is missing, and make sure that files can be written.

    Raises: ConfigError when it is not a folder, cannot be written, or its disk is full.
    """
    home = Home(root.absolute())
    for folder in home.folders:
        _ensure_folder(folder)
    _try_to_write(home.run / f".write-test.{os.getpid()}.{secrets.token_hex(4)}")
    return home


def _ensure_folder(folder: Path) -> None:
    try:
        folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
    except FileExistsError:
        raise _unusable(folder, "is a file, not a folder") from None
    except OSError as error:
        raise _unusable(folder, _in_words(error)) from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise _unusable(folder, "cannot be written by this user")


def _try_to_write(probe: Path) -> None:
    try:
        write_private(probe, b"x")
        probe.unlink()
        free = _free_bytes(probe.parent)
    except OSError as error:
        raise _unusable(probe.parent, _in_words(error)) from error
    if free < FREE_BYTES_WANTED:
        raise _unusable(probe.parent, f"has only {free // 1024} KB left on its disk")


def _free_bytes(folder: Path) -> int:
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


def _in_words(error: OSError) -> str:
    words = {
        errno.EROFS: "lies on a read-only file system",
        errno.EACCES: "cannot be written by this user",
        errno.EPERM: "cannot be written by this user",
        errno.ENOSPC: "has no space left on its disk",
        errno.EDQUOT: "has no quota left on its disk",
        errno.ENOTDIR: "lies below something that is a file, not a folder",
    }
    return words.get(error.errno or 0, f"cannot be used: {error.strerror}")


def _unusable(folder: Path, what: str) -> ConfigError:
    return ConfigError(
        f"the folder {what}.",
        where=str(folder),
        remedy="Make it a folder that this user can write to, or set `home` (THROUGHLINE_HOME) to another.",
    )


def unreadable(folder: Path, error: OSError) -> ConfigError:
    """For those who only read: they need not write to the home, but see what is in it."""
    return ConfigError(
        f"the folder cannot be read: {error.strerror}.",
        where=str(folder),
        remedy="Make it a folder that this user can read, or set `home` (THROUGHLINE_HOME) to another.",
    )


def write_private(path: Path, content: bytes) -> None:
    """Replace a file in one step; only its owner can read it, also while it is being written.

    Raises: OSError.
    """
    partial = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}.part")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise


def local_key(root: Path, name: str) -> bytes:
    """64 random hex characters, made once for the home at `root` and kept in `secrets/<name>`.

    Safe when several processes ask first at once: one file wins and all of them read it.
    Raises: ConfigError when it cannot be written, or others can read it.
    """
    path = Home(root).secrets / name
    try:
        if not path.exists():
            path.parent.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
            _make_key(path)
        _refuse_shared(path)
        return path.read_bytes().strip()
    except OSError as error:
        raise ConfigError(f"the key cannot be kept: {error.strerror}.", where=str(path)) from error


def _make_key(path: Path) -> None:
    """A complete file is linked into place: a reader never sees half of it, and the first one stays."""
    own = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    write_private(own, secrets.token_hex(32).encode())
    try:
        with suppress(FileExistsError):
            os.link(own, path)
    finally:
        own.unlink()


def _refuse_shared(path: Path) -> None:
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        raise ConfigError(
            f"other users can read this key (mode {mode:o}).",
            where=str(path),
            remedy="Delete it; a new one is made at the next start.",
        )
