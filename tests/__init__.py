"""The specification of Throughline, as sentences that are checked."""

from __future__ import annotations
