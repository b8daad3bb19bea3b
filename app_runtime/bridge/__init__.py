"""The only importer of jaclang: load an app, look at it, run its walkers and functions.

Everything else speaks of `Program`, specs and outcomes; another line of the runtime is one more
module here.
"""

__all__: list[str] = []
