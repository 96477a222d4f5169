"""Calling a function of the operator with the parameters that it names."""

from __future__ import annotations

import asyncio
import importlib.util
import inspect
from collections.abc import Callable
from typing import Any

from .requests import PARAMETERS, RequestFacts


class ByName:
    """A function whose parameters are filled by their names; a default that is FastAPI's `Depends` is called first.

    Raises:
        TypeError: it has a parameter that nothing can fill; the text says which.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self._is_async = inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
            getattr(function, "__call__", None)  # noqa: B004  an object whose call is a coroutine function
        )
        self._names: list[str] = []
        self._needed: dict[str, ByName] = {}
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise TypeError(f"{_name(function)} yields, where it must return")
        for parameter in inspect.signature(function).parameters.values():
            self._plan(parameter)

    def _plan(self, parameter: inspect.Parameter) -> None:
        name, dependency = parameter.name, getattr(parameter.default, "dependency", None)
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            return
        if parameter.kind is parameter.POSITIONAL_ONLY:
            raise TypeError(f"{_name(self._function)} has a parameter {name!r} that cannot be given by its name")
        if type(parameter.default).__name__ == "Depends" and callable(dependency):
            self._needed[name] = ByName(dependency)
        elif name in PARAMETERS:
            if name == "request" and importlib.util.find_spec("starlette") is None:
                raise TypeError(
                    f"{_name(self._function)} has a parameter 'request', which needs: pip install starlette"
                )
            self._names.append(name)
        elif parameter.default is parameter.empty:
            allowed = ", ".join(PARAMETERS)
            raise TypeError(
                f"{_name(self._function)} has a parameter {name!r} that nothing can fill; known are {allowed}"
            )

    async def __call__(self, facts: RequestFacts) -> Any:
        """Call it; one that is not async runs in a thread."""
        given = {name: getattr(facts, name) for name in self._names}
        for name, dependency in self._needed.items():
            given[name] = await dependency(facts)
        if self._is_async:
            return await self._function(**given)
        result = await asyncio.to_thread(self._function, **given)
        return await result if inspect.isawaitable(result) else result


def _name(function: Callable[..., Any]) -> str:
    return f"{getattr(function, '__name__', type(function).__name__)}()"
