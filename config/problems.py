"""What is wrong with a configuration: all of it at once, each thing with its place and its remedy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from pipeline.domain.errors import ConfigError

LONGEST_FOUND = 80


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding. `where` names file and line, or the variable; `expected` what would be right."""

    where: str
    what: str
    expected: str = ""

    def __str__(self) -> str:
        return f"{self.where}: {self.what}" + (f"; expected {self.expected}" if self.expected else "")


@dataclass(slots=True)
class Problems:
    """A list that is filled while reading, and raised as one error at the end."""

    found: list[Problem] = field(default_factory=list)

    def add(self, where: str, what: str, expected: str = "") -> None:
        self.found.append(Problem(where, what, expected))

    def __iter__(self) -> Iterator[Problem]:
        return iter(self.found)

    def raise_if_any(self) -> None:
        """Raises: ConfigError listing every problem."""
        if not self.found:
            return
        if len(self.found) == 1:
            raise ConfigError(str(self.found[0]))
        lines = "\n".join(f"  - {problem}" for problem in self.found)
        raise ConfigError(f"the configuration has {len(self.found)} problems:\n{lines}")


def shown(value: object, *, secret: bool = False) -> str:
    """A value as it stands in a message: short, and never a secret."""
    if secret:
        return "(a secret, not shown)"
    text = repr(value)
    return text if len(text) <= LONGEST_FOUND else f"{text[:LONGEST_FOUND]}…"
