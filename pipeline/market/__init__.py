"""Market data: the candle store, the quality checks, and the source that fills one through the other."""
