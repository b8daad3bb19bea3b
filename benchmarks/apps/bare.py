"""The floor below every server of Jac apps: FastAPI, a typed body, a function in a thread."""

from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel

__all__ = ["app"]

app = FastAPI()


class Body(BaseModel):
    """A body as small as that of a walker."""

    n: int = 10


@app.post("/bare")
def bare(body: Body) -> dict[str, int]:
    """Answer at once."""
    return {"n": body.n}


@app.post("/same")
def same(body: Body) -> dict[str, Any]:
    """Answer what `jac serve` answers to the walker of the benchmark."""
    return _answer(body.n)


@app.post("/same-async")
async def same_async(body: Body) -> dict[str, Any]:
    """Do so on the event loop, where no walker may run."""
    return _answer(body.n)


def _answer(n: int) -> dict[str, Any]:
    result = {"_jac_type": "echo", "_jac_archetype": "walker", "_jac_id": "0" * 32, "n": n}
    return {
        "ok": True,
        "type": "response",
        "data": {"result": result, "reports": [n]},
        "error": None,
        "meta": {"extra": {"http_status": 200}},
    }
