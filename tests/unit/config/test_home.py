"""The home folder."""

from __future__ import annotations

import errno
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from config import home as home_module
from config.home import Home, ensure_home, local_key, write_private
from pipeline.domain.errors import ConfigError


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_all_folders_are_made_for_the_owner_only(tmp_path: Path) -> None:
    """Logs and ledgers tell what somebody owns."""
    home = ensure_home(tmp_path / "deep" / "var")

    assert all(mode_of(folder) == 0o700 for folder in home.folders)
    assert ensure_home(home.root) == home


def test_a_file_in_place_of_the_home_is_named(tmp_path: Path) -> None:
    """The message says which path and what to do."""
    (tmp_path / "var").write_text("")

    with pytest.raises(ConfigError, match=r"var: the folder is a file.*THROUGHLINE_HOME"):
        ensure_home(tmp_path / "var")
    with pytest.raises(ConfigError, match="below something that is a file"):
        ensure_home(tmp_path / "var" / "below")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_write_permission_is_named(tmp_path: Path) -> None:
    """Found at the start, not at the first log line."""
    tmp_path.chmod(0o500)

    with pytest.raises(ConfigError, match="cannot be written by this user"):
        ensure_home(tmp_path / "var")


@pytest.mark.parametrize(
    ("code", "words"), [(errno.EROFS, "read-only file system"), (errno.ENOSPC, "no space left")]
)
def test_a_disk_that_takes_nothing_is_named(
    code: int, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """These cannot be made by permissions, also not as root."""

    def refuse(path: Path, content: bytes) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(home_module, "write_private", refuse)

    with pytest.raises(ConfigError, match=words):
        ensure_home(tmp_path / "var")


def test_an_almost_full_disk_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A ledger that cannot grow fails in the middle of an order."""
    monkeypatch.setattr(home_module, "_free_bytes", lambda folder: 100 * 1024)

    with pytest.raises(ConfigError, match="only 100 KB left"):
        ensure_home(tmp_path / "var")


def test_the_local_key_is_made_once_and_private(tmp_path: Path) -> None:
    """A permit signed before a restart is valid after it."""
    home = ensure_home(tmp_path)

    key = local_key(home.root, "permit")

    assert len(key) == 64
    assert local_key(home.root, "permit") == key
    assert mode_of(home.secrets / "permit") == 0o600


def test_processes_that_ask_first_at_once_get_one_key(tmp_path: Path) -> None:
    """Two keys would make one worker refuse the other's permits."""
    for attempt in range(20):
        home = ensure_home(tmp_path / str(attempt))
        with ThreadPoolExecutor(8) as pool:
            found = set(pool.map(lambda _, at=home: local_key(at.root, "permit"), range(8)))
        assert len(found) == 1
        assert [path.name for path in home.secrets.iterdir()] == ["permit"]


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    """Whoever reads it can sign permits."""
    home = ensure_home(tmp_path)
    local_key(home.root, "permit")
    (home.secrets / "permit").chmod(0o644)

    with pytest.raises(ConfigError, match="other users can read"):
        local_key(home.root, "permit")


def test_a_private_file_is_replaced_in_one_step(tmp_path: Path) -> None:
    """A reader sees the old content or the new, never half of it."""
    path = tmp_path / "session.yaml"
    write_private(path, b"old")
    with path.open("rb") as reader:
        write_private(path, b"new")
        assert reader.read() == b"old"

    assert path.read_bytes() == b"new"
    assert mode_of(path) == 0o600


def test_a_replacement_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    """The old file stays, and no partial one."""
    (tmp_path / "target").mkdir()

    with pytest.raises(OSError, match="target"):
        write_private(tmp_path / "target", b"x")
    assert [path.name for path in tmp_path.iterdir()] == ["target"]


def test_home_names_paths_without_touching_the_disk(tmp_path: Path) -> None:
    """Reading commands ask for paths before anything was started."""
    assert Home(tmp_path / "none").session_file == tmp_path / "none" / "session.yaml"
    assert not (tmp_path / "none").exists()
