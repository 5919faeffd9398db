"""Strategies: pure functions from closed bars to signals. They read no clock, no network, no file."""
