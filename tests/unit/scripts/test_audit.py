"""`make audit` finds what it looks for, and says when it could not look."""

from __future__ import annotations

from typing import Any

import pytest

from scripts import audit

FOUND = {"id": "PYSEC-1", "aliases": ["CVE-1"], "fix_versions": ["2.0"]}


def told(*vulnerabilities: dict[str, Any]) -> dict[str, Any]:
    return {"dependencies": [{"name": "some", "version": "1.0", "vulns": list(vulnerabilities)}]}


def test_a_known_vulnerability_fails_until_it_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    """An audit that passes whatever it finds is a ritual."""
    assert audit._judge(told()) == 0
    assert audit._judge(told(FOUND)) == 1
    monkeypatch.setattr(audit, "EXPLAINED", {"CVE-1": "its part is never imported"})
    assert audit._judge(told(FOUND)) == 0


@pytest.mark.parametrize(
    "answer", [{}, {"dependencies": [{"name": "some", "skip_reason": "not found on PyPI"}]}]
)
def test_what_could_not_be_looked_up_is_not_called_clean(answer: dict[str, Any]) -> None:
    """pip-audit itself ends with 'No known vulnerabilities found' then."""
    assert audit._unaudited(answer)
    assert not audit._unaudited(told())


def test_an_exception_without_a_reason_is_found() -> None:
    """The next reader cannot tell whether somebody has thought about it."""
    lines = ["run(x)  # noqa: S603", "run(x)  # noqa: S603 - our own words", "y = 1  # noqa: PLR2004"]
    assert list(audit.unexplained(lines)) == [1]


def test_our_own_code_is_clean(capsys: pytest.CaptureFixture[str]) -> None:
    """The static scan, as the build server runs it."""
    assert audit.scan() == 0, capsys.readouterr().out
