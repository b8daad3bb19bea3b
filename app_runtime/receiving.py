"""A request -> the values of a call, wherever its fields are.

Fields of path, query and form are text; they become one JSON object with those of the body, so that
all are checked alike. Files are streamed to temporary storage and never whole in memory. It changes
with where fields may be.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from pydantic_core import from_json, to_json
from starlette.datastructures import FormData, ImmutableMultiDict, UploadFile
from starlette.exceptions import HTTPException

from jac_converge.app_runtime.bodies import body_from, checked_object, media_type, model_from
from jac_converge.app_runtime.bridge.introspect import FunctionSpec, WalkerSpec
from jac_converge.app_runtime.parameters import Parameter
from jac_converge.app_runtime.signatures import SPAWN_NODE, Signature

__all__ = ["Received", "Receiver"]

MOST_FILES = 100  # of one request


@dataclass(slots=True, kw_only=True)
class Received:
    """What a request holds."""

    signature: Signature
    text: bytes
    """All fields but the files, as JSON."""
    body: BaseModel
    """The same, checked."""
    files: Mapping[str, Any] = field(default_factory=dict)
    form: FormData | None = None
    _used: bool = False

    @property
    def node(self) -> str | None:
        """Where a walker is to start."""
        return getattr(self.body, "spawn_node", None) or None

    def values(self) -> dict[str, Any]:
        """Return the values of a call, anew each time: a run may change what is inside."""
        if self._used:
            values = self.signature.fields(self.text)
            for held in self.files.values():
                for file in held if isinstance(held, list) else [held]:
                    if file is not None:
                        file.file.seek(0)
        else:
            values, self._used = self.signature.values(self.body), True
        return {**values, **self.files}

    async def close(self) -> None:
        """Let go of temporary files."""
        if self.form is not None:
            await self.form.close()


class Receiver:
    """Reads the requests of one endpoint."""

    def __init__(
        self,
        spec: WalkerSpec | FunctionSpec,
        signature: Signature,
        parameters: Mapping[str, Parameter],
        *,
        max_text: int,
    ) -> None:
        """Describe it.

        Args:
            spec: of what is called.
            signature: of its fields.
            parameters: where they are.
            max_text: bytes of one field of a form that is no file.
        """
        self._spec = spec
        self._signature = signature
        self._parameters = parameters
        self._max_text = max_text
        self._sources = {one.source for one in parameters.values()}
        # What no parameter is for may still say where to start.
        self._only_json = self._sources <= {"body"}

    async def read(self, request: Request) -> Received:
        """Read and check a request.

        Raises:
            RequestValidationError: it does not fit.
        """
        if self._only_json and request.method != "GET":
            raw = await request.body()
            body = body_from(self._signature.body, request, raw)
            return Received(signature=self._signature, text=raw, body=body)
        values: dict[str, Any] = {}
        files: dict[str, Any] = {}
        wrong: list[dict[str, Any]] = []
        form = None
        if "file" in self._sources:
            form = await self._form(request)
        try:
            if form is not None:
                files = self._files(form)
                self._take(values, "body", form, wrong)
            elif request.method == "GET":
                self._take(values, "query", request.query_params, wrong)
            else:
                values |= self._body(request, await request.body())
            for name, one in self._parameters.items():
                if one.source == "path":
                    sent = str(request.path_params[name])
                    self._read(values, ("path", name), one, sent, wrong)
            text = to_json(values)
            body = self._model(text, wrong)
        except BaseException:
            if form is not None:
                await form.close()
            raise
        return Received(signature=self._signature, text=text, body=body, files=files, form=form)

    def _model(self, text: bytes, wrong: list[dict[str, Any]]) -> BaseModel:
        """Validate the fields; what is wrong before that is told with what is wrong in them."""
        try:
            body = model_from(self._signature.body, text, self._place)
        except RequestValidationError as error:
            told = {one["loc"] for one in wrong}  # and not there, so that they seem to be missing
            wrong = [*wrong, *(one for one in error.errors() if one["loc"] not in told)]
            raise RequestValidationError(wrong) from error
        if wrong:
            raise RequestValidationError(wrong)
        return body

    async def _form(self, request: Request) -> FormData:
        if media_type(request) not in ("multipart/form-data", "application/x-www-form-urlencoded"):
            text = "a form is needed, sent with Content-Type: multipart/form-data"
            raise _wrong("form_type", ("body",), text)
        try:
            return await request.form(max_files=MOST_FILES, max_part_size=self._max_text)
        except HTTPException as error:
            raise _wrong("form_invalid", ("body",), str(error.detail)) from error

    def _files(self, form: FormData) -> dict[str, Any]:
        files: dict[str, Any] = {}
        for name, many in self._spec.files.items():
            sent = form.getlist(name)
            if not all(isinstance(item, UploadFile) for item in sent):
                raise _wrong("file_type", ("body", name), "a file is needed, not a text")
            if sent:
                files[name] = sent if many else sent[-1]
                continue
            (declared,) = (one for one in self._spec.fields if one.name == name)
            if declared.required:
                raise _wrong("missing", ("body", name), "a file is needed")
            if declared.factory is None:  # else it is made where the walker runs
                files[name] = declared.default
        return files

    def _take(
        self,
        values: dict[str, Any],
        place: str,
        given: ImmutableMultiDict[str, Any],
        wrong: list[dict[str, Any]],
    ) -> None:
        """Take what is there of the fields that are text; what is wrong of it is added."""
        for name, one in self._parameters.items():
            if one.source not in ("query", "body") or name not in given:
                continue
            sent = given.getlist(name)
            if not all(isinstance(item, str) for item in sent):
                wrong.append(_error("string_type", (place, name), "a text is needed, not a file"))
            elif one.form == "texts":
                values[name] = sent
            else:
                self._read(values, (place, name), one, sent[-1], wrong)
        if SPAWN_NODE in given and isinstance(self._spec, WalkerSpec):
            values[SPAWN_NODE] = str(given[SPAWN_NODE])
        if place == "body":
            odd = [name for name in given if name not in self._parameters and name != SPAWN_NODE]
            text = "there is no such field"
            wrong += [_error("extra_forbidden", (place, name), text) for name in odd]

    def _read(
        self,
        values: dict[str, Any],
        place: tuple[str, str],
        one: Parameter,
        text: str,
        wrong: list[dict[str, Any]],
    ) -> None:
        try:
            values[place[1]] = from_json(text, allow_inf_nan=False) if one.form == "json" else text
        except ValueError as error:
            wrong.append(_error("json_text", place, f"JSON is needed: {error}"))

    def _body(self, request: Request, raw: bytes) -> dict[str, Any]:
        sent = checked_object(request, raw)
        for name in sent:
            one = self._parameters.get(name)
            if one is not None and one.source != "body":
                raise _wrong("extra_forbidden", ("body", name), f"it belongs in the {one.source}")
        return sent

    def _place(self, name: str) -> str:
        one = self._parameters.get(name)
        return one.source if one is not None and one.source in ("path", "query") else "body"


def _wrong(kind: str, place: tuple[str, ...], text: str) -> RequestValidationError:
    return RequestValidationError([_error(kind, place, text)])


def _error(kind: str, place: tuple[str, ...], text: str) -> dict[str, Any]:
    return {"loc": place, "type": kind, "msg": text}
