"""How a rule puts its answer: short text with units, `age 2185 s` against `60 s`."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

from pipeline.domain.checks import CheckCode, CheckVerdict

NOT_CONFIGURED = "not configured"
_MICROSECOND = timedelta(microseconds=1)
_LONGEST = 120
_SHORT = 12  # so long a text has no digit to round away


def verdict(code: CheckCode, ok: object, value: str, limit: str, detail: str = "") -> CheckVerdict:
    """Only True itself is a yes: what merely looks true (a text, an object) denies."""
    return CheckVerdict(code, ok is True, value, limit, detail)


def deny(code: CheckCode, value: str, limit: str, detail: str = "") -> CheckVerdict:
    return CheckVerdict(code, False, value, limit, detail)  # noqa: FBT003 - the function's name says it


def at_most(code: CheckCode, value: Decimal, limit: Decimal | None, unit: str) -> CheckVerdict:
    """`value` may reach `limit`. A value that is not a number is not at most anything."""
    if limit is None:
        return deny(code, amount(value, unit), NOT_CONFIGURED)
    return verdict(code, value <= limit, amount(value, unit), amount(limit, unit))


def amount(value: Decimal, unit: str) -> str:
    return f"{number(value)} {unit}"


def number(value: object) -> str:
    """Up to 12 significant digits, without trailing zeros: `2000`, `0.0000125`, `1E+30`, `NaN`."""
    if not isinstance(value, Decimal):
        return seen(value)
    text = str(value)
    if len(text) <= _SHORT and text.replace(".", "").isdecimal():
        return _plain(text) if "." in text else text
    if not value.is_finite() or not -9 < value.adjusted() < 18:
        return f"{value:.6g}"
    return _plain(f"{value:.{max(2, min(20, 11 - value.adjusted()))}f}")


def _plain(text: str) -> str:
    return text.rstrip("0").rstrip(".") or "0"


def seen(value: object) -> str:
    """Anything at all as short text, even what cannot be printed; a text that is too long is cut."""
    try:
        text = value if isinstance(value, str) else repr(value)
    except Exception:  # noqa: BLE001 - an object's own repr may raise anything
        text = f"<{type(value).__name__}>"
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def seconds_between(earlier: datetime, later: datetime) -> Decimal:
    """Exact to the microsecond. Raises: TypeError when one of them has no time zone."""
    return Decimal((later - earlier) // _MICROSECOND) / 1_000_000
