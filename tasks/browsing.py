"""Flower shows every queue, also those whose workers answer no remote control.

It asks the workers which queues they have, and those that send orders answer nobody: without this their queues would
vanish from its page as soon as one of the others has answered.
"""

from __future__ import annotations

import sys

from tasks.policies import QUEUES


def _every_queue(handler: object) -> list[str]:
    return sorted(QUEUES)


views = sys.modules.get("flower.views")
if views is not None:  # in Flower's own process, and nowhere else
    views.BaseHandler.get_active_queue_names = _every_queue
