"""What came back over the wire, before anybody has judged it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import orjson


@dataclass(frozen=True, slots=True)
class Reply:
    """A complete HTTP answer. `data` is its JSON, None when the body is none (empty, or a page of HTML).

    Names of headers are in lower case.
    """

    status: int
    body: str
    data: object = None
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, status: int, content: bytes, headers: Mapping[str, str]) -> Reply:
        """The answer with this body."""
        return cls(status, content.decode(errors="replace"), _json(content), headers)

    @property
    def code(self) -> str:
        """The exchange's own error code, empty when the body names none."""
        return self._text("code")

    @property
    def message(self) -> str:
        return self._text("msg")

    @property
    def retry_after_s(self) -> float | None:
        """Seconds to wait, as the `Retry-After` header told them."""
        return retry_after_s(self.headers)

    def _text(self, key: str) -> str:
        value = self.data.get(key) if isinstance(self.data, dict) else None
        return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""

    def described(self) -> str:
        """One line for people: `HTTP 400 code -2019: Margin is insufficient.`"""
        if self.code:
            return f"HTTP {self.status} code {self.code}: {self.message}"
        start = " ".join(self.body.split())[:120]
        return f"HTTP {self.status} with {f'the body {start!r}' if start else 'an empty body'}"


@dataclass(frozen=True, slots=True)
class Lost:
    """No complete answer came. `sent` is False only when it is proven that no byte left this machine.

    `retry_after_s`: the rate budget held the request back for so long.
    """

    why: str
    sent: bool = True
    retry_after_s: float | None = None


Return = Reply | Lost


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """The seconds that `Retry-After` names; None when it names none that make sense."""
    try:
        seconds = float(headers.get("retry-after", ""))
    except ValueError:
        return None
    return seconds if 0 <= seconds < 1e7 else None


def _json(content: bytes) -> object:
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError:
        return None
