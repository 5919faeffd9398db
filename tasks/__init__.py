"""The pipeline on Celery: one way in among several. `celery -A tasks worker` works as users expect."""

from __future__ import annotations

from tasks.app import app
from tasks.enqueue import enqueue

__all__ = ["app", "enqueue"]
