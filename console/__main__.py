"""`python -m console` is `throughline`."""

from __future__ import annotations

from console.main import main

main()
