"""What every section of the settings is made of."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator

LARGEST = 1e9
"""Of seconds it is thirty years. What is larger is no setting: reckoning with it would fail later, and elsewhere."""
LOOPBACK = ("localhost", "127.", "::1", "[::1]")


def is_loopback(host: str) -> bool:
    """Whether what listens or answers there is reached from this host only."""
    return host.startswith(LOOPBACK)


Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
PositiveDecimal = Annotated[Decimal, Field(gt=0, allow_inf_nan=False)]
Fraction = Annotated[Decimal, Field(gt=0, le=1)]
Port = Annotated[int, Field(ge=0, le=65535)]


class Section(BaseModel):
    """Frozen, and refusing what it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)

    @field_validator("*")
    @classmethod
    def _is_within_reason(cls, value: object) -> object:
        if isinstance(value, float) and abs(value) > LARGEST:
            raise ValueError(f"a number up to {LARGEST:g}")
        return value
