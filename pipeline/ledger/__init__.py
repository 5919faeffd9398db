"""The SQL ledger: the record of what was decided, permitted, sent and filled; SQLite or PostgreSQL."""
