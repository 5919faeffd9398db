"""The feed: closed candles of the whole universe, from the exchange's WebSocket into the candle store."""
