"""Serve a Jac app over HTTP, and keep it converged on Kubernetes."""
