"""What tests share: real servers, real processes, waiting for a condition."""

from __future__ import annotations
