"""`jac-converge serve` and `jac-converge scale`: the same commands without the `jac` CLI.

Later lines of jaclang load no plugins, and `scale` runs where no jaclang is installed at all.
"""

import os
import sys
from argparse import ArgumentParser
from importlib.metadata import version

from jac_converge.app_runtime.flags import SERVE_FLAGS
from jac_converge.config.flags import add_flags
from jac_converge.reconciler.flags import SCALE_FLAGS

__all__ = ["main"]


def main(argv: list[str] | None = None) -> int:
    """Run one command; returns its exit code.

    Args:
        argv: arguments without the program's name; the process's own when not given.
    """
    parser = ArgumentParser(prog="jac-converge", description="Serve and scale Jac apps.")
    parser.add_argument("--version", action="version", version=version("jac-converge"))
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    serving = commands.add_parser("serve", help="serve a Jac app over HTTP")
    scaling = commands.add_parser("scale", help="keep a Jac app converged on Kubernetes")
    add_flags(serving, SERVE_FLAGS)
    add_flags(scaling, SCALE_FLAGS)
    parsed, unknown = parser.parse_known_args(argv)
    given = vars(parsed)
    if unknown:  # parse_args would show the usage of jac-converge, which has none of these flags
        wrong = serving if given["command"] == "serve" else scaling
        wrong.error(f"unrecognized arguments: {' '.join(unknown)}")
    if given.pop("command") == "serve":
        from jac_converge.app_runtime.cli import serve  # noqa: PLC0415 - each loads its own half

        return serve(**given)
    # It would read the metadata of every installed package, and here no plugin has a part to play.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    from jac_converge.app_runtime.syntax import syntax_problems  # noqa: PLC0415
    from jac_converge.reconciler.cli import scale  # noqa: PLC0415

    return scale(**given, parse=syntax_problems)


if __name__ == "__main__":
    sys.exit(main())
