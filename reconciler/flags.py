"""The arguments of `jac scale`. Imported by every `jac` command, so it stays light."""

from jac_converge.config.flags import Flag

__all__ = ["SCALE_FLAGS"]

SCALE_FLAGS: tuple[Flag, ...] = (
    Flag(
        name="file",
        help="the app's .jac file; with --watch: or a folder of apps",
        positional=True,
        metavar="FILE",
    ),
    Flag(name="plan", type=bool, help="show what would change, and change nothing (exit code 3)"),
    Flag(name="watch", type=bool, help="stay, and keep the cluster as jac.toml says"),
    Flag(name="status", type=bool, help="show every object and its health"),
    Flag(name="logs", type=bool, help="print what all pods of the app wrote, in order of time"),
    Flag(name="follow", type=bool, short="f", help="with --logs: go on, also with pods that come"),
    Flag(name="open", type=bool, help="the app on a port of this machine, until Ctrl-C"),
    Flag(name="shell", type=bool, help="a shell in a pod of the app"),
    Flag(name="history", type=bool, help="list the releases of the app, and how each one went"),
    Flag(name="rollback", type=bool, help="restore the release before, or that of --release"),
    Flag(name="release", type=int, help="with --rollback: number of the release", metavar="N"),
    Flag(
        name="pause",
        type=bool,
        help="write nothing to the app until --resume; loops go on watching",
    ),
    Flag(name="for", help="with --pause: end it by itself, such as 10m or 2h", metavar="TIME"),
    Flag(name="resume", type=bool, help="end a pause"),
    Flag(name="destroy", type=bool, help="delete the app from the cluster; data stays"),
    Flag(
        name="data", type=bool, help="with --destroy: delete data too: volumes, secrets, namespace"
    ),
    Flag(name="yes", type=bool, help="with --destroy: do not ask"),
    Flag(name="adopt", type=bool, help="take over objects of the same name that are not ours"),
    Flag(name="init", type=bool, help="print the [converge] table for this app, to start from"),
    Flag(name="export", help="write the desired objects for kubectl (- for stdout)", metavar="OUT"),
    Flag(name="with-secrets", type=bool, help="with --export: write the secrets too"),
    Flag(name="json", type=bool, help="print JSON"),
    Flag(name="context", help="context of the kubeconfig", metavar="NAME"),
    Flag(name="namespace", help="namespace on the cluster", metavar="NAME"),
    Flag(name="image", help="image that runs the app", metavar="REF"),
    Flag(name="profile", help="also read jac.PROFILE.toml", metavar="PROFILE"),
    Flag(name="timeout", type=int, default=300, help="seconds to wait until healthy", metavar="S"),
)
