"""The budget's counts in Redis, as Lua: each script is one atomic step, on Redis' own clock.

Counts are kept by second. What lies within the last 60 whole seconds and the one running counts: wherever the
exchange's own minute begins, no minute of it holds more.

================ ===== ===============================================================================
key              type  holds
================ ===== ===============================================================================
``weight``       hash  second → weight used in it, of our address
``orders``       hash  second → orders sent in it, of one account
``stop``         hash  ``until``: before it nothing may leave (ms since the epoch); ``why``: in words
``orders_stop``  hash  the same for the orders of one account
``ban``          hash  the same while we are banned, so that somebody is called once
================ ===== ===============================================================================
"""

from __future__ import annotations

_COUNTING = """
local time = redis.call('TIME')
local second = tonumber(time[1])
local now_ms = second * 1000 + math.floor(tonumber(time[2]) / 1000)

local function counted(key, seconds)
  local used, kept, flat = 0, {}, redis.call('HGETALL', key)
  for i = 1, #flat, 2 do
    local at, amount = tonumber(flat[i]), tonumber(flat[i + 1])
    if at >= second - seconds then
      used = used + amount
      kept[#kept + 1] = {at, amount}
    elseif at < second - 60 then
      redis.call('HDEL', key, flat[i])
    end
  end
  return used, kept
end
"""

TAKE = (
    _COUNTING
    + """
-- KEYS weight, orders, stop, orders_stop.
-- ARGV weight, orders, most weight, most orders in 10 s, in 60 s (-1: any), count it (1) or only look (0).
-- Answers: wait in ms (0: it may leave), what holds it, why, used weight, orders in 10 s, in 60 s.
local function wait_for(seconds, kept, excess)
  table.sort(kept, function(a, b) return a[1] < b[1] end)
  for _, each in ipairs(kept) do
    excess = excess - each[2]
    if excess <= 0 then return (each[1] + seconds + 1) * 1000 - now_ms end
  end
  return 1000
end

local weight, orders = tonumber(ARGV[1]), tonumber(ARGV[2])
for i = 3, orders > 0 and 4 or 3 do
  local stop = redis.call('HMGET', KEYS[i], 'until', 'why')
  local until_ms = tonumber(stop[1] or 0)
  if until_ms > now_ms then return {until_ms - now_ms, 'stop', stop[2] or '', 0, 0, 0} end
end

-- Also for what weighs nothing: an answer tells the weight as well, and is compared with this.
local used, kept = counted(KEYS[1], 60)
if weight > 0 then
  local most = tonumber(ARGV[3])
  if most >= 0 and used > 0 and used + weight > most then
    return {wait_for(60, kept, used + weight - most), 'weight', '', used, 0, 0}
  end
end
local sent = {0, 0}
if orders > 0 then
  for i, seconds in ipairs({10, 60}) do
    local most = tonumber(ARGV[3 + i])
    sent[i], kept = counted(KEYS[2], seconds)
    if most >= 0 and sent[i] + orders > most then
      local wait = wait_for(seconds, kept, sent[i] + orders - most)
      return {wait, 'orders in ' .. seconds .. ' s', '', used, sent[1], sent[2]}
    end
  end
end
if ARGV[6] == '1' then
  for i, amount in ipairs({weight, orders}) do
    if amount > 0 then
      redis.call('HINCRBY', KEYS[i], second, amount)
      redis.call('EXPIRE', KEYS[i], 120)
    end
  end
end
return {0, '', '', used + weight, sent[1] + orders, sent[2] + orders}
"""
)

CORRECT = (
    _COUNTING
    + """
-- KEYS weight, orders. ARGV what the exchange counted (-1: not told): weight in its minute, orders in its 10 s, in its
-- minute. What it counted beyond us was asked by somebody else from our address, or weighs more than we thought.
local function raise(key, seconds, told, at)
  local missing = told - (counted(key, seconds))
  if missing > 0 then
    redis.call('HINCRBY', key, at, missing)
    redis.call('EXPIRE', key, 120)
  end
end
raise(KEYS[1], 60, tonumber(ARGV[1]), second)
raise(KEYS[2], 10, tonumber(ARGV[2]), second)
raise(KEYS[2], 60, tonumber(ARGV[3]), second - 11)
"""
)

STOP = """
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
"""
