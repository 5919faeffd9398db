"""The contracts on offer: tick, step, limits and a plausible price for each."""

from __future__ import annotations

import hashlib
import math
import re
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal
from functools import cache

from simulator.errors import OptionsError

SYMBOL = re.compile(r"[A-Z0-9]{2,20}USDT")
MAX_SYMBOLS = 2000


@dataclass(frozen=True, slots=True)
class Instrument:
    """One USDT perpetual.

    Unit: prices in USDT, quantities in base units, `minute_sigma` the usual standard deviation of a
    one-minute log return, `depth_usdt` what rests at the best price.
    """

    symbol: str
    base: str
    tick: Decimal
    step: Decimal
    start_price: Decimal
    minute_sigma: float
    depth_usdt: float
    active: bool = True

    @property
    def price_digits(self) -> int:
        return digits(self.tick)

    @property
    def qty_digits(self) -> int:
        return digits(self.step)

    @property
    def min_qty(self) -> Decimal:
        return self.step

    @property
    def max_qty(self) -> Decimal:
        """About five million USDT worth, a round number of steps."""
        return round_down(Decimal(5_000_000) / self.start_price, self.step) + self.step

    @property
    def min_notional(self) -> Decimal:
        return Decimal(100) if self.symbol == "BTCUSDT" else Decimal(5)

    def price(self, ticks: int) -> Decimal:
        return ticks * self.tick

    def ticks(self, price: float) -> int:
        """Nearest whole tick, at least one."""
        return max(1, round(price / float(self.tick)))


# Symbol, price, tick, step, sigma of a one-minute return, USDT at the best price.
WELL_KNOWN: tuple[tuple[str, str, str, str, float, float], ...] = (
    ("BTCUSDT", "104000", "0.1", "0.001", 0.0006, 400_000),
    ("ETHUSDT", "3600", "0.01", "0.001", 0.0008, 250_000),
    ("SOLUSDT", "182.4", "0.01", "0.01", 0.0010, 120_000),
    ("XRPUSDT", "2.41", "0.0001", "0.1", 0.0010, 100_000),
    ("BNBUSDT", "985.5", "0.01", "0.01", 0.0008, 90_000),
    ("DOGEUSDT", "0.1835", "0.00001", "1", 0.0012, 60_000),
    ("ADAUSDT", "0.6120", "0.0001", "1", 0.0011, 45_000),
    ("AVAXUSDT", "19.85", "0.001", "0.1", 0.0012, 35_000),
    ("LINKUSDT", "16.92", "0.001", "0.01", 0.0012, 35_000),
    ("SUIUSDT", "2.315", "0.0001", "0.1", 0.0013, 40_000),
    ("LTCUSDT", "98.7", "0.01", "0.001", 0.0010, 30_000),
    ("DOTUSDT", "2.965", "0.001", "0.1", 0.0012, 25_000),
    ("TRXUSDT", "0.2952", "0.00001", "1", 0.0006, 30_000),
    ("BCHUSDT", "512.3", "0.01", "0.001", 0.0010, 25_000),
    ("NEARUSDT", "2.118", "0.001", "1", 0.0013, 20_000),
    ("APTUSDT", "3.204", "0.001", "0.1", 0.0013, 20_000),
    ("UNIUSDT", "5.871", "0.001", "1", 0.0013, 20_000),
    ("ARBUSDT", "0.3188", "0.0001", "0.1", 0.0014, 20_000),
    ("ATOMUSDT", "3.012", "0.001", "0.01", 0.0012, 15_000),
    ("FILUSDT", "1.604", "0.001", "0.1", 0.0014, 15_000),
)
_KNOWN = {row[0]: row for row in WELL_KNOWN}


def choose(text: str, inactive: str = "") -> tuple[Instrument, ...]:
    """The instruments that `--symbols` asks for: a number, or names separated by commas.

    Raises: OptionsError naming what is wrong.
    """
    names = first_names(int(text)) if text.strip().isdigit() else parse_names(text, "--symbols")
    if not names:
        raise OptionsError("--symbols: no symbol given; give a number or a list such as BTCUSDT,ETHUSDT")
    asleep = parse_names(inactive, "--inactive")
    names += [name for name in asleep if name not in names]
    return tuple(make(name, active=name not in asleep) for name in names)


def first_names(count: int) -> list[str]:
    """The first `count` symbols; past the well-known ones they are called SIM021USDT and on."""
    if not 1 <= count <= MAX_SYMBOLS:
        raise OptionsError(f"--symbols: the number must be from 1 to {MAX_SYMBOLS}, got {count}")
    known = [row[0] for row in WELL_KNOWN[:count]]
    return known + [f"SIM{number:03d}USDT" for number in range(len(known) + 1, count + 1)]


def parse_names(text: str, option: str) -> list[str]:
    """`BTCUSDT`, `BTC/USDT` and `BTC/USDT:USDT` mean the same; repeats are dropped."""
    names = dict.fromkeys(normalise(part) for part in text.split(",") if part.strip())
    wrong = [name for name in names if not SYMBOL.fullmatch(name)]
    if wrong:
        raise OptionsError(f"{option}: '{wrong[0]}' is not a USDT perpetual such as BTCUSDT or BTC/USDT:USDT")
    return list(names)


def normalise(name: str) -> str:
    return name.strip().upper().removesuffix(":USDT").replace("/", "")


def make(symbol: str, active: bool = True) -> Instrument:
    """The well-known instrument of that name, or an invented one that is the same on every run."""
    row = _KNOWN.get(symbol)
    if row is None:
        return derived(symbol, invented_price(symbol), active=active)
    name, price, tick, step, sigma, depth = row
    return Instrument(
        name, name.removesuffix("USDT"), Decimal(tick), Decimal(step), Decimal(price), sigma, depth, active
    )


def derived(symbol: str, price: float, tick: Decimal | None = None, active: bool = True) -> Instrument:
    """An instrument with filters that suit its price: a tick of about a basis point, a step worth cents."""
    exponent = math.floor(math.log10(price))
    tick = tick or Decimal(1).scaleb(exponent - 4)
    step = Decimal(1).scaleb(min(0, -exponent - 1))
    base = symbol.removesuffix("USDT")
    start = max(tick, round_down(Decimal(repr(price)), tick))
    return Instrument(symbol, base, tick, step, start, 0.0012, 20_000, active)


def invented_price(symbol: str) -> float:
    """Between 0.05 and 500 USDT, spread evenly over the magnitudes."""
    draw = stable_hash(symbol) / 2**64
    return float(10 ** (-1.3 + 4.0 * draw))


def stable_hash(*parts: object) -> int:
    """64 bits that depend on the parts alone, not on the process."""
    text = "|".join(str(part) for part in parts)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


def round_down(value: Decimal, unit: Decimal) -> Decimal:
    """The largest multiple of `unit` that is not above `value` (for positive values)."""
    return (value / unit).to_integral_value(ROUND_DOWN) * unit


@cache
def digits(unit: Decimal) -> int:
    """Decimal places of a tick or step: 0.001 has 3, 1 has 0."""
    exponent = unit.normalize().as_tuple().exponent
    return max(0, -int(exponent))
