"""The auditor: compares what the exchange's journal says with what the ledger says.

It reads both by itself and imports nothing of the pipeline, so that a bug there cannot hide here.
"""

from __future__ import annotations

from tests.fault.audit.evidence import Evidence, read_evidence
from tests.fault.audit.rules import RULES, Violation, violations

__all__ = ["RULES", "Evidence", "Violation", "read_evidence", "violations"]
