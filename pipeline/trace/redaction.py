"""Secrets never reach a log: known by the name of their field, and by their value wherever it stands."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from urllib.parse import parse_qsl, quote, unquote, urlsplit

import orjson

HIDDEN = "***"

SHORTEST = 6
"""Values shorter than this are not searched for: they would black out half of every line."""

DEEPEST = 12

_SECRET_NAME = re.compile(
    r"(api_?key|secret|passw(or)?d|permit_key|private_key|token|authorization|cookie|signature|^dsn$)",
    re.IGNORECASE,
)

_SIGNATURE = re.compile(rb"signature=[0-9A-Za-z%+/=_-]+")
"""In the address of a signed request, wherever a library quotes it."""

_names: dict[str, bool] = {}
_holders: dict[type, bool] = {}


def is_secret_name(name: str) -> bool:
    """Whether a field of this name is never shown."""
    known = _names.get(name)
    if known is None:
        known = _names[name] = _SECRET_NAME.search(name) is not None
    return known


def holds_more(value: object) -> bool:
    """Whether there may be fields inside. Known by its type: to ask whether something is a mapping is slow."""
    known = _holders.get(type(value))
    if known is None:
        known = _holders[type(value)] = isinstance(value, (Mapping, list, tuple))
    return known


def hide(value: object, levels: int = DEEPEST) -> object:
    """The value with every field that has a secret's name hidden, down to a depth that no record has."""
    if not holds_more(value):
        return value
    if levels == 0:
        return "…"
    if isinstance(value, Mapping):
        return {
            name: HIDDEN if inner and is_secret_name(str(name)) else hide(inner, levels - 1)
            for name, inner in value.items()
        }
    return [hide(inner, levels - 1) for inner in value] if isinstance(value, (list, tuple)) else value


class SecretValues:
    """The values that are secret in this process, in each form in which a line of JSON could hold them."""

    def __init__(self) -> None:
        self._forms: tuple[bytes, ...] = ()

    def register(self, values: Iterable[str]) -> None:
        """From now on these are replaced in every line."""
        forms = {form for value in values if len(value) >= SHORTEST for form in _forms(value)}
        self._forms = tuple(sorted({*self._forms, *forms}, key=len, reverse=True))

    def clean(self, line: bytes) -> bytes:
        """The line without them."""
        for form in self._forms:
            if form in line:
                line = line.replace(form, HIDDEN.encode())
        return _SIGNATURE.sub(b"signature=***", line) if b"signature=" in line else line

    def clean_text(self, text: str) -> str:
        """The text without them."""
        return self.clean(text.encode("utf-8", "surrogatepass")).decode("utf-8", "surrogatepass")


def _forms(value: str) -> set[bytes]:
    escaped = json.dumps(value)[1:-1].encode()  # as Sentry's envelopes hold it
    return {value.encode(), orjson.dumps(value)[1:-1], escaped, quote(value, safe="").encode()}


def passwords_in(url: str) -> set[str]:
    """The passwords in an address, as they are written there and as they are meant (`p%40ss` is `p@ss`)."""
    try:
        parts = urlsplit(url)
        asked = [value for name, value in parse_qsl(parts.query) if is_secret_name(name)]
    except ValueError:
        return set()
    written = [parts.password or "", *asked]
    return {form for each in written if each for form in (each, unquote(each))}


SECRETS = SecretValues()
"""Those of this process."""
