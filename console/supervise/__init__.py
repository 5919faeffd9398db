"""Keeping the processes of one host alive: Supervisor, in order, with readiness, and nothing left behind."""
