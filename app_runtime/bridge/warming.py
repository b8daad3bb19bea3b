"""What takes long before an app is loaded, done while nobody waits: jaclang's compiler, imported.

It changes with what loading an app imports.
"""

from jaclang.jac0core.program import JacProgram

__all__ = ["warm_up"]

_SAMPLE = """
node Sample { has n: int = 0; }
walker:pub sample { can go with Root entry { visit [-->]; report here; } }
def:pub sampled(n: int = 0) -> int { return n + 1; }
"""


def warm_up() -> None:
    """Compile something small, in a program of its own."""
    JacProgram().compile("sample.jac", use_str=_SAMPLE)
