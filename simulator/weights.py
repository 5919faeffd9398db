"""How much a request counts against the limit."""

from __future__ import annotations

from collections.abc import Callable

from simulator.params import Params

Weight = Callable[[Params], int]
CANDLES = ((99, 1), (499, 2), (1000, 5))
DEPTH = ((50, 2), (100, 5), (500, 10))


def flat(weight: int) -> Weight:
    """The same for every request."""
    return lambda _params: weight


def by_symbol(one: int, every: int) -> Weight:
    """Dearer without a symbol."""
    return lambda params: one if params.get("symbol") else every


def by_limit(steps: tuple[tuple[int, int], ...], most: int) -> Weight:
    """Dearer with a larger `limit`; unreadable ones are refused later, by the endpoint."""

    def weight(params: Params) -> int:
        text = params.get("limit") or "500"
        asked = int(text) if text.isdecimal() and len(text) < 9 else 500
        return next((cost for count, cost in steps if asked <= count), most)

    return weight
