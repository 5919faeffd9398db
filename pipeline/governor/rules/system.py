"""Rules about ourselves: whether ledger and exchange agree, all hosts run one configuration, and the clock
is right.
"""

from __future__ import annotations

from decimal import Decimal

from pipeline.domain.checks import CheckCode, CheckVerdict
from pipeline.domain.guards import Reconciliation
from pipeline.domain.intents import Intent
from pipeline.governor.rules.answers import NOT_CONFIGURED, amount, at_most, deny, seconds_between, verdict
from pipeline.governor.rules.market import fresh
from pipeline.governor.view import Limits, WorldView, is_finite


def not_reconciled(_: Intent, view: WorldView, limits: Limits) -> CheckVerdict:
    """Denies when ledger and exchange disagree about a position or the wallet, or were not compared within
    `reconciled_max_age_s`.
    """
    limit = limits.reconciled_max_age_s
    wanted = f"no difference, compared within {NOT_CONFIGURED if limit is None else amount(limit, 's')}"
    compared = view.safeguards.reconciliation if view.safeguards is not None else None
    if not isinstance(compared, Reconciliation):
        return deny(CheckCode.NOT_RECONCILED, "never compared", wanted)
    age = seconds_between(compared.compared_at, view.now)
    differences = "; ".join(compared.differences) or "no difference"
    ok = limit is not None and fresh(age, limit) and not compared.differences
    return verdict(CheckCode.NOT_RECONCILED, ok, f"{differences}, compared {amount(age, 's')} ago", wanted)


def config_drift(_: Intent, view: WorldView, __: Limits) -> CheckVerdict:
    """Denies when the decision, this process and every other one did not all have the same configuration."""
    hashes = view.safeguards.config_hashes if view.safeguards is not None else None
    if not isinstance(hashes, frozenset) or not hashes:
        return deny(CheckCode.CONFIG_DRIFT, "configurations unknown", "one configuration")
    return verdict(
        CheckCode.CONFIG_DRIFT, len(hashes) == 1, " and ".join(sorted(map(str, hashes))), "one configuration"
    )


def clock_skew(_: Intent, view: WorldView, limits: Limits) -> CheckVerdict:
    """Denies when our clock and the exchange's differ by more than `max_clock_skew_s`, or that is unknown."""
    offset, limit = view.clock_offset_s, limits.max_clock_skew_s
    if not isinstance(offset, Decimal) or not is_finite(offset):
        wanted = NOT_CONFIGURED if limit is None else amount(limit, "s")
        return deny(CheckCode.CLOCK_SKEW, "offset unknown", wanted)
    return at_most(CheckCode.CLOCK_SKEW, abs(offset), limit, "s")
