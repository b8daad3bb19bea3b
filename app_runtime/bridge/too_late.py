"""The end of a call that nobody waits for. It changes with how such a call is stopped."""

__all__ = ["TooLate"]


class TooLate(BaseException):
    """Nobody waits for this request any more, so it ends, and nothing of it is stored.

    An app that catches every `Exception` and goes on would never end.
    """
