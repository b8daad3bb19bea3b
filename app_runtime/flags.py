"""The arguments of `jac serve`. Imported by every `jac` command, so it stays light."""

from jac_converge.config.flags import Flag

__all__ = ["SERVE_FLAGS"]

SERVE_FLAGS: tuple[Flag, ...] = (
    Flag(name="file", help="the app's .jac file", positional=True, metavar="FILE"),
    Flag(name="host", help="address to listen on (127.0.0.1)", metavar="ADDRESS"),
    Flag(name="port", type=int, help="TCP port to listen on (8000)", metavar="PORT"),
    Flag(name="workers", type=int, help="worker processes behind the port (1)", metavar="N"),
    Flag(name="reload", type=bool, help="restart when a .jac file or jac.toml is saved"),
    Flag(name="profile", help="also read jac.PROFILE.toml", metavar="PROFILE"),
    Flag(name="check", type=bool, help="load the app, say what it serves, and end"),
    Flag(name="export", help="write all data to a file (- for stdout) and end", metavar="OUT"),
    Flag(name="import", help="read all data from a file (- for stdin) and end", metavar="IN"),
    Flag(name="collect", type=bool, help="count what no root leads to any more, and end"),
    Flag(name="create-admin", help="make an admin (asks for the password) and end", metavar="NAME"),
    Flag(name="yes", type=bool, help="with --collect: remove it"),
)
