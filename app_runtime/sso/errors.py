"""What may go wrong in a login at a provider, each with the code that clients see.

    SsoError
    |- ProviderDown   nobody knows yet who it is: try again
    `- Refused        nobody is logged in, and the same will not help

No text here has a secret, a token or a code of the provider in it. It changes when a new kind of
failure gets a code.
"""

__all__ = ["ProviderDown", "Refused", "SsoError", "mixed_up"]


class SsoError(Exception):
    """A login at a provider that came to nothing."""

    status = 400
    code = "SSO_FAILED"


class ProviderDown(SsoError):
    """The provider does not answer, or not as it should."""

    status = 503
    code = "SSO_UNAVAILABLE"


class Refused(SsoError):
    """A login that is not valid, or not allowed."""

    def __init__(self, text: str, *, code: str, status: int = 400) -> None:
        """Describe it.

        Args:
            text: for people.
            code: for programs.
            status: of HTTP.
        """
        super().__init__(text)
        self.code = code
        self.status = status


def mixed_up() -> Refused:
    """Make the refusal of a browser that another provider sent back than it was sent to."""
    text = "another provider sent the browser back; log in again"
    return Refused(text, code="SSO_MIXED_UP")
