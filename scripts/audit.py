"""`make audit`: a static scan of our own code, and known vulnerabilities in what it is made with.

The scan is ruff's `S` rules, which are bandit's, over everything that ships; each exception stands beside its line with
its reason, and one without a reason is a finding. Dependencies are looked up with pip-audit. Its data come from the
package index over the internet: where that does not answer (a build server without a way out, an index of one's own)
nothing is audited, this is said aloud, and it is no failure; run it once a week from where there is a way out.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SHIPPED = ("pipeline", "tasks", "console", "config", "simulator", "scripts", "beat_schedule.py")
JITTER = "S311"
"""Random numbers here are jitter and simulated prices; keys come from `secrets`. The same as in pyproject.toml."""
LOCK = ROOT / "requirements.lock"
SECONDS = 600

EXPLAINED: Mapping[str, str] = {}
"""Vulnerabilities that do not concern us, by their id: why not."""

_EXCEPTION = re.compile(r"# noqa: (?P<codes>[A-Z]+\d+(?:, ?[A-Z]+\d+)*)(?P<reason>.*)$")


def unexplained(lines: Iterable[str]) -> Iterator[int]:
    """Numbers of the lines that let a security rule pass and do not say why."""
    for number, line in enumerate(lines, start=1):
        found = _EXCEPTION.search(line)
        if found and re.search(r"\bS\d{3}", found["codes"]) and not found["reason"].strip(" -"):
            yield number


def scan() -> int:
    """Ruff's security rules, and the reasons of their exceptions. 0 when there is nothing to say."""
    code = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--select", "S", "--ignore", JITTER, *SHIPPED],
        cwd=ROOT,
        check=False,
    ).returncode
    exceptions = 0
    for file in _files():
        lines = file.read_text(encoding="utf-8").splitlines()
        exceptions += sum("# noqa" in line and bool(re.search(r"\bS\d{3}\b", line)) for line in lines)
        for number in unexplained(lines):
            print(f"{file.relative_to(ROOT)}:{number}: an exception from a security rule without its reason")
            code = 1
    print(
        f"static scan: {'clean' if code == 0 else 'findings above'}; {exceptions} exceptions, each with its reason"
    )
    return code


def _files() -> Iterator[Path]:
    for name in SHIPPED:
        path = ROOT / name
        yield from [path] if path.is_file() else sorted(path.rglob("*.py"))


def audit() -> int:
    """What is known of the pinned packages. One is looked up first: where it cannot be, nor can the others."""
    first = next(line for line in LOCK.read_text(encoding="utf-8").splitlines() if "==" in line)
    probe = ROOT / ".audit-probe.txt"
    probe.write_text(first.split(";")[0].rstrip(" \\") + "\n", encoding="utf-8")
    try:
        why = _unaudited(_told(probe, "--no-deps"))
    finally:
        probe.unlink()
    if why:
        print(
            f"dependencies: NOT AUDITED: {why}. This is no failure; run `make audit` where the internet is."
        )
        return 0
    told = _told(LOCK, "--require-hashes")
    if why := _unaudited(told):
        print(f"dependencies: NOT AUDITED in whole: {why}")
    return _judge(told)


def _told(requirements: Path, *words: str) -> Mapping[str, Any]:
    """pip-audit's answer; empty when it gave none."""
    command = [sys.executable, "-m", "pip_audit", "--requirement", str(requirements), "--disable-pip", *words]
    options = ["--format", "json", "--progress-spinner", "off", "--timeout", "15"]
    try:
        ended = subprocess.run(
            [*command, *options], cwd=ROOT, capture_output=True, text=True, timeout=SECONDS, check=False
        )
        told: Mapping[str, Any] = json.loads(ended.stdout)
    except (subprocess.TimeoutExpired, json.JSONDecodeError):
        return {}
    return told


def _unaudited(told: Mapping[str, Any]) -> str:
    """Why packages could not be looked up; empty when all could."""
    if not told.get("dependencies"):
        return "pip-audit gave no answer"
    skipped = [each for each in told["dependencies"] if "skip_reason" in each]
    return f"{len(skipped)} package(s), {skipped[0]['skip_reason']}" if skipped else ""


def _judge(told: Mapping[str, Any]) -> int:
    code = 0
    for package in told.get("dependencies", ()):
        for found in package.get("vulns", ()):
            reason = next(
                (EXPLAINED[name] for name in (found["id"], *found["aliases"]) if name in EXPLAINED), ""
            )
            mended = ", ".join(found["fix_versions"]) or "no release yet"
            what = f"{package['name']} {package['version']}: {found['id']}, mended in {mended}"
            print(f"{what}; {reason or 'NOT explained'}")
            code = code if reason else 1
    print(f"dependencies: {'clean, or explained' if code == 0 else 'findings above'}")
    return code


if __name__ == "__main__":
    print("== static scan", flush=True)
    findings = scan()
    print("== known vulnerabilities", flush=True)
    sys.exit(max(findings, audit()))
