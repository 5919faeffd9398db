"""The configuration page is made from the code, and current."""

from __future__ import annotations

from pathlib import Path

from config import reference

PAGE = Path(__file__).parents[3] / "docs" / "configuration.md"


def test_every_key_is_explained() -> None:
    """A key without a sentence about it helps nobody."""
    assert [row.key for row in reference.explain() if not row.doc or not row.takes] == []


def test_the_page_is_current() -> None:
    """Run `python -m config.reference docs/configuration.md` when this fails."""
    page = PAGE.read_text(encoding="utf-8")

    assert page == reference.renewed(page)
