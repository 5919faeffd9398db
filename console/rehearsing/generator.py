"""A generator of one's own, with a symbol list of its own: `python -m console.rehearsing.generator SYMBOL...`.

It is what the fifth incident was: a program beside the pipeline, publishing symbols that the universe does not allow.
"""

from __future__ import annotations

import sys
import time

PAUSE_S = 4.0


def main(symbols: list[str]) -> None:
    """Until it is killed."""
    from tasks import enqueue  # noqa: PLC0415  with it come Celery and the settings

    while True:
        for symbol in symbols:
            enqueue(symbol)
        time.sleep(PAUSE_S)


if __name__ == "__main__":
    main(sys.argv[1:])
