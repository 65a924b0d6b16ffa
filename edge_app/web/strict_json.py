"""JSON as the standard has it: numbers that are none become null."""

from __future__ import annotations

import math
from typing import Any

from flask.json.provider import DefaultJSONProvider


class StrictJson(DefaultJSONProvider):
    """Python writes NaN and Infinity, which most clients can't read."""

    sort_keys = False

    def dumps(self, obj: Any, **kwargs: Any) -> str:
        """A document as text; the search for what is no number is made only if there is one."""
        try:
            return super().dumps(obj, allow_nan=False, **kwargs)
        except ValueError:
            return super().dumps(finite(obj), allow_nan=False, **kwargs)


def finite(value: Any) -> Any:
    """The same document with null for NaN and infinities."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: finite(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [finite(entry) for entry in value]
    return value
