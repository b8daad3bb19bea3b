"""jac.toml -> cluster: build the desired state, compare, write the difference, keep it so."""
