"""Where `throughline` begins."""

from __future__ import annotations

import subprocess
import sys

LOADED = (
    "import sys\n"
    "from console import entry\n"
    "sys.argv = ['throughline', 'health', '--help']\n"
    "try:\n"
    "    entry.main()\n"
    "finally:\n"
    "    print(*(name for name in ('ccxt', 'celery', 'numpy', 'sqlalchemy') if name in sys.modules), file=sys.stderr)\n"
)


def test_a_health_check_loads_none_of_the_large_libraries() -> None:
    """A host asks eight containers twice a minute: with them it was a third of a core."""
    told = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True, check=True)
    assert "Does this host's ROLE do its work?" in told.stdout
    assert told.stderr.split() == []
