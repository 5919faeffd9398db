"""What this configuration is allowed to do with money that is not paper, in words, before anything starts."""

from __future__ import annotations

from collections.abc import Iterator

from config.settings import Settings
from pipeline.domain.decisions import Mode
from pipeline.domain.permits import normal

STAKES = {
    Mode.LIVE: "LIVE: orders go to the real exchange and trade real money",
    Mode.TESTNET: "TESTNET: orders go to the exchange's demo environment; the money is not real",
}
SHOWN = 12


def allowance(settings: Settings) -> str:
    """A line for each thing that it may do; empty in mode paper, where nothing is at stake."""
    if settings.mode not in STAKES:
        return ""
    rows = [f"  {name:<11} {told}" for name, told in _rows(settings)]
    return "\n".join([STAKES[settings.mode], *rows])


def _rows(settings: Settings) -> Iterator[tuple[str, str]]:
    governor, execution = settings.governor, settings.execution
    yield "account", f"{settings.account} on {settings.exchange.id}"
    yield "symbols", _symbols(settings)
    yield "strategies", ", ".join(settings.strategies.enabled)
    yield (
        "orders",
        (
            f"{execution.order}, at most {normal(execution.slippage_bps)} bps worse than the decision price, "
            f"{execution.max_attempts} attempts within {governor.permit_ttl_s:g} s"
        ),
    )
    yield (
        "risk",
        (
            f"{normal(settings.sizing.risk_per_trade * 100)} % of the equity at each stop, "
            f"intents of at most {normal(settings.sizing.max_notional_usdt)} USDT"
        ),
    )
    yield "one order", f"at most {normal(governor.max_order_notional_usdt)} USDT"
    yield "one symbol", f"at most {normal(governor.max_position_notional_usdt)} USDT"
    yield (
        "altogether",
        (
            f"at most {governor.max_positions} positions, {normal(governor.max_exposure_usdt)} USDT, "
            f"{normal(governor.max_leverage)} times the equity"
        ),
    )
    yield (
        "in a day",
        (
            f"at most {governor.max_orders_per_day} orders; nothing is opened after a loss of "
            f"{normal(governor.max_daily_loss_pct)} % of the day's "
            f"or {normal(governor.max_drawdown_pct)} % of the highest equity"
        ),
    )
    yield (
        "starts",
        f"{governor.state_at_start} where the account is new; `throughline trading active --reason ...` arms it",
    )
    yield "stop it", "`throughline kill on --reason ...`, from any terminal"


def _symbols(settings: Settings) -> str:
    wanted = settings.universe
    if wanted.top_by_volume:
        floor = normal(wanted.min_volume_usdt)
        return f"the {wanted.top_by_volume} with the largest volume, above {floor} USDT in 24 h"
    named = ", ".join(wanted.symbols[:SHOWN])
    more = len(wanted.symbols) - SHOWN
    return f"{len(wanted.symbols)}: {named}{f' and {more} more' if more > 0 else ''}"
