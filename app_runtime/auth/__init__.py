"""Who is calling: accounts in the document store, and the tokens that speak for them."""

__all__: list[str] = []
