"""What `make` runs before and beside Throughline itself. Only the standard library."""

from __future__ import annotations
