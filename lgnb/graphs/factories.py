"""How a graph factory wants to be called, and the call: which parameters it takes and what it may return."""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
from collections.abc import Callable, Mapping
from types import UnionType
from typing import Any, Literal, Union, cast, get_args, get_origin, get_type_hints

from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import ensure_config
from langgraph_sdk import runtime as sdk_runtime

AccessContext = Literal["threads.create_run", "threads.update", "threads.read", "assistants.read"]
"""What a graph is opened for; only the first executes its nodes."""

_RUNTIME_FORMS = {
    sdk_runtime.ServerRuntime,
    sdk_runtime._ServerRuntimeBase,  # pyright: ignore[reportPrivateUsage]
    sdk_runtime._ExecutionRuntime,  # pyright: ignore[reportPrivateUsage]
    sdk_runtime._ReadRuntime,  # pyright: ignore[reportPrivateUsage]
}
_CONFIG_FORMS = (RunnableConfig, dict, Mapping, Any, inspect.Parameter.empty)
_Role = Literal["config", "runtime"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class FactoryCall:
    """What one use of a graph hands to its factory."""

    config: RunnableConfig
    access_context: AccessContext
    user: Any = None
    store: Any = None
    context: Any = None

    def factory_config(self) -> RunnableConfig:
        """The config with every standard key, and the flag that tells execution from reading."""
        config = ensure_config(self.config)
        executes = self.access_context == "threads.create_run"
        config["configurable"] = {**config.get("configurable", {}), "__is_for_execution__": executes}
        return config

    def runtime(self, context_type: Any) -> Any:
        """The SDK's `ServerRuntime`; a mapping as context becomes `context_type` where that is a class for data."""
        given: dict[str, Any] = {"access_context": self.access_context, "user": self.user, "store": self.store}
        # The two classes are what the public alias stands for; the SDK offers no other way to make one.
        if self.access_context != "threads.create_run":
            return sdk_runtime._ReadRuntime(**given)  # pyright: ignore[reportPrivateUsage]
        context = _typed_context(self.context, context_type)
        return sdk_runtime._ExecutionRuntime(**given, context=context)  # pyright: ignore[reportPrivateUsage]


class Factory:
    """A callable that makes a graph for each use.

    Raises:
        TypeError: the callable wants parameters that nobody can give it.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self._roles: dict[str, _Role] = {}
        self._context_type: Any = None
        self._positional: list[str] = []
        self._read_signature()

    async def enter(self, call: FactoryCall, stack: contextlib.AsyncExitStack) -> Any:
        """Call the factory; what it opened is closed with `stack`."""
        values: dict[str, Any] = {
            name: call.runtime(self._context_type) if role == "runtime" else call.factory_config()
            for name, role in self._roles.items()
        }
        positional = [values.pop(name) for name in self._positional]
        result = self._function(*positional, **values)
        if inspect.isawaitable(result):
            result = await result
        if isinstance(result, contextlib.AbstractAsyncContextManager):
            return await stack.enter_async_context(cast("contextlib.AbstractAsyncContextManager[Any]", result))
        if isinstance(result, contextlib.AbstractContextManager):
            return stack.enter_context(cast("contextlib.AbstractContextManager[Any]", result))
        return result

    def _read_signature(self) -> None:
        try:
            parameters = inspect.signature(self._function).parameters
        except ValueError:
            return  # a callable written in C without a signature
        hints = _hints(self._function)
        given = [p for p in parameters.values() if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
        for parameter in given:
            role = self._role(parameter.name, hints.get(parameter.name, parameter.annotation))
            if role is None or role in self._roles.values():
                if parameter.default is not parameter.empty:
                    continue
                raise TypeError(
                    f"the factory wants a parameter {parameter.name!r}; it may take a RunnableConfig and a "
                    "ServerRuntime, one of each."
                )
            self._roles[parameter.name] = role
            if parameter.kind is parameter.POSITIONAL_ONLY:
                self._positional.append(parameter.name)

    def _role(self, name: str, annotation: Any) -> _Role | None:
        for part in _parts(annotation):
            if isinstance(part, str):  # an annotation that cannot be resolved, such as a name imported for typing only
                if "ServerRuntime" in part:
                    return "runtime"
                if "Config" in part or part.startswith(("dict", "Mapping")):
                    return "config"
            elif get_origin(part) in _RUNTIME_FORMS or part in _RUNTIME_FORMS:
                arguments = get_args(part)
                self._context_type = arguments[0] if arguments else None
                return "runtime"
        if any((get_origin(part) or part) in _CONFIG_FORMS for part in _parts(annotation)):
            # Of two parameters without types, the one called runtime, or else the second, is the runtime.
            untyped = annotation in (inspect.Parameter.empty, Any)
            return "runtime" if untyped and self._roles and "config" in self._roles.values() else "config"
        return None


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    wrapped = inspect.unwrap(function)
    if isinstance(wrapped, type):
        wrapped = wrapped.__init__
    elif not inspect.isroutine(wrapped) and hasattr(wrapped, "__call__"):  # noqa: B004 - its annotations are wanted
        wrapped = getattr(wrapped, "func", None) or type(wrapped).__call__
    try:
        return get_type_hints(wrapped)
    except Exception:  # noqa: BLE001 - evaluating a user's annotations may raise anything; their text remains
        return {}


def _parts(annotation: Any) -> tuple[Any, ...]:
    """The members of a union, or the annotation itself, without `Annotated`."""
    if get_origin(annotation) in (Union, UnionType):
        return tuple(part for member in get_args(annotation) for part in _parts(member))
    if hasattr(annotation, "__metadata__"):
        return _parts(annotation.__origin__)
    return (annotation,)


def _typed_context(context: Any, context_type: Any) -> Any:
    is_data_class = isinstance(context_type, type) and (
        dataclasses.is_dataclass(context_type) or hasattr(context_type, "__pydantic_fields__")
    )
    return context_type(**context) if is_data_class and isinstance(context, Mapping) else context
