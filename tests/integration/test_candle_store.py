"""The candle store over a real Redis."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis

from pipeline.domain.errors import StoreUnavailable
from pipeline.market.notes import Notes, failure_in
from pipeline.market.source import CandleSource, SourceOptions
from pipeline.market.store import CandleStore
from pipeline.market.updates import Update
from tests.support.servers import RedisServer
from tests.unit.market.candle_worlds import (
    SYMBOL,
    FakeExchange,
    as_rows,
    candles,
    newest_rows,
)


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url) as opened:
        yield opened


@pytest.fixture
def store(client: redis.Redis) -> CandleStore:
    return CandleStore(client)


def commands(client: redis.Redis) -> int:
    return int(client.info("stats")["total_commands_processed"])


def test_three_timeframes_are_read_in_one_command(client: redis.Redis, store: CandleStore) -> None:
    """A fetch stage has two milliseconds; each round trip is a tenth of one."""
    for timeframe in ("1m", "5m", "15m"):
        store.write(SYMBOL, timeframe, candles(newest_rows(20)))
    before = commands(client)
    found = store.read(SYMBOL, ("1m", "5m", "15m"))
    assert commands(client) - before == 2, "one MGET, and the INFO that counted"
    assert list(found) == ["1m", "5m", "15m"]
    assert as_rows(found["5m"]) == newest_rows(20)


def test_what_is_not_stored_is_not_in_the_answer(store: CandleStore) -> None:
    """An absent key must be told from an empty one."""
    store.write(SYMBOL, "1m", candles(newest_rows(2)))
    assert set(store.read(SYMBOL, ("1m", "4h"))) == {"1m"}


def test_merging_appends_replaces_and_trims(store: CandleStore) -> None:
    """Memory stays bounded, and a revised bar takes the place of the old one."""
    store.write(SYMBOL, "1m", candles(newest_rows(12)[:10]))
    revised = newest_rows(12)[9:]
    revised[0] = [*revised[0][:5], 999.0]
    after = store.merge(SYMBOL, "1m", candles(revised), keep=6)
    expected = [*newest_rows(12)[6:9], *revised]
    assert as_rows(after) == expected
    assert as_rows(store.read(SYMBOL, ["1m"])["1m"]) == expected


def test_many_mergers_at_once_lose_no_bar(redis_url: str) -> None:
    """Two workers may load one symbol at the same moment; the slower one must not undo the faster one."""
    table = newest_rows(24)

    def add(part: int) -> None:
        with redis.Redis.from_url(redis_url) as own:
            CandleStore(own).merge(SYMBOL, "1m", candles(table[part::4]), keep=100)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(add, range(4)))
    with redis.Redis.from_url(redis_url) as own:
        assert as_rows(CandleStore(own).read(SYMBOL, ["1m"])["1m"]) == table


def test_corrupt_bytes_are_said_and_then_replaced(client: redis.Redis, store: CandleStore) -> None:
    """A damaged value costs one request to the exchange; it never reaches a strategy, and never raises."""
    store.write(SYMBOL, "1m", candles(newest_rows(20)))
    client.setrange(store.key(SYMBOL, "1m"), 100, b"\xff\xff\xff\xff")
    assert store.read(SYMBOL, ["1m"]) == {}
    assert store.look(SYMBOL, ["1m"])["1m"].problem
    store.merge(SYMBOL, "1m", candles(newest_rows(5)), keep=20)
    assert as_rows(store.read(SYMBOL, ["1m"])["1m"]) == newest_rows(5)


def test_keys_of_symbols_that_nobody_trades_any_more_expire(client: redis.Redis, store: CandleStore) -> None:
    """A universe that changes for months must not fill the memory."""
    store.write(SYMBOL, "1m", candles(newest_rows(20)))
    assert 0 < client.ttl(store.key(SYMBOL, "1m")) <= 20 * 60


def test_a_dead_redis_is_a_transient_error(start_redis: Callable[[], RedisServer]) -> None:
    """The caller backs off or goes to the exchange: it must not have to know redis-py's errors."""
    server = start_redis()
    with redis.Redis.from_url(server.url) as own:
        store = CandleStore(own)
        server.kill()
        with pytest.raises(StoreUnavailable):
            store.read(SYMBOL, ["1m"])
        with pytest.raises(StoreUnavailable):
            store.merge(SYMBOL, "1m", candles(newest_rows(2)), keep=10)


