"""`jac serve`: the composition root. Flags in, exit code out.

Exit codes: 0 stopped as asked, 1 failed, 2 usage or configuration. What is heavy is imported after
everything that can be wrong without it has been checked.
"""

import errno
import os
import socket
import sys
from importlib.util import find_spec
from pathlib import Path

from jac_converge.config.load import App, load_app
from jac_converge.config.logs import configure_logging, wants_json
from jac_converge.config.problems import ConfigError

__all__ = ["serve"]

STOPPED, FAILED, USAGE = 0, 1, 2
ADVICE = {
    errno.EADDRINUSE: "stop what uses it, or choose another with --port",
    errno.EADDRNOTAVAIL: "choose an address of this machine with --host",
    errno.EACCES: "choose a port above 1023 with --port",
}
OTHER_ADVICE = "check --host and --port"
ONE_JOB = (
    "give one of --check, --export, --import, --collect and --create-admin; "
    "--yes goes with --collect"
)
NO_WINDOWS = (
    "jac serve needs Linux or macOS; on Windows, run it in WSL (jac scale runs on Windows itself)"
)
NO_JACLANG = "jaclang is not installed here; pip install 'jaclang>=0.16.7,<0.17'"


def serve(
    *,
    file: str,
    host: str | None,
    port: int | None,
    workers: int | None,
    reload: bool,
    profile: str | None,
    check: bool = False,
    export: str | None = None,
    import_: str | None = None,
    collect: bool = False,
    create_admin: str | None = None,
    yes: bool = False,
) -> int:
    """Run `jac serve FILE` until told to stop, or one job on its data; returns the exit code."""
    configure_logging(json_lines=wants_json(os.environ))
    if sys.platform == "win32":
        return _complain(NO_WINDOWS, USAGE)
    jobs = (check, export, import_, collect, create_admin)
    asked = [job for job in jobs if job is not None and job is not False]
    if len(asked) > 1 or (yes and not collect):
        return _complain(ONE_JOB, USAGE)
    if "" in asked:
        return _complain("--export, --import and --create-admin need a value", USAGE)
    if check:
        return _check(Path(file), profile)
    flags = {"server.host": host, "server.port": port, "server.workers": workers}
    try:
        app = load_app(
            Path(file), environ=os.environ, profile=profile, flags=flags, purpose="serve"
        )
    except ConfigError as error:
        return _complain(str(error), USAGE)
    for note in app.notes:
        sys.stderr.write(f"note: {note}\n")
    if asked:
        return _work_on_data(app, export=export, import_=import_, admin=create_admin, remove=yes)
    try:
        listener = listen(app)
    except OSError as error:
        return _complain(_port_message(app, error), FAILED)
    with listener:
        try:
            return _run(app, listener, profile=profile, reload=reload)
        except KeyboardInterrupt:  # before anything was served; afterwards Ctrl-C drains
            return STOPPED


def _run(app: App, listener: socket.socket, *, profile: str | None, reload: bool) -> int:
    if find_spec("jaclang") is None:
        return _complain(NO_JACLANG, FAILED)
    if reload or app.settings.server.workers > 1:
        from jac_converge.app_runtime.supervisor import Supervisor  # noqa: PLC0415

        return Supervisor(app, listener, profile=profile, reload=reload).run()
    from jac_converge.app_runtime.worker import work  # noqa: PLC0415

    return work(app, listener)


def _check(file: Path, profile: str | None) -> int:
    """Load the app as an image is built: where the variables of its jac.toml are not set yet."""
    try:
        app = load_app(file, environ=os.environ, profile=profile, purpose="check")
    except ConfigError as error:
        return _complain(str(error), USAGE)
    if find_spec("jaclang") is None:
        return _complain(NO_JACLANG, FAILED)
    from jac_converge.app_runtime.bridge.program import AppBroken, Program  # noqa: PLC0415
    from jac_converge.app_runtime.bridge.restspecs import BadDeclaration  # noqa: PLC0415
    from jac_converge.app_runtime.checking import check  # noqa: PLC0415
    from jac_converge.app_runtime.stores import StoreError  # noqa: PLC0415

    try:
        program = Program(app.file, profile=app.profile)
        check(app, program)
    except (AppBroken, BadDeclaration, StoreError, OSError) as error:
        return _complain(str(error), FAILED)
    walkers, functions = len(program.walkers), len(program.functions)
    sys.stdout.write(f"{app.file.name} has {walkers} walkers and {functions} functions to serve\n")
    return STOPPED


def _work_on_data(
    app: App, *, export: str | None, import_: str | None, admin: str | None, remove: bool
) -> int:
    if find_spec("jaclang") is None:
        return _complain(NO_JACLANG, FAILED)
    from jac_converge.app_runtime import jobs  # noqa: PLC0415

    try:
        if export:
            told = jobs.export_data(app, export)
        elif import_:
            told = jobs.import_data(app, import_)
        elif admin:
            told = jobs.create_admin(app, admin, _password())
        else:
            told = jobs.collect(app, remove=remove)
    except (EOFError, jobs.JobFailed) as error:
        return _complain(str(error), FAILED)
    except KeyboardInterrupt:
        return _complain("stopped half-way", FAILED)
    sys.stderr.write(f"{told}\n")
    return STOPPED


def _password() -> str:
    """Ask for a password, or read it from standard input where nobody sits in front of it.

    Raises:
        EOFError: there is none.
    """
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    from getpass import getpass  # noqa: PLC0415

    password = getpass("password: ")
    if getpass("once more: ") != password:
        raise EOFError("the two passwords differ; nothing was made")
    return password


def listen(app: App) -> socket.socket:
    """Open the port, before anything slow: what cannot be had is said at once.

    Raises:
        OSError: the port is taken, or not ours to take.
    """
    server = app.settings.server
    family = socket.AF_INET6 if ":" in server.host else socket.AF_INET
    # Named, since asyncio leaves Nagle's delay on where it is not: 40 ms for each small answer.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((server.host, server.port))
        listener.listen(2048)
    except BaseException:
        listener.close()
        raise
    return listener


def _port_message(app: App, error: OSError) -> str:
    server = app.settings.server
    return (
        f"port {server.port} on {server.host} open failed ({type(error).__name__}): "
        f"{error.strerror or error}; {ADVICE.get(error.errno or 0, OTHER_ADVICE)}"
    )


def _complain(message: str, code: int) -> int:
    for line in message.splitlines():
        sys.stderr.write(f"jac serve: {line}\n")
    return code
