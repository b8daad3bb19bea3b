"""What an app offers: its own walkers and functions, with typed fields.

jaclang's stock server also publishes what an app merely imports, runtime internals among it. Here
a name counts only if a .jac file of the project defines it. It changes with what is callable.
"""

import dataclasses
import inspect
import logging
import sys
import typing
from collections import defaultdict
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Callable,
    Generator,
    Iterator,
    Mapping,
)
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from jaclang.jac0core.archetype import Archetype, WalkerArchetype
from jaclang.jac0core.runtime import JacRuntime as Jac
from starlette.datastructures import UploadFile

from jac_converge.app_runtime.bridge.access import AccessTable, access_table
from jac_converge.app_runtime.bridge.annotations import bare, hints_of, wire_type
from jac_converge.app_runtime.bridge.mistakes import Mistakes
from jac_converge.app_runtime.bridge.restspecs import BadDeclaration, RestSpec, restspec_of
from jac_converge.app_runtime.bridge.schedules import Schedule, schedule_of
from jac_converge.app_runtime.bridge.storable import unstorable
from jac_converge.app_runtime.bridge.twins import given_twice
from jac_converge.roles import ATTRIBUTE

__all__ = [
    "AUTHENTICATE",
    "Callables",
    "FieldSpec",
    "FunctionSpec",
    "JobSpec",
    "WalkerSpec",
    "find",
]

logger = logging.getLogger(__name__)

NO_DEFAULT: Any = inspect.Parameter.empty
BEFORE_REQUEST, AUTHENTICATE = "_before_request", "_authenticate"
_BY_NAME = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldSpec:
    """One field of a walker or parameter of a function."""

    name: str
    annotation: Any
    """A type; where it has a node, that is a `str`, the id."""
    default: Any = NO_DEFAULT
    factory: Callable[[], Any] | None = None

    @property
    def required(self) -> bool:
        """Whether a caller must give it."""
        return self.default is NO_DEFAULT and self.factory is None

    def made(self) -> Any:
        """Make the default, anew each time where it may be changed; not of one that is required.

        There is no caller here, so one that looks at the graph raises, whatever it may be.
        """
        if self.factory is None:
            return self.default
        token = Jac.push_request_context(_Nobodys())
        try:
            return self.factory()
        finally:
            Jac.reset_request_context(token)


class _Nobodys:
    """Stands where the context of a call would be: its root, and what it may read."""

    def __getattr__(self, name: str) -> Any:
        raise LookupError(f"there is no call whose {name} this could be")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Spec:
    name: str
    fields: tuple[FieldSpec, ...]
    node_fields: Mapping[str, tuple[type, ...]]
    """Fields that are nodes, or lists of them: a caller gives ids, the call gets nodes, each of
    one of these classes."""
    files: Mapping[str, bool]
    """Fields that are uploaded files; whether each is a list of them."""
    rest: RestSpec
    public: bool
    """Callable without a token."""
    roles: tuple[str, ...] = ()
    """Who may call it; nothing: whoever has an account."""
    asynchronous: bool
    doc: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WalkerSpec(_Spec):
    """A walker of the app."""

    cls: type

    @property
    def streams(self) -> bool:
        """Whether a function of its own gives a generator, which it may report."""
        own = (vars(base) for base in self.cls.__mro__ if base not in WalkerArchetype.__mro__)
        functions = (one for members in own for one in members.values() if inspect.isfunction(one))
        return any(_streams(one, hints_of(one).get("return")) for one in functions)


