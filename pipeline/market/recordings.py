"""Recorded candles from a folder of `<SYMBOL>_<timeframe>.csv` files, as histories to check strategies on.

Columns `timestamp,open,high,low,close,volume,…`; timestamp is the bar's open, in UTC where it names no zone.
The last row of a file is taken as a bar that was still forming when it was written, and left out.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from pipeline.domain.errors import ConfigError
from pipeline.strategies.candles import Candles
from pipeline.strategies.history import History

FILE_NAME = re.compile(r"^([A-Z0-9]+)_([1-9]\d*[mhd])\.csv$")


def histories(folder: Path, multiples: Sequence[int] = (1, 2, 4)) -> list[History]:
    """Every recording of the folder, with longer timeframes made of it. Raises: ConfigError if there is
    none.
    """
    found = [(file, match) for file in sorted(folder.glob("*.csv")) if (match := FILE_NAME.match(file.name))]
    if not found:
        raise ConfigError(
            "no recorded candles there;", where=str(folder), remedy="it needs files such as BTCUSDT_15m.csv"
        )
    return [History.of(file.name, match[2], read(file), multiples) for file, match in found]


def read(file: Path) -> Candles:
    """One file's closed bars, oldest first. Raises: ConfigError, naming the line."""
    with file.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.reader(lines))[1:-1]
    table = [_numbers(row, file, number) for number, row in enumerate(rows, start=2)]
    return Candles.from_rows(np.array(table, np.float64).reshape(len(table), 6))


def _numbers(row: Sequence[str], file: Path, number: int) -> tuple[float, ...]:
    try:
        opened, high, low, close, volume = (float(text) for text in row[1:6])
        return (_epoch_ms(row[0]), opened, high, low, close, volume)
    except (ValueError, IndexError) as problem:
        where = f"{file}, line {number}"
        raise ConfigError(f"not a bar: {','.join(row)!r};", where=where, remedy=str(problem)) from problem


def _epoch_ms(text: str) -> float:
    at = datetime.fromisoformat(text)
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000
