"""Request parameters: text from outside, turned into values or refused in Binance's words."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import TypeVar
from urllib.parse import unquote_plus

from simulator.errors import BAD_PARAMETER, MISSING_PARAMETER, ApiError, Refusal

Choice = TypeVar("Choice", bound=StrEnum)
MAX_NUMBER_LENGTH = 40
MAX_INT = 2**63


class Params:
    """The parameters of one request, query and body together; the last of a repeated name counts."""

    __slots__ = ("_values",)

    def __init__(self, values: dict[str, str]) -> None:
        self._values = values

    @classmethod
    def parse(cls, *encoded: str) -> Params:
        """From URL-encoded texts (query string, form body)."""
        values: dict[str, str] = {}
        for text in encoded:
            for part in filter(None, text.split("&")):
                name, _, value = part.partition("=")
                values[decoded(name)] = decoded(value)
        return cls(values)

    def shown(self) -> dict[str, str]:
        """What may be written down: everything but the signature."""
        return {name: value for name, value in self._values.items() if name != "signature"}

    def get(self, name: str) -> str | None:
        """The value, or None when it is missing or empty."""
        return self._values.get(name) or None

    def need(self, name: str) -> str:
        """Raises: ApiError -1102 when missing or empty."""
        value = self.get(name)
        if value is None:
            raise ApiError(MISSING_PARAMETER, name)
        return value

    def whole(self, name: str) -> int | None:
        """Raises: ApiError -1130 when it is not a whole number."""
        value = self.get(name)
        if value is None:
            return None
        try:
            number = int(value) if len(value) <= MAX_NUMBER_LENGTH else MAX_INT
        except ValueError:
            raise ApiError(BAD_PARAMETER, name) from None
        if not -MAX_INT < number < MAX_INT:
            raise ApiError(BAD_PARAMETER, name)
        return number

    def whole_within(self, name: str, default: int, low: int, high: int) -> int:
        """Raises: ApiError -1130 outside [low, high]."""
        number = self.whole(name)
        if number is None:
            return default
        if not low <= number <= high:
            raise ApiError(BAD_PARAMETER, name)
        return number

    def decimal(self, name: str) -> Decimal | None:
        """Raises: ApiError -1130 when it is not a finite number in plain digits."""
        value = self.get(name)
        if value is None:
            return None
        try:
            number = Decimal(value) if len(value) <= MAX_NUMBER_LENGTH else Decimal("NaN")
        except InvalidOperation:
            raise ApiError(BAD_PARAMETER, name) from None
        if not number.is_finite() or abs(number.adjusted()) > MAX_NUMBER_LENGTH // 2:
            raise ApiError(BAD_PARAMETER, name)
        return number

    def flag(self, name: str) -> bool:
        """Raises: ApiError -1130 unless true or false."""
        value = (self.get(name) or "false").lower()
        if value not in {"true", "false"}:
            raise ApiError(BAD_PARAMETER, name)
        return value == "true"

    def choice(self, name: str, kind: type[Choice], refusal: Refusal) -> Choice:
        """Raises: ApiError -1102 when missing, `refusal` when not one of the values."""
        try:
            return kind(self.need(name).upper())
        except ValueError:
            raise ApiError(refusal) from None


def decoded(text: str) -> str:
    """As of `parse_qsl`, which takes several times as long: hardly any parameter has something to decode."""
    return unquote_plus(text) if "%" in text or "+" in text else text
