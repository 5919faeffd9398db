"""`python -m console` is `throughline`."""

from __future__ import annotations

from console.entry import main

main()
