"""`%lg store …`: the long-term memory."""

from __future__ import annotations

from typing import Any

from IPython.core.error import UsageError

from ..client import store as client
from ..client.tables import Table
from ..errors import NotFound
from .flags import LIMIT, number, pairs, required, values_of
from .live import say
from .parsing import Arguments, Command, Flag, Group

_EXAMPLE = '%lg store put users/ada food {"likes": "tea"}'


def put(shell: Any, arguments: Arguments) -> None:
    """Store an item."""
    namespace, key = _namespace_and_key(arguments, f"Say where and what: {_EXAMPLE}")
    text = (arguments.body if arguments.body is not None else arguments.text).strip()
    value = values_of(required(text, f"Say what to store, as an object: {_EXAMPLE}"), example=_EXAMPLE)
    ttl = number(arguments, "ttl", 0, most=5_256_000) or None
    client.put(namespace, key, value, ttl=ttl)
    say(f"Stored {namespace}/{key}.")


def get(shell: Any, arguments: Arguments) -> Table:
    """Show an item."""
    namespace, key = _namespace_and_key(arguments, "Say which item: %lg store get NAMESPACE KEY")
    item = client.get(namespace, key)
    if item is None:
        raise NotFound(f"Nothing is stored as {namespace}/{key}; %lg store search {namespace} lists what is.")
    value = item["value"] if isinstance(item["value"], dict) else {"value": item["value"]}
    rows = [{"name": name, "value": one} for name, one in value.items()]
    columns = [("", lambda _, row: str(row["name"])), ("value", lambda _, row: _told(row["value"]))]
    return Table(rows, columns=columns, title=f"{namespace}/{key}")


def delete(shell: Any, arguments: Arguments) -> None:
    """Delete an item."""
    namespace, key = _namespace_and_key(arguments, "Say which item: %lg store delete NAMESPACE KEY")
    client.delete(namespace, key)
    say(f"Deleted {namespace}/{key}.")


def search(shell: Any, arguments: Arguments) -> Table:
    """The items under a namespace."""
    namespace = arguments.words[0] if arguments.words else ()
    return client.search(
        "" if namespace in ((), "/") else namespace,
        query=arguments.text or None,
        filter=pairs(arguments, "filter"),
        limit=number(arguments, "limit", 20),
    )


def ls(shell: Any, arguments: Arguments) -> Table:
    """The namespaces."""
    return client.list_namespaces(arguments.words[0] if arguments.words else ())


def _namespace_and_key(arguments: Arguments, sentence: str) -> tuple[str, str]:
    if len(arguments.words) < 2:
        raise UsageError(sentence)
    return arguments.words[0].strip("/"), arguments.words[1]


def _told(value: Any) -> str:
    return value if isinstance(value, str) else repr(value)


GROUP = Group(
    "Memory",
    (
        Command(
            name="store ls",
            run=ls,
            usage="[NAMESPACE]",
            words=1,
            help="the namespaces that hold items",
        ),
        Command(
            name="store search",
            run=search,
            usage="[NAMESPACE [QUERY]]",
            words=1,
            takes_text=True,
            help="the items under a namespace; with a semantic index, by nearness to the query",
            flags=(Flag(name="filter", value="KEY=VALUE", is_repeated=True, help="a value an item must have"), LIMIT),
            examples=("%lg store search users", "%lg store search users/ada --filter kind=food"),
        ),
        Command(name="store get", run=get, usage="NAMESPACE KEY", words=2, help="one item"),
        Command(
            name="store put",
            run=put,
            usage="NAMESPACE KEY OBJECT",
            words=2,
            takes_text=True,
            takes_body=True,
            help="store an item; labels of a namespace are joined by /",
            flags=(Flag(name="ttl", value="MINUTES", help="it expires after this time"),),
            examples=(_EXAMPLE,),
        ),
        Command(name="store delete", run=delete, usage="NAMESPACE KEY", words=2, help="delete an item"),
    ),
)
