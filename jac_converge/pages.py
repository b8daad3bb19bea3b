"""`page(...)`: the nodes behind a node, some at a time.

```jac
import from jac_converge.pages { page }

@restspec(method=HTTPMethod.GET, path="/notes")
walker list_notes {
    has limit: int = 50, cursor: str = "";

    can look with Root entry {
        report page(here, Note, limit=self.limit, cursor=self.cursor);
    }
}
```

Apps import this, so it imports nothing of weight. It changes with what an app may say of pages.
"""

from collections.abc import Callable
from typing import Any

__all__ = ["page"]


def page(
    node: Any,
    *classes: type,
    limit: int = 50,
    cursor: str | None = None,
    edge: type | None = None,
    where: Callable[[Any], bool] | None = None,
    newest_first: bool = False,
) -> dict[str, Any]:
    """Return some of the nodes that `[node -->]` would give, in its order, and where to go on.

    Only the nodes of the page are read, or ten times as many where a filter leaves most of them
    out: then there are fewer than `limit`, and still a `next`.

    Args:
        node: where to look from.
        classes: of the nodes that are wanted; none: all.
        limit: nodes of the page, 1 to 1000.
        cursor: `next` of the page before; none, or an empty text: the first page.
        edge: class of the edges that are followed; none: all.
        where: says whether a node is wanted.
        newest_first: begin with the edge that was made last.

    Returns:
        `items`, and `next`: None at the end.

    Raises:
        BadPage: limit or cursor are none, which becomes a 422.
    """
    from jac_converge.app_runtime.bridge import paging  # noqa: PLC0415 - heavy

    return paging.page(
        node,
        classes,
        limit=limit,
        cursor=cursor or "",
        edge=edge,
        where=where,
        newest_first=newest_first,
    )
