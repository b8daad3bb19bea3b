"""The application with a description that is JSON whatever the app's defaults are.

It changes with what FastAPI cannot describe.
"""

import json
from typing import Any

from fastapi import FastAPI

__all__ = ["Described"]


class Described(FastAPI):
    """FastAPI, but one default that is infinite does not fail the description of the whole app."""

    def openapi(self) -> dict[str, Any]:
        """Return the description, made when it is first asked for."""
        if not self.openapi_schema:
            self.openapi_schema = _mended(super().openapi())
        return self.openapi_schema


def _mended(part: Any) -> Any:
    if isinstance(part, list):
        return [_mended(item) for item in part]
    if not isinstance(part, dict):
        return part
    return {key: _mended(item) for key, item in part.items() if key != "default" or _is_json(item)}


def _is_json(value: Any) -> bool:
    try:
        json.dumps(value, allow_nan=False)
    except ValueError:
        return False
    return True