def test_a_flushed_redis_is_filled_again_by_the_next_window(client: redis.Redis, store: CandleStore) -> None:
    """Redis is a cache: losing all of it may cost time, nothing else."""
    exchange = FakeExchange()
    source = CandleSource(store, exchange, SourceOptions(keep=80))
    source.window(SYMBOL, ["1m"], exchange.at, 60)
    client.flushall()
    assert source.window(SYMBOL, ["1m"], exchange.at, 60).ok
    exchange.asked.clear()
    again = source.window(SYMBOL, ["1m"], exchange.at, 60)
    assert again.ranges[0].source == "store"
    assert exchange.asked == []


def test_a_note_is_one_processs_at_a_time_and_void_after_a_while(client: redis.Redis) -> None:
    """A process that died while it asked must not keep its symbol from being asked for ever."""
    notes = Notes(client, "tl:asking:test", lasts_s=30)
    mine, _ = notes.take("BTC:1m")
    assert notes.take("BTC:1m") == ("", mine)
    assert 25_000 < client.pttl("tl:asking:test:BTC:1m") <= 30_000
    notes.give_back("BTC:1m", "somebody else's")
    assert notes.take("BTC:1m") == ("", mine)
    notes.give_back("BTC:1m", mine, "HTTP 500")
    assert failure_in(notes.take("BTC:1m")[1]) == "HTTP 500"
    assert 4_000 < client.pttl("tl:asking:test:BTC:1m") <= 5_000
    client.delete("tl:asking:test:BTC:1m")
    again, _ = notes.take("BTC:1m")
    notes.give_back("BTC:1m", again)
    assert notes.take("BTC:1m")[0]


def test_many_keys_are_updated_in_two_round_trips_and_each_update_says_what_it_did(
    client: redis.Redis, store: CandleStore
) -> None:
    """Two hundred symbols close a bar in the same moment."""
    for number in range(50):
        store.write(f"S{number}", "1m", candles(newest_rows(12)[:10]))
    revised = newest_rows(12)[8:]
    revised[0] = [*revised[0][:5], 999.0]
    packets = client.info("stats")["total_reads_processed"]
    done = store.update([Update(f"S{number}", "1m", candles(revised)) for number in range(50)], keep=10)
    assert client.info("stats")["total_reads_processed"] - packets < 20, "not one for each key"
    assert {(each.added, each.revised) for each in done} == {(2, 1)}
    found = store.look("S49", ["1m"])["1m"]
    assert (len(found.candles), found.revisions) == (10, 1)
    assert as_rows(found.candles)[-4:] == revised


def test_two_updates_of_one_key_are_made_one_after_the_other(store: CandleStore) -> None:
    """A burst may bring two bars of one symbol; neither may be lost."""
    table = newest_rows(9)
    done = store.update([Update(SYMBOL, "1m", candles([bar])) for bar in table], keep=100)
    assert [len(each.candles) for each in done] == list(range(1, 10))
    assert as_rows(store.read(SYMBOL, ["1m"])["1m"]) == table


def test_what_changes_nothing_writes_nothing(client: redis.Redis, store: CandleStore) -> None:
    """Socket and REST tell the same bars: the second one to come costs a read."""
    store.write(SYMBOL, "1m", candles(newest_rows(5)))
    before = client.get(store.key(SYMBOL, "1m"))
    (done,) = store.update([Update(SYMBOL, "1m", candles(newest_rows(3)))], keep=100)
    assert (done.added, done.revised) == (0, 0)
    assert client.get(store.key(SYMBOL, "1m")) == before


def test_what_the_exchange_lacks_is_kept_with_the_bars(store: CandleStore) -> None:
    """Each worker would otherwise ask for it in each pass."""
    table = newest_rows(6)
    gap = int(table[3][0])
    store.update([Update(SYMBOL, "1m", candles(table[:3] + table[4:]), (gap,))], keep=100)
    assert store.look(SYMBOL, ["1m"])["1m"].absences.times.tolist() == [gap]
    store.merge(SYMBOL, "1m", candles(table[3:4]), keep=100)
    assert not len(store.look(SYMBOL, ["1m"])["1m"].absences)
