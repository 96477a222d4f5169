"""`lgnb.store`: the long-term memory of the server: items under namespaces and keys, apart from any thread."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from ..errors import InvalidRequest
from .render import brief, is_live
from .session import current_session
from .tables import Record, Table, moment
from .twins import awaitable

Namespace = str | Sequence[str]


def put(
    namespace: Namespace,
    key: str,
    value: Mapping[str, Any],
    *,
    index: Literal[False] | list[str] | None = None,
    ttl: int | None = None,
) -> None:
    """Store an item, in place of an older one with the same key.

    Args:
        namespace: labels, as a list or written `users/ada`.
        index: fields for semantic search, or False for none; None means as the server is configured.
        ttl: minutes until the item expires.
    """
    labels, given = _labels_of(namespace), dict(value)
    current_session().connection().call(lambda sdk: sdk.store.put_item(labels, key, given, index=index, ttl=ttl))


def get(namespace: Namespace, key: str) -> dict[str, Any] | None:
    """An item with its value and times; None where there is none."""
    labels = _labels_of(namespace)
    found: Any = current_session().connection().call(lambda sdk: sdk.store.get_item(labels, key))
    return dict(found) if found else None


def delete(namespace: Namespace, key: str) -> None:
    """Delete an item; it is no mistake when there is none."""
    labels = _labels_of(namespace)
    current_session().connection().call(lambda sdk: sdk.store.delete_item(labels, key))


def search(
    namespace: Namespace = (),
    *,
    query: str | None = None,
    filter: Mapping[str, Any] | None = None,
    limit: int = 20,
) -> Table:
    """The items under a namespace and below it.

    Args:
        query: a text; with a semantic index, the items come by nearness to it.
        filter: values that an item must have.
    """
    labels = _labels_of(namespace)
    wanted = None if filter is None else dict(filter)
    found: Any = (
        current_session()
        .connection()
        .call(lambda sdk: sdk.store.search_items(labels, filter=wanted, query=query, limit=limit))
    )
    rows = [dict(one) for one in found["items"]]
    columns = [
        ("namespace", lambda _, row: _written(row["namespace"])),
        ("key", lambda _, row: str(row["key"])),
        ("value", lambda _, row: _value_line(row["value"])),
    ]
    if any(row.get("score") is not None for row in rows):
        columns.append(("score", lambda _, row: f"{row['score']:.2f}" if row.get("score") is not None else ""))
    if is_live():
        columns.append(("updated", lambda _, row: moment(row.get("updated_at"))))
    return Table(rows, columns=columns, empty="Nothing is stored there.", frame=lambda: [_flat(row) for row in rows])


def list_namespaces(prefix: Namespace = (), *, max_depth: int | None = None, limit: int = 100) -> Table:
    """The namespaces that hold items."""
    labels = _labels_of(prefix)
    found: Any = (
        current_session()
        .connection()
        .call(lambda sdk: sdk.store.list_namespaces(prefix=labels, max_depth=max_depth, limit=limit))
    )
    rows = [{"namespace": _written(one)} for one in found["namespaces"]]
    return Table(rows, columns=[("namespace", lambda _, row: row["namespace"])], empty="The store is empty.")


def _labels_of(namespace: Namespace) -> list[str]:
    """The labels of a namespace, given as a list or written with slashes.

    Raises:
        InvalidRequest: a label is empty, or has a dot, which the API uses to join labels.
    """
    labels = [one for one in namespace.split("/") if one] if isinstance(namespace, str) else [*namespace]
    for label in labels:
        if not label or "." in label:
            raise InvalidRequest(f"{label!r} cannot be part of a namespace: labels are not empty and have no dots.")
    return labels


def _written(labels: Sequence[str]) -> str:
    """A namespace as it is typed: `users/ada`."""
    return "/".join(labels)


def _value_line(value: Any) -> str:
    if not isinstance(value, dict):
        return brief(value, 120)
    text = ", ".join(f"{key}: {one if isinstance(one, str) else brief(one, 60)}" for key, one in value.items())
    return text if len(text) <= 160 else f"{text[:159]}…"


def _flat(row: Record) -> dict[str, Any]:
    value = row.get("value") or {}
    rest = {name: row[name] for name in ("score",) if row.get(name) is not None}
    return {
        "namespace": _written(row["namespace"]),
        "key": row["key"],
        **{f"value.{name}": one for name, one in value.items()},
        **rest,
        "created_at": row.get("created_at"),
        "updated_at": row.get("updated_at"),
    }


aput = awaitable(put)
aget = awaitable(get)
adelete = awaitable(delete)
asearch = awaitable(search)
alist_namespaces = awaitable(list_namespaces)
