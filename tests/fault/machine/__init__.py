"""The state machine alone: router, resolver and bookkeeper in one process, against a model of a bad exchange.

Seeded, with a clock that stands still between accidents, so that a hundred thousand decisions take minutes
and every finding can be replayed.
"""
