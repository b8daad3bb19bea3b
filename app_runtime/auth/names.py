"""Names: what somebody is known by, and which of them are the same.

An account has one user name and one e-mail address at most, and any number of subjects of SSO
providers. The key of a name is the id of the document that claims it. It changes with what counts
as the same name.
"""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = [
    "EMAIL",
    "SSO",
    "USERNAME",
    "Name",
    "Refused",
    "email",
    "from_stored",
    "is_address",
    "sso",
    "typed",
    "username",
]

USERNAME, EMAIL, SSO = "username", "email", "sso"
MAX_NAME = 254  # characters: the longest e-mail address
MAX_SENT = 1024
"""Characters of a name with what surrounds it. To normalise takes the square of the accents that
follow each other, and all other threads wait: a few megabytes of them would stop the process."""
MAX_SUBJECT = 255  # characters (OpenID Connect Core 1.0, section 2)

# Only ASCII, and only lower case after folding: "straße.example" and "strasse.example" are two
# domains, so nothing cleverer may make one name of what may be two mailboxes.
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_ADDRESS = re.compile(rf"[a-z0-9.!#$%&'*+/=?^_`{{|}}~-]{{1,64}}@{_LABEL}(?:\.{_LABEL})*", re.ASCII)
_LIKE_AN_ADDRESS = re.compile(r"\S@\S")
# What Unicode calls printable and nobody sees: fillers, selectors of variants, a blank of Braille.
_UNSEEN = re.compile(
    r"[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\uffa0\ufe00-\ufe0f\U000e0100-\U000e01ef]"
)
_PROVIDER = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}", re.ASCII)


class Refused(Exception):
    """An account request that cannot be granted; the text is for the caller."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Name:
    """One name of somebody."""

    type: str
    """`USERNAME`, `EMAIL` or `SSO`."""
    value: str
    """As it was given; of a subject of an SSO provider, `PROVIDER:SUBJECT`."""
    verified: bool = False
    """An e-mail address whose owner was asked, or a subject whose provider vouched for it."""

    @property
    def key(self) -> str:
        """The id of the document that claims it: names that look or fold alike are one."""
        if self.type == USERNAME:
            # Folded, some characters come apart that `NFKC` puts together, and some the other way.
            return f"name:{unicodedata.normalize('NFKC', self.value.casefold())}"
        if self.type == EMAIL:
            return f"email:{self.value.lower()}"
        return f"sso:{self.value}"

    @property
    def stored(self) -> dict[str, Any]:
        """As JSON."""
        return {"type": self.type, "value": self.value, "verified": self.verified}

    @property
    def told(self) -> dict[str, Any]:
        """What its owner is told."""
        if self.type != SSO:
            return self.stored
        provider, _, subject = self.value.partition(":")
        return self.stored | {"provider": provider, "value": subject}


def is_address(value: str) -> bool:
    """Say whether a user name is an e-mail address."""
    return value.isascii() and _ADDRESS.fullmatch(value.strip().lower()) is not None


def username(value: str) -> Name:
    """Make a user name; one that is an e-mail address is that, so that the two cannot differ.

    Raises:
        Refused: it is not fit.
    """
    if len(value) > MAX_SENT:
        raise Refused(f"a name has 1 to {MAX_NAME} characters that are seen")
    if is_address(value):
        return email(value)
    plain = unicodedata.normalize("NFKC", value).strip()
    folded = plain.casefold()
    if not folded or len(folded) > MAX_NAME or not folded.isprintable() or _UNSEEN.search(plain):
        raise Refused(f"a name has 1 to {MAX_NAME} characters that are seen")
    if _LIKE_AN_ADDRESS.search(plain):
        # It would be shown like the address of somebody else, or like one that it is not.
        raise Refused("a name like an e-mail address has to be one, in ASCII")
    return Name(type=USERNAME, value=plain)


def email(value: str, *, verified: bool = False) -> Name:
    """Make an e-mail address.

    Raises:
        Refused: it is none, or not in ASCII (write its domain in Punycode).
    """
    plain = value.strip()
    fits = len(plain) <= MAX_NAME and plain.isascii() and _ADDRESS.fullmatch(plain.lower())
    # "=?" begins an encoded word of a mail's header, which may stand for other addresses.
    if not fits or "=?" in plain or ".." in plain or plain.startswith(".") or ".@" in plain:
        raise Refused("this is no e-mail address in ASCII")
    return Name(type=EMAIL, value=plain, verified=verified)


def sso(provider: str, subject: str) -> Name:
    """Make the name of somebody for whom an SSO provider vouched.

    Args:
        provider: as in jac.toml.
        subject: `sub` of its ID token, which never changes hands; upper and lower case differ.

    Raises:
        Refused: one of them is not fit.
    """
    printable = subject.isprintable() and subject == subject.strip()
    if not _PROVIDER.fullmatch(provider) or not 0 < len(subject) <= MAX_SUBJECT or not printable:
        raise Refused("this is no subject of an SSO provider")
    return Name(type=SSO, value=f"{provider}:{subject}", verified=True)


def typed(type_: str, value: str) -> Name:
    """Make a name of what a client sent; nobody claims a subject of an SSO provider like this.

    Raises:
        Refused: it is not fit.
    """
    return email(value) if type_ == EMAIL else username(value)


def from_stored(body: Mapping[str, Any]) -> tuple[Name, ...]:
    """Return the names of an account, from the body of its document."""
    if "names" not in body:  # of before there were several
        return (Name(type=USERNAME, value=body["name"]),)
    return tuple(Name(**stored) for stored in body["names"])
