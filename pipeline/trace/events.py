"""The emitters of events: into the log, or into a list for tests."""

from __future__ import annotations

from dataclasses import dataclass, field

from pipeline.domain.catalogue import CATALOGUE
from pipeline.domain.errors import InvariantBroken
from pipeline.domain.events import Area, EventName, Level
from pipeline.trace import context, logs, sentry


class LoggedEvents:
    """Writes each event as one line of the process's log; what `pipeline.domain.events.Events` asks for."""

    def emit(self, name: EventName, /, *, level: Level | None = None, **fields: object) -> None:
        """Say that something happened now: in the log, and to Sentry when it is a failure. Never raises.

        A field that the catalogue does not know is written all the same, and named in `undeclared`.
        """
        chosen = level or name.level
        logs.listeners().tell(name, chosen, fields)
        if unknown := CATALOGUE[name].undeclared(fields):
            fields["undeclared"] = unknown
        logs.writer().write(chosen.value, name.value, fields, wanted=name is EventName.DEBUG)
        sentry.report(name, chosen, fields)

    def wants(self, area: Area) -> bool:
        """Whether somebody is debugging this area of this process now."""
        return logs.debugging().wants(area)


@dataclass(frozen=True, slots=True)
class Emitted:
    """One event as a test sees it: its own fields, and those of the decision it happened in."""

    name: EventName
    level: Level
    fields: dict[str, object]


@dataclass(slots=True)
class RecordedEvents:
    """Keeps events in memory, for tests. It is strict: what the catalogue does not say may not be said."""

    all: list[Emitted] = field(default_factory=list)
    debugged: frozenset[Area] = frozenset()

    def emit(self, name: EventName, /, *, level: Level | None = None, **fields: object) -> None:
        """Raises: InvariantBroken when a field is undeclared, missing or of another type than declared."""
        if problems := CATALOGUE[name].problems({**context.fields(), **fields}):
            raise InvariantBroken(f"{name} breaks pipeline/domain/catalogue.py: {'; '.join(problems)}")
        self.all.append(Emitted(name, level or name.level, {**context.fields(), **fields}))

    def wants(self, area: Area) -> bool:
        return area in self.debugged

    def of(self, name: EventName) -> list[dict[str, object]]:
        """The fields of every event of that name, oldest first."""
        return [each.fields for each in self.all if each.name is name]

    @property
    def names(self) -> list[EventName]:
        """What was said, in order."""
        return [each.name for each in self.all]
