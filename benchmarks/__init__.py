"""Every claim about speed, as a command: `make bench-...` prints its figures."""
