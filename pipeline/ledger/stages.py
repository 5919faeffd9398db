"""Finished stages, and how often a stage's message was delivered."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import bindparam, select

from pipeline.domain.decisions import Stage, StageRecord
from pipeline.domain.ids import DecisionId
from pipeline.ledger.repository import Repository, insert, insert_once, reader
from pipeline.ledger.tables import deliveries
from pipeline.ledger.tables import stages as table

_CHAIN = list(Stage)

_values = reader(StageRecord)

_INSERT = insert_once(table)
_OF = select(table).where(table.c.decision_id == bindparam("id"))
_GET = _OF.where(table.c.stage == bindparam("of_stage"))
_DELIVERED = select(deliveries).where(
    deliveries.c.decision_id == bindparam("id"), deliveries.c.stage == bindparam("of_stage")
)
_FIRST_REPEAT = insert(deliveries)
_COUNT = _FIRST_REPEAT.on_conflict_do_update(
    index_elements=["decision_id", "stage"],
    set_={"count": deliveries.c.count + 1, "last_at": _FIRST_REPEAT.excluded.last_at},
).returning(deliveries.c.count)


class SqlStages(Repository):
    """Fulfils `ports.Stages`."""

    __slots__ = ()

    def add(self, record: StageRecord) -> bool:
        return self._changed(_INSERT, _values(record))

    def get(self, decision_id: DecisionId, stage: Stage) -> StageRecord | None:
        row = self._first(_GET, {"id": decision_id, "of_stage": stage})
        return None if row is None else StageRecord(**row)

    def of(self, decision_id: DecisionId) -> Sequence[StageRecord]:
        records = [StageRecord(**row) for row in self._all(_OF, {"id": decision_id})]
        return sorted(records, key=lambda record: _CHAIN.index(record.stage))

    def count_delivery(self, decision_id: DecisionId, stage: Stage, at: datetime) -> int:
        second = {"decision_id": decision_id, "stage": stage, "count": 2, "last_at": at}
        return int(self._all(_COUNT, second)[0]["count"])

    def deliveries(self, decision_id: DecisionId, stage: Stage) -> int:
        row = self._first(_DELIVERED, {"id": decision_id, "of_stage": stage})
        return 1 if row is None else row["count"]

    def last_delivery_at(self, decision_id: DecisionId, stage: Stage) -> datetime | None:
        row = self._first(_DELIVERED, {"id": decision_id, "of_stage": stage})
        return None if row is None else row["last_at"]
