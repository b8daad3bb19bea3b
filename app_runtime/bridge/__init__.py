"""The only importer of jaclang: load an app, look at it, run its walkers and functions.

Everything else speaks of `Program`, specs and outcomes; another line of the runtime is one more
module here.
"""

from jac_converge.app_runtime.bridge.built import use_built

__all__: list[str] = []

# Before any module here imports jaclang.
use_built()
