"""A Chromium without a screen, driven by Playwright; it sees this machine and nothing else."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from playwright.sync_api import Page, expect, sync_playwright

from tests.servers import build_web

__all__ = ["Browser"]

FLAGS = [
    "--no-sandbox",  # root has none
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost, EXCLUDE *.test",
    # Names of sites that are not each other's, all of them on this machine.
    "--host-rules=MAP *.test 127.0.0.1",
]
PATIENCE = 20_000  # ms


class Browser:
    """A browser as a context manager; each page has cookies of its own."""

    def __init__(self) -> None:
        """Describe it.

        Raises:
            ServerMissing: there is no Chromium on this machine.
        """
        self._program = build_web.chromium()
        self._playwright = sync_playwright()

    def __enter__(self) -> Self:
        """Start it."""
        expect.set_options(timeout=PATIENCE)
        self._browser = self._playwright.__enter__().chromium.launch(
            executable_path=self._program, args=FLAGS
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End it."""
        self._browser.close()
        self._playwright.__exit__(kind, error, trace)

    @contextmanager
    def page(self) -> Iterator[Page]:
        """Open a page of somebody who was never here."""
        context = self._browser.new_context()
        context.set_default_timeout(PATIENCE)
        try:
            yield context.new_page()
        finally:
            context.close()
