"""A simulated exchange: Binance USD-M futures over HTTP and WebSocket, with faults on demand.

`serve(Options(...))` runs it; `python -m simulator --help` names the options.
"""

from __future__ import annotations

from simulator.app import serve
from simulator.errors import OptionsError
from simulator.options import Options

__all__ = ["Options", "OptionsError", "serve"]
