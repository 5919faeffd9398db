"""Permits: issued with a signature, verified before anything is sent."""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from decimal import ROUND_UP, Decimal

from pipeline.domain.checks import CheckVerdict
from pipeline.domain.errors import ConfigError, InvariantBroken
from pipeline.domain.ids import permit_id
from pipeline.domain.permits import OrderTerms, Permit, PermitState, normal
from pipeline.domain.timeframes import Clock, iso
from pipeline.governor.rules.answers import amount, seconds_between, seen
from pipeline.governor.view import Limits

MIN_KEY_BYTES = 16
_RESERVED_STEP = Decimal("0.00000001")  # what every ledger keeps exactly; times are kept in milliseconds


@dataclass(frozen=True, slots=True)
class Valid:
    """The permit is ours, unused, unexpired, and for exactly this order."""


@dataclass(frozen=True, slots=True)
class Invalid:
    """Nothing may be sent. `expired` when it is ours and only too late; otherwise it is a security event."""

    reason: str
    expired: bool = False


class PermitAuthority:
    """Holds the key: whoever has it can issue and verify permits, nobody else can."""

    __slots__ = ("_clock", "_key", "_ttl")

    def __init__(self, key: bytes, ttl_s: float, clock: Clock) -> None:
        """Raises: ConfigError when the key is missing or short, or the lifetime is not above 0."""
        if not _is_key(key):
            raise ConfigError(
                f"no permit can be signed with a key of fewer than {MIN_KEY_BYTES} bytes;",
                where="governor.permit_key",
                remedy="set THROUGHLINE_GOVERNOR_PERMIT_KEY to the same random text on every host.",
            )
        if not 0 < ttl_s < 86400:
            raise ConfigError(
                f"{ttl_s} s is no lifetime of a permit;",
                where="governor.permit_ttl_s",
                remedy="write some seconds, 10 for instance.",
            )
        self._key, self._ttl, self._clock = key, timedelta(seconds=ttl_s), clock

    def issue(
        self,
        terms: OrderTerms,
        reserved: Decimal,
        limits: Limits,
        verdicts: tuple[CheckVerdict, ...],
        now: datetime | None = None,
    ) -> Permit:
        """Only `assess` calls it. `reserved` in quote is rounded up, the times to milliseconds.

        Raises: InvariantBroken when a verdict denies, or there is none.
        """
        if not verdicts or not all(verdict.ok for verdict in verdicts):
            raise InvariantBroken(f"a permit was asked for {terms.decision_id} although a check denies")
        terms_hash, issued_at = terms.hash(), _to_milliseconds(now or self._clock.now())
        name, expires_at = permit_id(terms.decision_id, terms.leg), _to_milliseconds(issued_at + self._ttl)
        reserved = reserved.quantize(_RESERVED_STEP, rounding=ROUND_UP)
        return Permit(
            permit_id=name,
            terms=terms,
            terms_hash=terms_hash,
            reserved=reserved,
            limits=limits.as_record(),
            issued_at=issued_at,
            expires_at=expires_at,
            signature=self._sign(name, terms_hash, reserved, issued_at, expires_at),
            verdicts=verdicts,
        )

    def verify(self, permit: Permit, terms: OrderTerms, now: datetime | None = None) -> Valid | Invalid:
        """Whether `terms`, the order about to be sent, is what the permit allows. Raises nothing."""
        try:
            problem = next(self._problems(permit, terms, now or self._clock.now()), None)
        except Exception as error:  # noqa: BLE001 - a forged permit may hold anything
            return Invalid(f"the permit cannot be read ({type(error).__name__})")
        return problem or Valid()

    def _problems(self, permit: Permit, terms: OrderTerms, now: datetime) -> Iterator[Invalid]:
        """The signature first: before it holds, nothing else in the permit means anything."""
        signature = self._sign(
            permit.permit_id, permit.terms_hash, permit.reserved, permit.issued_at, permit.expires_at
        )
        if not hmac.compare_digest(signature.encode(), permit.signature.encode()):
            yield Invalid("the permit's signature is not ours: it was forged or changed")
        if not hmac.compare_digest(terms.hash().encode(), permit.terms_hash.encode()):
            yield Invalid(f"the order is not the one permitted: {_differences(permit.terms, terms)}")
        if permit.permit_id != permit_id(terms.decision_id, terms.leg):
            yield Invalid(f"the permit is named {seen(permit.permit_id)}, which is not this order's")
        if permit.state is not PermitState.ISSUED:
            yield Invalid(f"the permit is {permit.state}: it allowed one order, once")
        late = seconds_between(permit.expires_at, now)
        if late >= 0:
            yield Invalid(f"the permit expired {amount(late, 's')} ago", expired=True)

    def _sign(
        self, name: str, terms_hash: str, reserved: Decimal, issued_at: datetime, expires_at: datetime
    ) -> str:
        """HMAC-SHA256 in hex over one spelling of each part; the separator cannot occur inside a part."""
        parts = ("permit-1", name, terms_hash, normal(reserved), _stamp(issued_at), _stamp(expires_at))
        return hmac.digest(self._key, "\x1f".join(parts).encode(), "sha256").hex()


def _is_key(key: object) -> bool:
    return isinstance(key, bytes) and len(key) >= MIN_KEY_BYTES


def _differences(permitted: OrderTerms, sent: OrderTerms) -> str:
    names = [field.name for field in fields(OrderTerms)]
    pairs = ((name, getattr(permitted, name), getattr(sent, name)) for name in names)
    told = [
        f"{name} {seen(str(was))} became {seen(str(is_now))}" for name, was, is_now in pairs if was != is_now
    ]
    return ", ".join(told) or "the stored terms do not fit their hash"


def _to_milliseconds(at: datetime) -> datetime:
    """Down to the millisecond in UTC, so that a ledger gives back what was signed."""
    return at.astimezone(UTC).replace(microsecond=at.microsecond // 1000 * 1000)


def _stamp(at: datetime) -> str:
    """Raises: ValueError when the time has no zone."""
    if at.tzinfo is None:
        raise ValueError(f"{at} has no time zone")
    return iso(at) or ""
