"""Rehearsals: the real system against the simulated exchange, and an incident on purpose."""
