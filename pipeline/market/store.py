"""The candle store: closed bars in Redis, one binary string for each symbol and timeframe.

It is a cache. Whatever is missing, foreign or corrupt in it is asked from the exchange again, so that a flushed Redis
fills itself. What it holds is bounded: the newest `keep` bars of a key, which expires when nobody would ask for them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import redis

from pipeline.domain.errors import StoreUnavailable
from pipeline.domain.timeframes import Clock, SystemClock, Timeframe
from pipeline.domain.timing import timed
from pipeline.market.encoding import HEADER, Stored, decode, encode
from pipeline.market.series import milliseconds
from pipeline.market.updates import Merged, Update, apply
from pipeline.strategies.candles import Candles

MERGE_ATTEMPTS = 5
NOTHING = Stored(Candles.none())

REPLACE = """
-- KEYS of bars. ARGV the header's last byte, then for each key the header that was read ('' when there was none), the
-- new bytes, seconds to live. Answers for each key 1 when it was replaced, 0 when somebody else has changed it since:
-- header and checksum are another's then.
local done = {}
for at, key in ipairs(KEYS) do
    local first = 3 * at - 1
    done[at] = 0
    if redis.call('GETRANGE', key, 0, ARGV[1]) == ARGV[first] then
        redis.call('SET', key, ARGV[first + 1], 'EX', ARGV[first + 2])
        done[at] = 1
    end
end
return done
"""


class CandleStore:
    """Reads and writes candles in Redis.

    `client` must not decode responses. Every method raises StoreUnavailable when Redis does not answer.
    """

    def __init__(self, client: redis.Redis, prefix: str = "tl:candles", clock: Clock | None = None) -> None:
        self._client = client
        self._prefix = prefix
        self._clock = clock or SystemClock()

    def key(self, symbol: str, timeframe: str) -> str:
        return f"{self._prefix}:{symbol}:{timeframe}"

    def look(self, symbol: str, timeframes: Sequence[str]) -> dict[str, Stored]:
        """What is stored for each timeframe, in one round trip.

        A timeframe without a key is not in the answer; one whose bytes cannot be used is there with its
        problem.
        """
        keys = [self.key(symbol, timeframe) for timeframe in timeframes]
        with _redis_errors("read candles from"):
            found = self._client.mget(keys)
        return {
            timeframe: decode(data, Timeframe.parse(timeframe).seconds)
            for timeframe, data in zip(timeframes, found, strict=True)
            if isinstance(data, bytes)
        }

    def read(self, symbol: str, timeframes: Sequence[str]) -> dict[str, Candles]:
        """The stored candles by timeframe, oldest first, in one round trip.

        Shape:  as in `Candles`; read-only views on the bytes that Redis sent, nothing is parsed or copied.
        A timeframe that is not stored, or whose bytes are corrupt or foreign (see `look`), is not in the
        answer.
        """
        stored = self.look(symbol, timeframes)
        return {timeframe: entry.candles for timeframe, entry in stored.items() if not entry.problem}

    def write(self, symbol: str, timeframe: str, candles: Candles) -> None:
        """Replace what is stored, in one step. The key expires when nobody would ask for its bars."""
        frame = Timeframe.parse(timeframe)
        data = encode(Stored(candles, self._now_ms()), frame.seconds)
        with _redis_errors("write candles to"):
            self._client.set(self.key(symbol, timeframe), data, ex=_lifetime(candles, frame))

    def merge(self, symbol: str, timeframe: str, candles: Candles, keep: int) -> Candles:
        """Add bars to what is stored, replacing those of the same opening time, and keep the newest `keep`.

        Returns what is stored now. See `update`.
        """
        return self.update([Update(symbol, timeframe, candles)], keep)[0].candles

    def update(self, updates: Sequence[Update], keep: int) -> list[Merged]:
        """Append, revise and trim many keys, each atomically, in two round trips for all of them.

        Shape:  one answer for each update, in their order; two updates of one key are applied one after the other.
        Safe against others who write at once: an update that lost the race is made again from their result. Bytes that
        cannot be used are replaced. Raises: StoreUnavailable also when a race is lost five times.
        """
        results: dict[int, Merged] = {}
        lost = 0
        while len(results) < len(updates):
            places = _one_for_each_key(updates, [at for at in range(len(updates)) if at not in results])
            made = self._attempt({at: updates[at] for at in places}, keep)
            results |= made
            lost += len(made) < len(places)
            if lost >= MERGE_ATTEMPTS:
                raise StoreUnavailable(
                    f"candles were changed by others {lost} times while bars were added to them"
                )
        return [results[at] for at in range(len(updates))]

    def _attempt(self, updates: Mapping[int, Update], keep: int) -> dict[int, Merged]:
        """Those of these updates that were made; the others lost a race."""
        keys = [self.key(each.symbol, each.timeframe) for each in updates.values()]
        with _redis_errors("merge candles in"):
            found = self._client.mget(keys)
            made = [self._made(each, data, keep) for each, data in zip(updates.values(), found, strict=True)]
            written = self._replace(
                [
                    (key, _header(data), *new)
                    for key, data, (_, new) in zip(keys, found, made, strict=True)
                    if new is not None
                ]
            )
        return {
            at: each for at, (each, new) in zip(updates, made, strict=True) if new is None or next(written)
        }

    def _replace(self, changes: Sequence[tuple[str, bytes, bytes, int]]) -> Iterator[int]:
        """For each key, header that was read, new bytes and lifetime: whether it was written."""
        if not changes:
            return iter(())
        keys = [key for key, *_ in changes]
        told = [value for _, header, data, lifetime in changes for value in (header, data, lifetime)]
        return iter(self._client.eval(REPLACE, len(keys), *keys, HEADER.size - 1, *told))

    def _made(self, update: Update, data: object, keep: int) -> tuple[Merged, tuple[bytes, int] | None]:
        """What the update makes of these bytes: its result, and what to write with its lifetime, if anything."""
        frame = Timeframe.parse(update.timeframe)
        before = decode(data, frame.seconds) if isinstance(data, bytes) else NOTHING
        after, result = apply(before, update, keep, self._now_ms())
        if after is before:
            return result, None
        return result, (encode(after, frame.seconds), _lifetime(after.candles, frame))

    def _now_ms(self) -> int:
        return milliseconds(self._clock.now())


def _header(data: object) -> bytes:
    return data[: HEADER.size] if isinstance(data, bytes) else b""


def _one_for_each_key(updates: Sequence[Update], places: Sequence[int]) -> list[int]:
    """The first of each key: the second must see what the first has made of it."""
    first: dict[tuple[str, str], int] = {}
    for place in places:
        first.setdefault((updates[place].symbol, updates[place].timeframe), place)
    return list(first.values())


def _lifetime(candles: Candles, frame: Timeframe) -> int:
    """Seconds after which every stored bar is older than any that a window of this length could want."""
    return max(1, len(candles)) * frame.seconds


@contextmanager
def _redis_errors(doing: str) -> Iterator[None]:
    try:
        with timed("candles"):
            yield
    except redis.WatchError:
        raise
    except redis.RedisError as problem:
        raise StoreUnavailable(f"could not {doing} Redis: {problem}") from problem
