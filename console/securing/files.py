"""Files: who on this host can read secrets, or write what we believe."""

from __future__ import annotations

import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from config.home import Home
from config.keys import by_name
from config.loading import Loaded
from console.securing.answers import Answers, Told, finding, fine

MOUNTED = Path("/run/secrets")
"""A container's engine mounts secrets there; nobody else is in a container."""

OTHERS_READ, OTHERS_WRITE = 0o077, 0o022


def look(loaded: Loaded, env: Mapping[str, str]) -> Answers:
    """Raises nothing."""
    home = Home(loaded.settings.home.absolute())
    private = [home.root, home.logs, home.secrets, *_inside(home.secrets), *_inside(home.root, "*.sqlite3")]
    yield _judged("files: home", private, OTHERS_READ, "readable by its owner only")
    told = [
        Path(path) for name, path in env.items() if name.startswith("THROUGHLINE_") and name.endswith("_FILE")
    ]
    if outside := [path for path in told if not path.is_relative_to(MOUNTED)]:
        yield _judged("files: secrets", outside, OTHERS_READ, "readable by their owner only")
    if loaded.user_file is not None:
        mask = OTHERS_READ if any(_secrets_in_file(loaded)) else OTHERS_WRITE
        yield _judged("files: configuration", [loaded.user_file], mask, "written by its owner only")


def _inside(folder: Path, pattern: str = "*") -> Iterator[Path]:
    try:
        yield from sorted(folder.glob(pattern))
    except OSError:
        return


def _judged(about: str, paths: Iterable[Path], mask: int, good: str) -> Told:
    known = {path: found for path in paths if (found := _mode(path)) is not None}
    bad = [f"{path} (mode {mode:o})" for path, mode in known.items() if mode & mask]
    if bad:
        verb = "read" if mask == OTHERS_READ else "change"
        return finding(
            about, f"others on this host can {verb} {', '.join(bad[:4])}", "chmod go= and look who did it"
        )
    return fine(about, f"{len(known)} looked at, {good}")


def _mode(path: Path) -> int | None:
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return None


def _secrets_in_file(loaded: Loaded) -> Iterator[str]:
    for name, said in loaded.sources.items():
        if by_name()[name].is_confidential and said.value and said.where.startswith(str(loaded.user_file)):
            yield name
