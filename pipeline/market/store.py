"""The candle store: closed bars in Redis, one binary string for each symbol and timeframe.

It is a cache. Whatever is missing, foreign or corrupt in it is asked from the exchange again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import redis

from pipeline.domain.errors import StoreUnavailable
from pipeline.domain.timeframes import Clock, SystemClock, Timeframe
from pipeline.market.encoding import Stored, decode, encode
from pipeline.market.series import merged, milliseconds
from pipeline.strategies.candles import Candles

MERGE_ATTEMPTS = 5


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
        with _redis_errors("write candles to"):
            self._client.set(
                self.key(symbol, timeframe), self._encoded(candles, frame), ex=_lifetime(candles, frame)
            )

    def merge(self, symbol: str, timeframe: str, candles: Candles, keep: int) -> Candles:
        """Add bars to what is stored, replacing those of the same opening time, and keep the newest `keep`.

        Returns what is stored now. Safe against others merging at once: a lost race is run again on their
        result. Unusable bytes are replaced. Raises: StoreUnavailable also when the race is lost five times.
        """
        key, frame = self.key(symbol, timeframe), Timeframe.parse(timeframe)
        for _ in range(MERGE_ATTEMPTS):
            with _redis_errors("merge candles in"), self._client.pipeline() as pipe:
                try:
                    pipe.watch(key)  # type: ignore[no-untyped-call]  # redis-py leaves it untyped
                    after = merged(_stored(pipe.get(key), frame), candles).tail(keep)
                    pipe.multi()
                    pipe.set(key, self._encoded(after, frame), ex=_lifetime(after, frame))
                    pipe.execute()
                except redis.WatchError:
                    continue
                return after
        raise StoreUnavailable(
            f"{key} was changed by others {MERGE_ATTEMPTS} times while bars were added to it"
        )

    def _encoded(self, candles: Candles, frame: Timeframe) -> bytes:
        return encode(candles, frame.seconds, milliseconds(self._clock.now()))


def _stored(data: object, frame: Timeframe) -> Candles:
    return decode(data, frame.seconds).candles if isinstance(data, bytes) else Candles.none()


def _lifetime(candles: Candles, frame: Timeframe) -> int:
    """Seconds after which every stored bar is older than any that a window of this length could want."""
    return max(1, len(candles)) * frame.seconds


@contextmanager
def _redis_errors(doing: str) -> Iterator[None]:
    try:
        yield
    except redis.WatchError:
        raise
    except redis.RedisError as problem:
        raise StoreUnavailable(f"could not {doing} Redis: {problem}") from problem
