"""`migrate`: single roles on several hosts need a ledger before any of them starts."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from console.main import application

APP = application()


def test_the_ledger_is_created_once_and_again_without_harm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever sets up hosts runs it twice; the second time must change nothing."""
    monkeypatch.setenv("THROUGHLINE_HOME", str(tmp_path / "home"))
    run = CliRunner()
    assert [run.invoke(APP, ["migrate"]).exit_code for _ in range(2)] == [0, 0]
    assert run.invoke(APP, ["decisions", "--json"]).output.strip() == "[]"
