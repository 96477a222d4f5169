from __future__ import annotations

from typing import Any

import pytest
from langchain_core.callbacks import CallbackManager
from langchain_core.tracers import LangChainTracer
from langsmith.run_helpers import get_tracing_context
from langsmith.utils import get_env_var

from lgnb.worker.langsmith_trace import langsmith_trace


@pytest.fixture
def langsmith(monkeypatch: pytest.MonkeyPatch) -> Any:
    """LangSmith switched on, at an address where nobody is."""
    for name, value in {"TRACING": "true", "API_KEY": "key", "ENDPOINT": "http://127.0.0.1:9"}.items():
        monkeypatch.setenv(f"LANGSMITH_{name}", value)
    get_env_var.cache_clear()
    yield
    get_env_var.cache_clear()


def test_a_run_is_filed_where_its_caller_wants_it(langsmith: Any) -> None:
    example = "00000000-0000-4000-8000-000000000000"
    configurable = {
        "__langsmith_project__": "mine",
        "__langsmith_example_id__": example,
        "langsmith-tags": ["a"],
        "langsmith-metadata": {"b": 1},
    }

    with langsmith_trace(configurable) as callbacks:
        told = get_tracing_context()
        assert _project() == "mine"
        assert (told["tags"], told["metadata"]) == (["a"], {"b": 1})
        (tracer,) = callbacks
        assert isinstance(tracer, LangChainTracer)
        assert (tracer.project_name, str(tracer.example_id)) == ("mine", example)

    assert _project() != "mine"


def test_without_wishes_or_without_langsmith_nothing_is_added(langsmith: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with langsmith_trace({"thread_id": "x"}) as callbacks:
        assert callbacks == []

    monkeypatch.setenv("LANGSMITH_TRACING", "false")
    get_env_var.cache_clear()
    with langsmith_trace({"__langsmith_project__": "mine"}) as callbacks:
        assert callbacks == []
        assert _project() != "mine"


def _project() -> str | None:
    """The project of the tracer that LangChain itself would add to a run; None when it adds none."""
    tracers = [one for one in CallbackManager.configure().handlers if isinstance(one, LangChainTracer)]
    return tracers[0].project_name if tracers else None
