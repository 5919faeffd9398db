"""Measurements that people can repeat."""

from __future__ import annotations
