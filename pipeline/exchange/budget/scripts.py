"""The budget's counts in Redis, as Lua: each script is one atomic step, on Redis' own clock.

Counts are kept by second. What lies within the last 60 whole seconds and the one running counts: wherever the
exchange's own minute begins, no minute of it holds more. The sums stand beside them and hold for the second that they
were added up in: at a close a thousand questions come within one.

================ ===== ===============================================================================
key              type  holds
================ ===== ===============================================================================
``weight``       hash  second → weight used in it, of our address
``orders``       hash  second → orders sent in it, of one account
``*:sums``       hash  of each of both, ``in10`` and ``in60``: what its last seconds add up to at the second ``at``
``stop``         hash  ``until``: before it nothing may leave (ms since the epoch); ``why``: in words
``orders_stop``  hash  the same for the orders of one account
``ban``          hash  the same while we are banned, so that somebody is called once
================ ===== ===============================================================================
"""

from __future__ import annotations

from pipeline.exchange.budget.line import Script

_COUNTING = """
local time = redis.call('TIME')
local second = tonumber(time[1])
local now_ms = second * 1000 + math.floor(tonumber(time[2]) / 1000)

-- What was used in each of the last 60 seconds and the one running: {second, amount}. Older ones are forgotten.
local function recent(key)
  local kept, flat = {}, redis.call('HGETALL', key)
  for i = 1, #flat, 2 do
    local at = tonumber(flat[i])
    if at >= second - 60 then
      kept[#kept + 1] = {at, tonumber(flat[i + 1])}
    else
      redis.call('HDEL', key, flat[i])
    end
  end
  return kept
end

local function sum(seconds, kept)
  local found = 0
  for _, each in ipairs(kept) do
    if each[1] >= second - seconds then found = found + each[2] end
  end
  return found
end

-- What was used in the last 10 seconds, and in the last 60: added up anew when a second begins, or somebody of another
-- release has counted.
local function used_in(key)
  local now = redis.call('HGET', key, time[1]) or '0'
  local told = redis.call('HMGET', key .. ':sums', 'at', 'now', 'in10', 'in60')
  if told[1] == time[1] and told[2] == now then return tonumber(told[3]), tonumber(told[4]) end
  local kept = recent(key)
  local in10, in60 = sum(10, kept), sum(60, kept)
  redis.call('HSET', key .. ':sums', 'at', second, 'now', now, 'in10', in10, 'in60', in60)
  redis.call('EXPIRE', key .. ':sums', 120)
  return in10, in60
end

-- At this second, or longer ago than 10. A key outlives the last second that was written to it.
local function add(key, at, amount)
  local in10, in60 = used_in(key)
  local there = redis.call('HINCRBY', key, at, amount)
  if there == amount then redis.call('EXPIRE', key, 120) end
  redis.call('HSET', key .. ':sums', 'in60', in60 + amount)
  if at == second then redis.call('HSET', key .. ':sums', 'now', there, 'in10', in10 + amount) end
end
"""

TAKE = Script.of(
    _COUNTING
    + """
-- KEYS weight, orders, stop, orders_stop.
-- ARGV weight, orders, most weight, most orders in 10 s, in 60 s (-1: any), count it (1) or only look (0).
-- Answers: wait in ms (0: it may leave), what holds it (a stop by its key's name), why, used weight, orders in 10 s,
-- in 60 s.
local function wait_for(seconds, kept, excess)
  table.sort(kept, function(a, b) return a[1] < b[1] end)
  for _, each in ipairs(kept) do
    if each[1] >= second - seconds then
      excess = excess - each[2]
      if excess <= 0 then return (each[1] + seconds + 1) * 1000 - now_ms end
    end
  end
  return 1000
end

local weight, orders = tonumber(ARGV[1]), tonumber(ARGV[2])
for i = 3, orders > 0 and 4 or 3 do
  local stop = redis.call('HMGET', KEYS[i], 'until', 'why')
  local until_ms = tonumber(stop[1] or 0)
  if until_ms > now_ms then return {until_ms - now_ms, i == 3 and 'stop' or 'orders_stop', stop[2] or '', 0, 0, 0} end
end

-- Also for what weighs nothing: an answer tells the weight as well, and is compared with this.
local _, used = used_in(KEYS[1])
if weight > 0 then
  local most = tonumber(ARGV[3])
  if most >= 0 and used > 0 and used + weight > most then
    return {wait_for(60, recent(KEYS[1]), used + weight - most), 'weight', '', used, 0, 0}
  end
end
local sent = {0, 0}
if orders > 0 then
  sent = {used_in(KEYS[2])}
  for i, seconds in ipairs({10, 60}) do
    local most = tonumber(ARGV[3 + i])
    if most >= 0 and sent[i] + orders > most then
      local wait = wait_for(seconds, recent(KEYS[2]), sent[i] + orders - most)
      return {wait, 'orders in ' .. seconds .. ' s', '', used, sent[1], sent[2]}
    end
  end
end
if ARGV[6] == '1' then
  if weight > 0 then add(KEYS[1], second, weight) end
  if orders > 0 then add(KEYS[2], second, orders) end
end
return {0, '', '', used + weight, sent[1] + orders, sent[2] + orders}
"""
)

CORRECT = Script.of(
    _COUNTING
    + """
-- KEYS weight, orders. ARGV what the exchange counted (-1: not told): weight in its minute, orders in its 10 s, in its
-- minute. What it counted beyond us was asked by somebody else from our address, or weighs more than we thought.
local function raise(key, seconds, told, at)
  local in10, in60 = used_in(key)
  local missing = told - (seconds == 10 and in10 or in60)
  if missing > 0 then add(key, at, missing) end
end
raise(KEYS[1], 60, tonumber(ARGV[1]), second)
raise(KEYS[2], 10, tonumber(ARGV[2]), second)
raise(KEYS[2], 60, tonumber(ARGV[3]), second - 11)
"""
)

STOP = Script.of("""
-- KEYS stop, orders_stop or ban. ARGV wait in ms, why.
-- Answers 1 when it was not stopped before. A stop is never shortened.
local time = redis.call('TIME')
local now_ms = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local before = tonumber(redis.call('HGET', KEYS[1], 'until') or 0)
local until_ms = now_ms + tonumber(ARGV[1])
if until_ms > before then
  redis.call('HSET', KEYS[1], 'until', until_ms, 'why', ARGV[2])
  redis.call('PEXPIREAT', KEYS[1], until_ms)
end
return before <= now_ms and 1 or 0
""")
