"""What `jac scale` can be asked to do: one module for each, called by `cli.py`."""
