"""What a unit is for."""

from __future__ import annotations

from enum import Enum, unique


@unique
class Kind(Enum):
    """A durable unit survives a power cut once it has ended."""

    READ = "read"
    WRITE = "write"
    DURABLE = "durable"
