"""One layer of configuration: what a file or the environment says, key by key, with its place."""

from __future__ import annotations

from dataclasses import dataclass, field

import yaml

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class Said:
    """A value, and where it was said: `throughline.yaml, line 12` or `variable THROUGHLINE_MODE`."""

    value: object = field(repr=False)
    where: str
    variable: str = ""


Layer = dict[str, Said]
"""By the key's name."""
