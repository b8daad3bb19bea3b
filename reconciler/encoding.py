"""Bodies of requests as the API server reads them. Pure.

It changes with what the server takes a body for.
"""

import json
import re
from typing import Any, Final

__all__ = ["encoded"]

_NOT_IN_YAML: Final = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")
"""Controls, line ends and what is no character: YAML 1.1, "5.1 Character Set" and "5.4"."""


def encoded(body: Any) -> bytes:
    """Return JSON that is YAML too, which is what the server takes an apply for.

    YAML has no surrogates, so what is beyond 16 bits cannot be escaped as JSON does it; and it has
    characters of its own that must not stand in a text as they are.
    """
    text = json.dumps(body, separators=(",", ":"), ensure_ascii=False)
    return _NOT_IN_YAML.sub(lambda found: f"\\u{ord(found[0]):04x}", text).encode()
