"""`python -m simulator`: the simulated exchange from the command line."""

from __future__ import annotations

import argparse
import sys
from decimal import Decimal, InvalidOperation
from pathlib import Path

from simulator.app import serve
from simulator.errors import OptionsError
from simulator.options import Options


def parser() -> argparse.ArgumentParser:
    default = Options()
    made = argparse.ArgumentParser(prog="simulator", description="A simulated Binance USD-M exchange.")
    made.add_argument("--host", default=default.host, help="address to listen on")
    made.add_argument("--port", type=int, default=default.port, help="0 picks a free one and says which")
    made.add_argument("--seed", type=int, default=default.seed, help="of prices and faults")
    made.add_argument("--symbols", help="a number (default 20), or a list: BTCUSDT,ETH/USDT")
    made.add_argument("--inactive", default=default.inactive, help="symbols to list with status SETTLING")
    made.add_argument("--data", type=Path, help="folder of recorded candles, <SYMBOL>_<interval>.csv")
    made.add_argument("--speed", type=float, default=default.speed, help="simulated seconds a second")
    made.add_argument("--start", help="simulated time at the start, ISO 8601 (default: now)")
    made.add_argument(
        "--journal", type=Path, help="also write the journal to this file, one JSON object a line"
    )
    made.add_argument(
        "--state", type=Path, help="keep accounts in this file, and go on from it when it is there"
    )
    made.add_argument("--balance", type=usdt, default=default.balance, help="USDT of the default account")
    made.add_argument(
        "--weight-limit", type=int, default=default.weight_limit, help="request weight a minute"
    )
    made.add_argument(
        "--order-limit-10s", type=int, default=default.order_limit_10s, help="orders in ten seconds"
    )
    made.add_argument("--order-limit-1m", type=int, default=default.order_limit_1m, help="orders in a minute")
    return made


def usdt(text: str) -> Decimal:
    """An amount for argparse, which turns ValueError into a clear sentence."""
    try:
        amount = Decimal(text)
    except InvalidOperation:
        raise ValueError(text) from None
    if not amount.is_finite() or amount < 0:
        raise ValueError(text)
    return amount


def main() -> int:
    """0 after a graceful end, 2 when it could not start."""
    arguments = vars(parser().parse_args())
    try:
        serve(Options(**arguments))
    except OptionsError as error:
        sys.stderr.write(f"simulator: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