def _streams(function: Any, returns: Any) -> bool:
    returns = bare(returns)
    kind = typing.get_origin(returns) or returns
    return (
        inspect.isgeneratorfunction(function)
        or inspect.isasyncgenfunction(function)
        or kind in (Generator, AsyncGenerator, Iterator, AsyncIterator)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionSpec(_Spec):
    """A function of the app."""

    function: Callable[..., Any]
    returns: Any

    @classmethod
    def of_ours(cls, name: str, function: Callable[..., Any]) -> "FunctionSpec":
        """Describe what no client calls by its name, so that it runs as a call does."""
        return cls(
            name=name,
            function=function,
            fields=(),
            node_fields={},
            files={},
            rest=RestSpec(),
            doc="",
            public=False,
            asynchronous=False,
            returns=Any,
        )

    @property
    def streams(self) -> bool:
        """Whether it says that it gives a generator."""
        return _streams(self.function, self.returns)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSpec:
    """A walker or function that runs by itself."""

    call: WalkerSpec | FunctionSpec
    schedule: Schedule


@dataclass(frozen=True, slots=True, kw_only=True)
class Callables:
    """Everything an app offers, by name, and the archetypes it is made of."""

    walkers: dict[str, WalkerSpec]
    functions: dict[str, FunctionSpec]
    jobs: dict[str, JobSpec]
    """What nobody calls."""
    archetypes: tuple[type, ...]
    middleware: dict[str, WalkerSpec]
    """Walkers that run before each call, in this order."""
    definitions: Mapping[str, frozenset[str]]
    """Name of a walker or function -> the .jac files of the project that define one, also where
    it is not served."""


def find(
    module: ModuleType, project: Path, *, called: Mapping[str, Any] | None = None
) -> Callables:
    """Look at an imported app.

    Args:
        module: the app's module; what it imports from other .jac files of the project counts too.
        project: the folder of the app.
        called: by its client side, from modules that it need not import.

    Raises:
        BadDeclaration: it asks for what cannot be served; a line for each of it.
    """
    tables: dict[str, AccessTable] = {}
    walkers: dict[str, WalkerSpec] = {}
    functions: dict[str, FunctionSpec] = {}
    jobs: dict[str, JobSpec] = {}
    middleware: dict[str, WalkerSpec] = {}
    mistakes = Mistakes()
    for name, member in {**(called or {}), **dict(inspect.getmembers(module))}.items():
        file = None if name.startswith("_") else _jac_file(member, project)
        if file is None:
            continue
        with mistakes.noted():
            if hasattr(member, "schedule_spec"):
                if (schedule := schedule_of(name, member)) is not None:
                    jobs[name] = _job(name, member, schedule)
                continue
            table = tables.get(file) or tables.setdefault(file, access_table(Path(file)))
            if inspect.isclass(member) and issubclass(member, WalkerArchetype):
                walkers[name] = _walker(name, member, public=member.__name__ in table.walkers)
            elif inspect.isfunction(member) and _fits_a_body(name, member):
                public = member.__name__ in table.functions
                functions[name] = _function(name, member, public=public)
    with mistakes.noted():
        middleware = _middleware(module, project)
    archetypes = tuple(_subclasses(Archetype, project))
    mistakes.add(unstorable(archetypes))
    files = (_jac_file(member, project) for member in (*archetypes, *vars(module).values()))
    mistakes.add(given_twice({file for file in files if file is not None}))
    mistakes.tell()
    return Callables(
        walkers=walkers,
        functions=functions,
        jobs=jobs,
        archetypes=archetypes,
        middleware=middleware,
        definitions=_definitions(project),
    )


def _definitions(project: Path) -> Mapping[str, frozenset[str]]:
    found: defaultdict[str, set[str]] = defaultdict(set)
    for module in list(sys.modules.values()):
        own = dict(getattr(module, "__dict__", {}))
        if not str(own.get("__file__", "")).endswith(".jac"):
            continue
        for member in own.values():
            file = _jac_file(member, project)
            callable_ = inspect.isfunction(member) or (
                inspect.isclass(member) and issubclass(member, WalkerArchetype)
            )
            if file is not None and callable_:
                found[member.__name__].add(file)
    return {name: frozenset(files) for name, files in found.items()}


def _middleware(module: ModuleType, project: Path) -> dict[str, WalkerSpec]:
    """Find the walkers that run before each call; their underscore keeps them off the routes."""
    told = {"headers", "request"}
    found = {}
    for name in (BEFORE_REQUEST, AUTHENTICATE):
        member = getattr(module, name, None)
        if member is None:
            continue
        walker = inspect.isclass(member) and issubclass(member, WalkerArchetype)
        if not walker or _jac_file(member, project) is None:
            # To pass it over would be to let everybody in.
            raise BadDeclaration(f"{name} has to be a walker of the app, to run before requests")
        spec = _walker(name, member, public=False)
        odd = [one.name for one in spec.fields if one.required and one.name not in told]
        if odd or spec.node_fields:
            names = ", ".join({*odd, *spec.node_fields})
            text = "it is told `request` and `headers`, and other fields need a default"
            raise BadDeclaration(f"walker {name} cannot run before requests ({names}): {text}")
        found[name] = spec
    return found


def _jac_file(member: Any, project: Path) -> str | None:
    """Return the .jac file of the project that defines a class or function, else None."""
    if not (inspect.isclass(member) or inspect.isfunction(member)):
        return None
    file = getattr(sys.modules.get(member.__module__), "__file__", None) or ""
    inside = file.endswith(".jac") and Path(file).is_relative_to(project)
    return file if inside and ".jac" not in Path(file).relative_to(project).parts[:-1] else None


def _subclasses(cls: type, project: Path) -> Iterator[type]:
    subclass: Any
    for subclass in cls.__subclasses__():
        if _jac_file(subclass, project) is not None:
            yield subclass
        yield from _subclasses(subclass, project)


def _walker(name: str, cls: type, *, public: bool) -> WalkerSpec:
    hints = hints_of(cls)
    specs: list[FieldSpec] = []
    nodes: dict[str, tuple[type, ...]] = {}
    for field in dataclasses.fields(cls):
        if not field.init or field.name.startswith("_"):
            continue
        if field.name == "reports":  # that of jaclang is none of `__init__`
            text = "what a walker reports is kept there; give it another name"
            raise BadDeclaration(f"walker {name} cannot have a field called reports: {text}")
        annotation, classes = wire_type(hints.get(field.name, Any))
        if classes:
            nodes[field.name] = classes
        has_default = field.default is not dataclasses.MISSING
        has_factory = field.default_factory is not dataclasses.MISSING
        specs.append(
            FieldSpec(
                name=field.name,
                annotation=annotation,
                default=field.default if has_default else NO_DEFAULT,
                factory=field.default_factory if has_factory else None,  # type: ignore[arg-type]
            )
        )
    return WalkerSpec(
        name=name,
        cls=cls,
        fields=tuple(specs),
        node_fields=nodes,
        files=_files(specs),
        rest=restspec_of(name, cls),
        public=public and not _roles(cls),
        roles=_roles(cls),
        asynchronous=bool(getattr(cls, "__jac_async__", False)),
        doc=_doc(cls),
    )


def _job(name: str, member: Any, schedule: Schedule) -> JobSpec:
    make = _walker if inspect.isclass(member) else _function
    call = make(name, member, public=False)
    if missing := ", ".join(field.name for field in call.fields if field.required):
        raise BadDeclaration(f"job {name}: nobody gives it {missing}; say a default")
    return JobSpec(call=call, schedule=schedule)


def _fits_a_body(name: str, function: Callable[..., Any]) -> bool:
    """Say whether fields by name can be all of its arguments, and warn where they cannot."""
    parameters = inspect.signature(function).parameters.values()
    odd = [str(one.replace(annotation=one.empty)) for one in parameters if one.kind not in _BY_NAME]
    if odd:
        taken = " and ".join(odd)
        logger.warning("function %s is not served: no field of a body can be %s", name, taken)
    return not odd


def _function(name: str, function: Callable[..., Any], *, public: bool) -> FunctionSpec:
    hints = hints_of(function)
    specs: list[FieldSpec] = []
    nodes: dict[str, tuple[type, ...]] = {}
    for parameter in inspect.signature(function).parameters.values():
        annotation, classes = wire_type(hints.get(parameter.name, Any))
        if classes:
            nodes[parameter.name] = classes
        specs.append(
            FieldSpec(name=parameter.name, annotation=annotation, default=parameter.default)
        )
    return FunctionSpec(
        name=name,
        function=function,
        fields=tuple(specs),
        node_fields=nodes,
        files=_files(specs),
        rest=restspec_of(name, function),
        returns=hints.get("return", Any),
        public=public and not _roles(function),
        roles=_roles(function),
        asynchronous=inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function),
        doc=_doc(function),
    )


def _roles(member: Any) -> tuple[str, ...]:
    """Return what `@roles` says; a subclass that were open where its base is not would surprise."""
    return tuple(getattr(member, ATTRIBUTE, ()))


def _files(fields: list[FieldSpec]) -> dict[str, bool]:
    """Return the fields that are files, and whether they are many."""
    found = {}
    for field in fields:
        annotation = bare(field.annotation)
        many = typing.get_origin(annotation) is list
        variants = typing.get_args(annotation) or (annotation,)
        kinds = [bare(one) for one in variants if one is not type(None)]
        if kinds and all(inspect.isclass(one) and issubclass(one, UploadFile) for one in kinds):
            found[field.name] = many
    return found


def _doc(member: Any) -> str:
    doc = member.__doc__ or ""
    generated = inspect.isclass(member) and doc.startswith(f"{member.__name__}(")  # by dataclass
    return "" if generated else inspect.cleandoc(doc)
