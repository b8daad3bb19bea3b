"""Kubernetes quantities in the one spelling the API server itself would write ("500m", "1Gi").

The server rewrites "1000m" to "1" and "1.5Gi" to "1536Mi". Settings hold what it would write, so
that a converged object compares equal, byte for byte, with what was sent. Pure, exact integers
throughout. It changes when a resource needs bounds of its own.
"""

import re
from dataclasses import dataclass
from typing import Annotated

from pydantic import BeforeValidator, WithJsonSchema

__all__ = ["CpuQuantity", "MemoryQuantity", "Quantity", "cpu_millis", "memory_bytes"]

_NANO = 10**9
_LARGEST = (2**63 - 1) * _NANO
"""What the API server caps at; nobody who writes more means it."""

_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}
_SPELLING = re.compile(
    r"(?P<whole>[0-9]{1,30})(?:\.(?P<part>[0-9]{0,30}))?"
    r"(?:(?P<suffix>[numkMGTPE]|[KMGTPE]i)|[eE](?P<exponent>[+-]?[0-9]{1,2}))?"
)

_CPU_SPELLINGS = 'cores, in steps of 1m, such as "500m" (half a core), "1" or "1.5"'
_MEMORY_SPELLINGS = 'whole bytes, at least 1Mi, such as "256Mi", "1Gi" or "1.5Gi"'


@dataclass(frozen=True, slots=True)
class Quantity:
    """An exact amount, in billionths, and whether it is written in powers of 1024.

    >>> str(Quantity.parse("1.5Gi")), str(Quantity.parse("1000m"))
    ('1536Mi', '1')
    """

    nanos: int
    binary: bool = False

    @classmethod
    def parse(cls, text: str) -> "Quantity":
        """Read any spelling that the API server accepts, unsigned.

        Raises:
            ValueError: not a quantity, finer than a billionth, or beyond 2**63 - 1.

        Source: k8s.io/apimachinery/pkg/api/resource, ParseQuantity.
        """
        match = _SPELLING.fullmatch(text)
        if match is None:
            raise ValueError("not a quantity")
        part = match["part"] or ""
        nanos, divisor = int(match["whole"] + part) * _NANO, 10 ** len(part)
        suffix = match["suffix"] or ""
        if suffix in _BINARY:
            nanos *= 1024 ** _BINARY[suffix]
        else:
            exponent = int(match["exponent"] or _DECIMAL[suffix])
            nanos *= 10 ** max(exponent, 0)
            divisor *= 10 ** max(-exponent, 0)
        if nanos % divisor:
            raise ValueError("finer than a billionth")
        nanos //= divisor
        if nanos > _LARGEST:
            raise ValueError("larger than 2**63 - 1")
        return cls(nanos, suffix in _BINARY)

    def __str__(self) -> str:
        """Write it with the largest unit that needs no fraction, as the API server does.

        Source: k8s.io/apimachinery/pkg/api/resource, Quantity.CanonicalizeBytes.
        """
        if self.binary and self.nanos >= 1024 * _NANO and self.nanos % _NANO == 0:
            number, power = _shortest(self.nanos // _NANO, base=1024, most=6)
            return f"{number}{('', *_BINARY)[power]}"
        number, power = _shortest(self.nanos, base=1000, most=9) if self.nanos else (0, 3)
        return f"{number}{tuple(_DECIMAL)[power]}"


def _shortest(number: int, *, base: int, most: int) -> tuple[int, int]:
    power = 0
    while power < most and number % base == 0:
        number, power = number // base, power + 1
    return number, power


def cpu_millis(text: str) -> int:
    """Read a CPU quantity as thousandths of a core.

    >>> cpu_millis("1.5")
    1500

    Raises:
        ValueError: not a CPU quantity; the message shows valid spellings.
    """
    return _cpu(text).nanos // (_NANO // 1000)


def memory_bytes(text: str) -> int:
    """Read a memory or storage quantity as bytes.

    >>> memory_bytes("1Mi")
    1048576

    Raises:
        ValueError: not a memory quantity; the message shows valid spellings.
    """
    return _memory(text).nanos // _NANO


def _cpu(value: object) -> Quantity:
    quantity = _parse(value, _CPU_SPELLINGS)
    if quantity.binary or quantity.nanos == 0 or quantity.nanos % (_NANO // 1000):
        raise ValueError(f"must be {_CPU_SPELLINGS}")
    return quantity


def _memory(value: object) -> Quantity:
    quantity = _parse(value, _MEMORY_SPELLINGS)
    # "512m" is half a byte to Kubernetes, and "512" is 512 bytes: neither was meant.
    if quantity.nanos < 2**20 * _NANO or quantity.nanos % _NANO:
        raise ValueError(f"must be {_MEMORY_SPELLINGS}")
    return quantity


def _parse(value: object, spellings: str) -> Quantity:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(f"must be {spellings}")  # noqa: TRY004 (what pydantic understands)
    try:
        return Quantity.parse(str(value))
    except ValueError as exc:
        raise ValueError(f"must be {spellings}") from exc


def _canonical_cpu(value: object) -> str:
    return str(_cpu(value))


def _canonical_memory(value: object) -> str:
    return str(_memory(value))


CpuQuantity = Annotated[
    str,
    BeforeValidator(_canonical_cpu),
    WithJsonSchema({"type": ["string", "number"], "examples": ["500m", 2]}),
]
"""Cores; canonical once validated."""

MemoryQuantity = Annotated[
    str,
    BeforeValidator(_canonical_memory),
    WithJsonSchema({"type": ["string", "integer"], "examples": ["256Mi", "1.5Gi"]}),
]
"""Bytes, of memory or of storage; canonical once validated."""
