"""Typed jac.toml: what an app's `[converge]` table, its profile, environment and flags say."""
