"""The exchange behind the ports `MarketData` and `Venue`: the real ccxt class, one table for its answers."""
