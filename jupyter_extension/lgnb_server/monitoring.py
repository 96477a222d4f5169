"""What a host makes of the news: figures for `/metrics`, and events for whoever listens to Jupyter's event log."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jupyter_events import EventLogger
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from lgnb.models.news import LeaseNews, News, RunNews, ThreadNews

RUN_EVENTS = "urn:lgnb:events:run:v1"
THREAD_EVENTS = "urn:lgnb:events:thread:v1"

_SCHEMAS = Path(__file__).with_name("events")
_WAIT_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)


class Monitoring:
    """Counts since this host has started, over the whole installation: hosts and workers tell each other."""

    def __init__(self, event_logger: EventLogger) -> None:
        self._event_logger = event_logger
        for schema in sorted(_SCHEMAS.glob("*.yaml")):
            event_logger.register_event_schema(schema)
        self._registry = CollectorRegistry()
        self._created = Counter("lgnb_runs_created", "Runs accepted.", registry=self._registry)
        self._started = Counter("lgnb_runs_started", "Attempts begun.", registry=self._registry)
        self._ended = Counter("lgnb_runs_ended", "Runs ended, by status.", ["status"], registry=self._registry)
        self._retried = Counter(
            "lgnb_runs_requeued",
            "Runs that wait again: returned in good order, or lost with their worker.",
            ["reason"],
            registry=self._registry,
        )
        self._leases_lost = Counter(
            "lgnb_leases_lost", "Leases that a worker did not renew in time.", registry=self._registry
        )
        self._waited = Histogram(
            "lgnb_run_wait_seconds",
            "From when a run was due to its first start.",
            buckets=_WAIT_BUCKETS,
            registry=self._registry,
        )
        for status in ("success", "error", "timeout", "interrupted"):
            self._ended.labels(status)
        for reason in ("returned", "lost"):
            self._retried.labels(reason)

    def hear(self, news: News) -> None:
        """Count it, and tell Jupyter's event log."""
        if isinstance(news, RunNews):
            self._count(news)
            self._emit(RUN_EVENTS, news, ("action", "run_id", "thread_id", "graph_id", "status", "attempt"))
        elif isinstance(news, ThreadNews):
            self._emit(THREAD_EVENTS, news, ("action", "thread_id", "status"))
        else:
            self._lose(news)

    def as_text(self) -> str:
        """The counts in the text format of Prometheus."""
        return generate_latest(self._registry).decode()

    def as_json(self) -> dict[str, Any]:
        """The same for the JSON form of `/metrics`."""
        values: dict[str, Any] = {"ended": {}, "requeued": {}, "wait_seconds": {"buckets": {}}}
        for metric in self._registry.collect():
            for sample in metric.samples:
                _add(values, sample.name.removeprefix("lgnb_"), sample.labels, sample.value)
        return values

    def _count(self, news: RunNews) -> None:
        if news.action == "created":
            self._created.inc()
        elif news.action == "started":
            self._started.inc()
            if news.waited_seconds is not None:
                self._waited.observe(news.waited_seconds)
        elif news.action == "ended":
            self._ended.labels(news.status or "error").inc()
        else:
            self._retried.labels(news.action).inc()

    def _lose(self, news: LeaseNews) -> None:
        self._leases_lost.inc()

    def _emit(self, schema_id: str, news: News, names: tuple[str, ...]) -> None:
        data = {name: value for name in names if (value := getattr(news, name)) is not None}
        data |= {name: str(value) for name, value in data.items() if name.endswith("_id")}
        self._event_logger.emit(schema_id=schema_id, data=data)


def _add(values: dict[str, Any], name: str, labels: dict[str, str], value: float) -> None:
    if name.endswith("_created") and name != "runs_created":
        return  # when a series began
    if name == "run_wait_seconds_bucket":
        values["wait_seconds"]["buckets"][labels["le"]] = int(value)
    elif name in ("run_wait_seconds_count", "run_wait_seconds_sum"):
        values["wait_seconds"][name.rpartition("_")[2]] = value
    elif name == "runs_ended_total":
        values["ended"][labels["status"]] = int(value)
    elif name == "runs_requeued_total":
        values["requeued"][labels["reason"]] = int(value)
    elif name.endswith("_total"):
        values[name.removesuffix("_total").removeprefix("runs_")] = int(value)
