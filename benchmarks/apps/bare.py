"""The floor below every server of Jac apps: FastAPI, a typed body, a function in a thread."""

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
