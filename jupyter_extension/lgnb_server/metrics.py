"""The figures of `/metrics`: what the installation does, from its resources, and what this host was asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prometheus_client import REGISTRY

_HANDLERS = "lgnb_server."


def requests_total() -> list[dict[str, Any]]:
    """Requests to the API by handler, method and status, from the histogram that Jupyter keeps of every request."""
    rows: list[dict[str, Any]] = []
    for metric in REGISTRY.collect():
        if metric.name != "http_request_duration_seconds":
            continue
        for sample in metric.samples:
            if sample.name.endswith("_count") and sample.labels.get("handler", "").startswith(_HANDLERS):
                labels = {**sample.labels, "handler": sample.labels["handler"].rpartition(".")[2]}
                rows.append({**labels, "value": int(sample.value)})
    return rows


def as_text(metrics: Mapping[str, Any]) -> str:
    """The same figures in the text format of Prometheus."""
    lines: list[str] = []
    for group, figures in metrics.items():
        for name, value in figures.items():
            if isinstance(value, int | float):
                full_name = f"lgnb_{group}_{name}"
                lines += [f"# TYPE {full_name} gauge", f"{full_name} {value}"]
    lines.append("# TYPE lgnb_api_http_requests_total counter")
    for row in metrics["api"]["http_requests_total"]:
        labels = ",".join(f'{key}="{row[key]}"' for key in ("handler", "method", "status_code"))
        lines.append(f"lgnb_api_http_requests_total{{{labels}}} {row['value']}")
    return "\n".join(lines) + "\n"
