"""Flower is closed to who does not log in, and shows every queue, also those whose workers answer no remote control.

It asks the workers which queues they have, and those that send orders answer nobody: without this their queues would
vanish from its page as soon as one of the others has answered.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from tasks.policies import QUEUES


def _every_queue(handler: object) -> list[str]:
    return sorted(QUEUES)


def _closed(start: Callable[..., object]) -> Callable[..., object]:
    """Flower started by hand has no login and listens everywhere: whoever came by could stop workers."""

    def start_closed(flower: Any, *arguments: object) -> object:
        if not (flower.options.basic_auth or flower.options.auth):
            sys.stderr.write(
                "flower asks nobody who they are; start it with `throughline flower`, or --basic-auth\n"
            )
            raise SystemExit(2)
        return start(flower, *arguments)

    return start_closed


views = sys.modules.get("flower.views")
if views is not None:  # in Flower's own process, and nowhere else
    views.BaseHandler.get_active_queue_names = _every_queue

page = sys.modules.get("flower.app")
if page is not None:
    page.Flower.start_http_server = _closed(page.Flower.start_http_server)
