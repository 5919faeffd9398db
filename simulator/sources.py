"""Where prices come from: chosen once, from the options."""

from __future__ import annotations

from dataclasses import dataclass

from simulator import recorded
from simulator.clock import MINUTE_MS, parse_iso, wall_ms
from simulator.errors import OptionsError
from simulator.instruments import Instrument, parse_names
from simulator.instruments import choose as choose_instruments
from simulator.market import Series, SeriesSource
from simulator.options import Options
from simulator.recorded import Recording
from simulator.synthetic import BLOCK_MS, HISTORY_BLOCKS, SyntheticSeries

DEFAULT_SYMBOLS = "20"


@dataclass(frozen=True, slots=True)
class SyntheticSource:
    """Seeded prices that begin a fixed time before the start: the same shape whenever that is."""

    seed: int
    begin_ms: int

    def series(self, instrument: Instrument) -> Series:
        return SyntheticSeries(instrument, self.seed, self.begin_ms)


@dataclass(frozen=True, slots=True)
class RecordedSource:
    """The candles of a folder."""

    recording: Recording

    def series(self, instrument: Instrument) -> Series:
        return self.recording.series[instrument.symbol]


@dataclass(frozen=True, slots=True)
class Chosen:
    """What the options come to. `start_ms` is the simulated time at which the clock starts."""

    instruments: tuple[Instrument, ...]
    source: SeriesSource
    start_ms: int


def choose(options: Options) -> Chosen:
    """Raises: OptionsError naming the option that is wrong."""
    try:
        start_ms = None if options.start is None else parse_iso(options.start)
    except ValueError as error:
        raise OptionsError(f"--start: {error}") from None
    return choose_synthetic(options, start_ms) if options.data is None else choose_recorded(options, start_ms)


def choose_synthetic(options: Options, start_ms: int | None) -> Chosen:
    instruments = choose_instruments(options.symbols or DEFAULT_SYMBOLS, options.inactive)
    start_ms = wall_ms() if start_ms is None else start_ms
    begin_ms = start_ms // MINUTE_MS * MINUTE_MS - HISTORY_BLOCKS * BLOCK_MS
    if begin_ms < 0:
        raise OptionsError("--start: must be later than March 1970")
    return Chosen(instruments, SyntheticSource(options.seed, begin_ms), start_ms)


def choose_recorded(options: Options, start_ms: int | None) -> Chosen:
    """All recorded symbols, unless some are named; a number takes the first ones in order of name."""
    text = (options.symbols or "").strip()
    folder = options.data
    if folder is None:
        raise OptionsError("--data: no folder given")
    count = int(text) if text.isdigit() else None
    names = (
        tuple(sorted(recorded.find_files(folder)))[:count] if count else tuple(parse_names(text, "--symbols"))
    )
    recording = recorded.load(folder, names, tuple(parse_names(options.inactive, "--inactive")))
    start_ms = recording.default_start_ms() if start_ms is None else start_ms
    recording.check_start(start_ms)
    return Chosen(tuple(recording.instruments.values()), RecordedSource(recording), start_ms)
