"""The release is the code itself."""

from __future__ import annotations

from pathlib import Path

from config.release import ROOT, fingerprint, release


def files(folder: Path, **contents: str) -> list[Path]:
    made = []
    for name, content in contents.items():
        made.append(folder / f"{name}.py")
        made[-1].write_text(content)
    return made


def test_the_same_code_is_the_same_release_wherever_it_lies(tmp_path: Path) -> None:
    """Two hosts have it in different folders, and found its files in another order."""
    one, other = tmp_path / "one", tmp_path / "other"
    one.mkdir()
    other.mkdir()
    here = files(one, a="x = 1", b="y = 2")
    assert fingerprint(one, here) == fingerprint(other, reversed(files(other, a="x = 1", b="y = 2")))


def test_any_change_of_the_code_makes_another_release(tmp_path: Path) -> None:
    """A patch on one host, a file more, a file with another name."""
    known = fingerprint(tmp_path, files(tmp_path, a="x = 1", b="y = 2"))
    assert fingerprint(tmp_path, files(tmp_path, a="x = 1", b="y = 3")) != known
    assert fingerprint(tmp_path, files(tmp_path, a="x = 1")) != known
    assert fingerprint(tmp_path, files(tmp_path, a="x = 1", c="y = 2")) != known


def test_a_release_names_version_and_fingerprint() -> None:
    version, _, code = release().partition("+")
    assert version
    assert len(code) == 12
    assert (ROOT / "beat_schedule.py").exists()
