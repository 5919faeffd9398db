"""The catalogue of events on its page."""

from __future__ import annotations

import re
from pathlib import Path

from pipeline.domain.events import EventName

PAGE = Path(__file__).parents[3] / "docs" / "observability.md"


def test_the_page_names_every_event_with_its_level() -> None:
    """A name that is not on the page is found by nobody; one that is not in the code finds nothing."""
    rows = re.findall(r"^\| `([A-Z_]+)` \| (\w+) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)

    assert rows == [(name.value, name.level.value) for name in EventName]
