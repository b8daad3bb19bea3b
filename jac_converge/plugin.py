"""`jac serve` and `jac scale`: what jaclang's plugin group `jac` loads.

Every `jac` command imports this, so it imports nothing of weight at the top, not even jaclang: a
plugin that is imported before jaclang and asks for its `hookimpl` would find it half built.
"""

from typing import Any

__all__ = ["Commands"]

SOURCE = "jac-converge"
BOTH = (
    "note: jac-scale is installed too, and `jac scale` is {owner}'s here; choose with "
    "JAC_DISABLED_PLUGINS='jac-scale:*' or 'jac-converge:*', "
    "or call `jac-converge scale`, which is always jac-converge's"
)


class Commands:
    """The hook that puts our two commands beside jaclang's own."""

    @staticmethod
    def create_cmd() -> None:
        """Register the commands; nothing heavy is imported before one of them runs."""
        from jac_converge.app_runtime.flags import SERVE_FLAGS  # noqa: PLC0415
        from jac_converge.reconciler.flags import SCALE_FLAGS  # noqa: PLC0415

        _register("serve", "serve a Jac app over HTTP", SERVE_FLAGS, _serve)
        _register("scale", "keep a Jac app converged on Kubernetes", SCALE_FLAGS, _scale)

    create_cmd.__func__._jac_hookimpl = True  # type: ignore[attr-defined]  # noqa: SLF001


def _register(name: str, summary: str, flags: Any, handler: Any) -> None:
    """Add one command to `jac`; where another plugin has the name already, it keeps it."""
    from jaclang.cli.command import Arg, ArgKind, CommandPriority  # noqa: PLC0415
    from jaclang.cli.registry import get_registry  # noqa: PLC0415

    args = []
    for flag in flags:
        kind = ArgKind.OPTION
        if flag.positional:
            kind = ArgKind.POSITIONAL
        elif flag.type is bool:
            kind = ArgKind.FLAG
        arg = Arg.create(
            flag.name,
            kind=kind,
            typ=flag.type,
            default=flag.default,
            help=flag.help,
            # Empty unless given: a letter that two options share breaks every `jac` command.
            short=flag.short,
            metavar=None if flag.type is bool or flag.positional else flag.metavar,
        )
        if not flag.positional:
            arg.dest = flag.parameter
        if flag.name == "profile":
            arg.dest = "overlay"  # jaclang takes `profile` out of the arguments of any command
        args.append(arg)
    registry = get_registry()
    registry.command(
        name=name,
        help=summary,
        args=args,
        group="deploy",
        priority=CommandPriority.PLUGIN,
        source=SOURCE,
    )(handler)
    owner = registry.get(name).source
    if owner != SOURCE:
        registry.extend_command(name, pre_hook=lambda _: _tell(owner), source=SOURCE)


def _serve(**given: object) -> int:
    """Serve a Jac app over HTTP."""
    from jac_converge.app_runtime.cli import serve  # noqa: PLC0415
    from jac_converge.app_runtime.flags import SERVE_FLAGS  # noqa: PLC0415

    return serve(**_values(given, SERVE_FLAGS))


def _scale(**given: object) -> int:
    """Keep a Jac app converged on Kubernetes."""
    from importlib.util import find_spec  # noqa: PLC0415

    from jac_converge.app_runtime.syntax import syntax_problems  # noqa: PLC0415
    from jac_converge.reconciler.cli import scale  # noqa: PLC0415
    from jac_converge.reconciler.flags import SCALE_FLAGS  # noqa: PLC0415

    if find_spec("jac_scale") is not None:
        _tell(SOURCE)
    return scale(**_values(given, SCALE_FLAGS), parse=syntax_problems)


def _values(given: dict[str, object], flags: Any) -> Any:
    named = {**given, "profile": given.get("overlay")}
    return {flag.parameter: named.get(flag.parameter) for flag in flags}


def _tell(owner: str) -> None:
    import sys  # noqa: PLC0415

    sys.stderr.write(BOTH.format(owner=owner) + "\n")
