"""Flag tables become arguments."""

from argparse import ArgumentParser

from jac_converge.config.flags import Flag, add_flags

FLAGS = (
    Flag(name="file", help="the app", positional=True),
    Flag(name="port", help="the port", type=int, metavar="N"),
    Flag(name="dry-run", help="only say it", type=bool),
)


def test_flags_become_arguments() -> None:
    """Positional, typed and switched; what is not given is None, a switch is off."""
    parser = ArgumentParser()
    add_flags(parser, FLAGS)
    assert {"file": "a.jac", "port": None, "dry_run": False} == vars(parser.parse_args(["a.jac"]))
    given = vars(parser.parse_args(["a.jac", "--port", "9", "--dry-run"]))
    assert {"file": "a.jac", "port": 9, "dry_run": True} == given
    assert ["file", "port", "dry_run"] == [flag.parameter for flag in FLAGS]
