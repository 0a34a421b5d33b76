"""Rows with keys replaced, added or removed."""

from collections.abc import Mapping
from typing import Any, Final


class Omit:
    """Type of ``OMIT``."""

    def __repr__(self) -> str:
        return "OMIT"


OMIT: Final = Omit()
"""As an override, removes the key from a listing row."""


def overridden(row: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """The row with overrides applied."""
    return {key: value for key, value in {**row, **overrides}.items() if value is not OMIT}
