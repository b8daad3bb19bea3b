"""Logins at other providers: OpenID Connect, and OAuth 2 where there is none.

Nothing here is imported before somebody asks for such a login, but the routes.
"""

__all__: list[str] = []
