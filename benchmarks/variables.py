"""Names that the processes of a benchmark agree on."""

from __future__ import annotations

ENDS_FILE = "BENCHMARK_ENDS"
"""The file to which each empty chain appends one line when it ends."""
