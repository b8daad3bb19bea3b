"""HTTP -> walker -> memory: the server behind `jac serve`."""

__all__: list[str] = []
