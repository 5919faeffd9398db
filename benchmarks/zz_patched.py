from __future__ import annotations
from kombu.transport import redis as kr
_orig = kr.Channel._create_client
def _create_client(self, asynchronous=False):
    if asynchronous:
        return _orig(self, asynchronous=True)
    pool = self.pool
    kept = getattr(self, "_kept", None)
    if kept is None or kept[0] is not pool:
        kept = self._kept = (pool, _orig(self))
    return kept[1]
kr.Channel._create_client = _create_client
from benchmarks.noop import app  # noqa
