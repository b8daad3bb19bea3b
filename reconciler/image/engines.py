"""docker, podman or buildah instead of our own builder, for who needs what a Dockerfile can do.

It changes when one of them takes other words for the same.
"""

from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

from jac_converge.config.load import App, ConfigError
from jac_converge.reconciler.image.programs import found, run

__all__ = ["Engine"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """One of the three."""

    name: str
    plain_http: bool = False
    stop: Event = field(default_factory=Event)
    """Ends what it does."""

    def build(self, app: App, platform: str) -> str:
        """Build the Dockerfile beside jac.toml; returns the image's digest.

        Raises:
            ConfigError: there is no such program, or no Dockerfile.
            Invalid: the build failed.
        """
        self._check(app)
        printed = run(
            (self.name, "build", "--quiet", "--platform", platform, "."),
            f"image build by {self.name}",
            stop=self.stop,
            folder=app.root,
        )
        last = printed.rpartition("\n")[2].strip()
        return last if last.startswith("sha256:") else f"sha256:{last}"

    def tag(self, digest: str, reference: str) -> None:
        """Give an image its name."""
        plain = digest.removeprefix("sha256:")
        self._run("tag", plain, reference, subject=f"{reference} tag")

    def push(self, reference: str) -> None:
        """Send an image to its registry; the engine's own logins are used.

        Raises:
            Invalid: it failed.
        """
        # docker keeps a list of registries without TLS itself.
        insecure = ("--tls-verify=false",) if self.plain_http and self.name != "docker" else ()
        self._run("push", *insecure, reference, subject=f"{reference} push")

    def save(self, reference: str, archive: Path) -> None:
        """Write an image as one file that every local cluster's tool reads."""
        subject = f"{reference} save"
        if self.name == "buildah":
            self._run("push", reference, f"docker-archive:{archive}:{reference}", subject=subject)
        else:
            form = ("--format", "docker-archive") if self.name == "podman" else ()
            self._run("save", *form, "--output", str(archive), reference, subject=subject)

    def _run(self, *words: str, subject: str) -> None:
        run((self.name, *words), subject, stop=self.stop)

    def _check(self, app: App) -> None:
        key = "converge.kubernetes.image_build.builder"
        advice = 'or leave builder out: "builtin" needs no other program'
        message = ""
        if found(self.name) is None:
            message = f"is {self.name}, which is not on PATH; install it, {advice}"
        elif not (app.root / "Dockerfile").is_file():
            message = (
                f"is {self.name}, and there is no Dockerfile beside jac.toml; write one, {advice}"
            )
        if message:
            raise ConfigError(app.problem(key, message))
