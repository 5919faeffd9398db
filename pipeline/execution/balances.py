"""The wallet on the exchange compared with the books; what explains a difference is booked, the rest is named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from pipeline.domain.decisions import Mode
from pipeline.domain.entries import Cause
from pipeline.domain.permits import normal
from pipeline.domain.ports import Ledger, Venue
from pipeline.domain.positions import Equity, Income
from pipeline.domain.reconciliation import Finding, Remedy, Subject
from pipeline.execution.accounts import compare_positions
from pipeline.execution.postings import accepted, of_income, opening, opening_id

WINDOWS = (timedelta(hours=2), timedelta(hours=24), timedelta(days=7))
"""How far back a difference is looked for: further only when the nearer statement does not explain it."""
LISTING_TAKES = timedelta(minutes=2)
"""How long a trade may be in the exchange's statement before it is in our books, or funding in the wallet before it is
in the statement."""

CAUSES: Mapping[str, Cause] = {
    "FUNDING_FEE": Cause.FUNDING,
    "TRANSFER": Cause.TRANSFER,
    "INTERNAL_TRANSFER": Cause.TRANSFER,
    "CROSS_COLLATERAL_TRANSFER": Cause.TRANSFER,
    "COIN_SWAP_DEPOSIT": Cause.TRANSFER,
    "COIN_SWAP_WITHDRAW": Cause.TRANSFER,
    "STRATEGY_UMFUTURES_TRANSFER": Cause.TRANSFER,
    "WELCOME_BONUS": Cause.TRANSFER,
    "COMMISSION_REBATE": Cause.REBATE,
    "API_REBATE": Cause.REBATE,
    "REFERRAL_KICKBACK": Cause.REBATE,
    "FEE_RETURN": Cause.REBATE,
}
"""What of the exchange's statement is booked from it. Source: Binance, USD-M futures, "Get Income History". Realised
profit and commission belong to trades, and are booked with them."""


@dataclass(frozen=True, slots=True)
class Wallets:
    """Compares the wallet of one account in its settlement asset. `tolerance` is what may stay unexplained."""

    ledger: Ledger
    venue: Venue
    account: str
    asset: str = "USDT"
    tolerance: Decimal = Decimal(0)

    def compare(self) -> Sequence[Finding]:
        """Book what the exchange's statement explains of a difference, and name the rest. While an order is under way
        the two cannot be compared: the next comparison will. The first look at an account opens its books.

        Raises: ExchangeUnavailable, ExchangeRefused, LedgerUnavailable.
        """
        broken = self._broken()
        if broken:
            return broken
        told = self._wallet_at_rest()
        if told is None or self._is_first(told) or not self._missing(told):
            return ()
        found, strays = self._explain(told)
        told = self._wallet_at_rest()
        if told is None or not self._missing(told) or self._may_still_be_told(told, strays):
            return found
        return [*found, self._unexplained(told, strays)]

    def _may_still_be_told(self, told: Equity, strays: Sequence[Income]) -> bool:
        """The statement follows the wallet: a stop has just filled, or funding was paid, on the hour."""
        young = any(told.occurred_at - each.occurred_at < LISTING_TAKES for each in strays)
        hour = told.occurred_at.replace(minute=0, second=0, microsecond=0)
        funded = told.mode is not Mode.PAPER and told.occurred_at - hour < LISTING_TAKES
        return young or funded or bool(compare_positions(self.ledger, self.venue, self.account))

    def _broken(self) -> Sequence[Finding]:
        """Books that do not come to zero are wrong, whatever the exchange says."""
        with self.ledger.read() as unit:
            balances = unit.journal.balances(self.account)
        return [
            Finding(
                Subject.BALANCE,
                each.asset,
                f"the books come to {normal(each.total)}, not to 0",
                Remedy.ESCALATED,
            )
            for each in balances
            if each.total
        ]

    def audit(self) -> Sequence[Finding]:
        """Add up every entry of the account. Raises: LedgerUnavailable."""
        with self.ledger.read() as unit:
            problems = unit.journal.problems(self.account)
        return [Finding(Subject.BALANCE, self.asset, each, Remedy.ESCALATED) for each in problems]

    def accept(self, why: str) -> Decimal:
        """Take the exchange's word for what is still different, on somebody's responsibility; how much it was.

        Raises: ExchangeUnavailable, ExchangeRefused, LedgerUnavailable.
        """
        told = self._wallet_at_rest()
        left = self._missing(told) if told is not None else Decimal(0)
        if told is not None and left:
            with self.ledger.begin(durable=True) as unit:
                unit.journal.post(accepted(told, self.asset, left, why))
        return left

    def _wallet_at_rest(self) -> Equity | None:
        """The account, asked for while nothing moved; None when something did."""
        before = self._at_rest()
        told = self.venue.equity() if before is not None else None
        return told if before is not None and before == self._at_rest() else None

    def _at_rest(self) -> Decimal | None:
        """The wallet by the books; None while an order is under way."""
        with self.ledger.read() as unit:
            unsettled = unit.orders.unsettled(self.account)
            if any(each.state.may_be_on_exchange and not each.waits for each in unsettled):
                return None
            return unit.journal.balance(self.account, self.asset).wallet

    def _missing(self, told: Equity) -> Decimal:
        """What the books would have to gain to agree."""
        with self.ledger.read() as unit:
            return told.wallet - unit.journal.balance(self.account, self.asset).wallet

    def _is_first(self, told: Equity) -> bool:
        """Whether the books were opened just now."""
        with self.ledger.read() as unit:
            if unit.journal.get(self._opening) is not None:
                return False
        with self.ledger.begin() as unit:
            books = unit.journal.balance(self.account, self.asset)
            return unit.journal.post(opening(told, self.asset, books, unit.journal.unbooked(self.account)))

    @property
    def _opening(self) -> str:
        return opening_id(self.account, self.asset)

    # --------------------------------------------------------------------------------------- what explains it

    def _explain(self, told: Equity) -> tuple[list[Finding], Sequence[Income]]:
        """Book what the statement has and the books have not; also its rows of trades that nobody has booked."""
        found: list[Finding] = []
        strays: Sequence[Income] = ()
        opened_at = self._opened_at(told)
        for window in WINDOWS:
            since = max(opened_at, told.occurred_at - window)
            rows = [each for each in self.venue.incomes(since) if self._concerns(each, opened_at)]
            found += [self._named(each) for each in rows if self._booked(each, told)]
            strays = self._strays(rows, since)
            if not self._missing(told) or since == opened_at:
                break
        return found, strays

    def _opened_at(self, told: Equity) -> datetime:
        with self.ledger.read() as unit:
            first = unit.journal.get(self._opening)
        return first.occurred_at if first is not None else told.occurred_at

    def _concerns(self, row: Income, opened_at: datetime) -> bool:
        """What was before the books is in their opening."""
        return row.asset == self.asset and row.occurred_at > opened_at

    def _booked(self, row: Income, told: Equity) -> bool:
        cause = CAUSES.get(row.kind)
        if cause is None:
            return False
        with self.ledger.begin() as unit:
            return unit.journal.post(of_income(row, cause, self.account, told.mode, told.recorded_at))

    def _named(self, row: Income) -> Finding:
        kind = row.kind.lower().replace("_", " ")
        what = f"{kind} of {normal(row.amount)} {row.asset} at {row.occurred_at:%Y-%m-%d %H:%M:%S}"
        return Finding(Subject.BALANCE, row.symbol or row.asset, what, Remedy.BOOKED)

    def _strays(self, rows: Sequence[Income], since: datetime) -> Sequence[Income]:
        """Rows of trades that are not in the books: somebody else's, or not told to us yet."""
        trades = [each for each in rows if each.trade_id and each.kind not in CAUSES]
        with self.ledger.read() as unit:
            known = {
                symbol: unit.fills.trade_ids(self.account, symbol, since - LISTING_TAKES)
                for symbol in {each.symbol for each in trades}
            }
        return [each for each in trades if each.trade_id not in known[each.symbol]]

    def _unexplained(self, told: Equity, strays: Sequence[Income]) -> Finding:
        left = self._missing(told)
        books, theirs = normal(told.wallet - left), normal(told.wallet)
        what = f"the books have {books} {self.asset}, the exchange {theirs}: {normal(left)} is not explained"
        if strays:
            symbols = ", ".join(sorted({each.symbol for each in strays}))
            total = sum((each.amount for each in strays), Decimal(0))
            what += f"; trades that are none of ours, on {symbols}, come to {normal(total)}"
        remedy = Remedy.TOLD if abs(left) <= self.tolerance else Remedy.ESCALATED
        return Finding(Subject.BALANCE, self.asset, what, remedy)
