"""Steps of the start and the stop, each shown with a mark and its time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field

from rich.console import Console
from rich.markup import escape

from console.output import encodes

_NAME_WIDTH = 16
_DETAIL_WIDTH = 58


@dataclass(slots=True)
class Detail:
    """What a step found out; shown behind its name when it is done."""

    text: str = ""


@dataclass(frozen=True, slots=True)
class Progress:
    console: Console
    _started: float = field(default_factory=time.monotonic)

    @contextmanager
    def step(self, name: str, detail: str = "") -> Iterator[Detail]:
        """One step: shown as done when the block ends, as failed when it raises."""
        start = time.monotonic()
        found = Detail(detail)
        spinner = self.console.status(f"{name} …") if self.console.is_terminal else nullcontext()
        try:
            with spinner:
                yield found
        except BaseException:
            self._line("✗", "x", "red", name, found.text, start)
            raise
        self._line("✓", "+", "green", name, found.text, start)

    def note(self, text: str, style: str = "yellow") -> None:
        self.console.print(f"[{style}]{escape(text)}[/]", soft_wrap=True)

    @property
    def gone_s(self) -> float:
        return time.monotonic() - self._started

    def _line(self, mark: str, plain: str, colour: str, name: str, detail: str, start: float) -> None:  # noqa: PLR0917  a line has these parts
        shown = mark if encodes(mark, self.console.file) else plain
        seconds = f"{time.monotonic() - start:5.1f} s"
        self.console.print(
            f"[{colour}]{shown}[/] {name:<{_NAME_WIDTH}} {escape(detail):<{_DETAIL_WIDTH}} [dim]{seconds}[/]",
            soft_wrap=True,
        )
