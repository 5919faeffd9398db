"""Which symbols share a connection. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence

Group = frozenset[str]


def groups(current: Sequence[Group], wanted: Collection[str], size: int) -> list[Group]:
    """The wanted symbols in groups of at most `size`, with as few of the current groups changed as may be."""
    kept = [group & frozenset(wanted) for group in current]
    new = sorted(frozenset(wanted).difference(*kept))
    filled = [_filled(group, new, size) for group in kept]
    while new:
        filled.append(_filled(frozenset(), new, size))
    return [group for group in filled if group]


def _filled(group: Group, new: list[str], size: int) -> Group:
    """The group with as many of the new ones as have room in it; those are taken from `new`."""
    room = max(0, size - len(group))
    taken, new[:] = new[:room], new[room:]
    return group | frozenset(taken)
