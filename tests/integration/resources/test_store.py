"""Rules of the store on a real Postgres: namespaces, filters, order, expiry, and search by similarity."""

from __future__ import annotations

import asyncio
import dataclasses
import math
from typing import Any

import pytest
from psycopg import sql

from lgnb.db.database import Database
from lgnb.db.store import item_conditions
from lgnb.db.vectors import VectorRepository
from lgnb.errors import EmbeddingFailed, InvalidRequest, InvalidState
from lgnb.models.store import IndexConfig, ItemQuery, PutItem, StoreConfig
from lgnb.resources import Resources
from lgnb.resources.store import Store

_WORDS = ("cat", "dog", "ship")


class WordCount:
    """Embeds a text as how often it names each of three words."""

    async def embed(self, texts: list[str]) -> list[list[float]]:
        return [[text.count(word) + 0.01 for word in _WORDS] for text in texts]

    async def embed_query(self, text: str) -> list[float]:
        return (await self.embed([text]))[0]

    def texts(self, value: dict[str, Any], paths: list[str]) -> list[tuple[str, str]]:
        return [(path, str(value if path == "$" else value[path])) for path in paths if path == "$" or path in value]


@pytest.fixture
def store(resources: Resources) -> Store:
    return resources.store


@pytest.fixture
def index() -> IndexConfig:
    return IndexConfig(dims=3, embedder=WordCount())


@pytest.fixture
async def semantic(vectors: None, database: Database, index: IndexConfig) -> Store:
    store = Store(database, config=StoreConfig(index=index))
    await store.prepare()
    assert store.is_semantic, store.problem
    return store


async def _keys(store: Store, *prefix: str, **options: Any) -> list[str]:
    return [item.key for item in await store.search(prefix, **options)]


async def test_an_item_is_read_back_as_it_was_stored(store: Store) -> None:
    value = {"text": "naïve 😀", "nested": {"list": [1, 2.5, None, True]}}

    await store.put(["users", "ada"], "note", value)

    item = await store.get(["users", "ada"], "note")
    assert item is not None
    assert (item.namespace, item.key, item.value) == (["users", "ada"], "note", value)


async def test_a_missing_item_is_none_and_deleting_it_is_no_error(store: Store) -> None:
    await store.delete(["a"], "k")

    assert await store.get(["a"], "k") is None


async def test_putting_again_replaces_the_value_and_keeps_the_time_of_creation(store: Store) -> None:
    await store.put(["a"], "k", {"n": 1})
    first = await store.get(["a"], "k")
    await store.put(["a"], "k", {"n": 2})
    second = await store.get(["a"], "k")

    assert first is not None
    assert second is not None
    assert second.value == {"n": 2}
    assert second.created_at == first.created_at
    assert second.updated_at > first.updated_at


@pytest.mark.parametrize("namespace", [["a.b"], [""], ["a", ""], ["a\0b"]])
async def test_labels_that_are_empty_or_hold_a_dot_are_refused(store: Store, namespace: list[str]) -> None:
    with pytest.raises(InvalidRequest):
        await store.put(namespace, "k", {})


@pytest.mark.parametrize("namespace", [[], ["langgraph"], ["langgraph", "x"]])
async def test_an_empty_or_reserved_namespace_is_refused(store: Store, namespace: list[str]) -> None:
    with pytest.raises(InvalidState):
        await store.put(namespace, "k", {})


async def test_a_prefix_ends_at_a_label_and_not_in_the_middle_of_one(store: Store) -> None:
    for namespace in (["user"], ["user", "a"], ["user", "a", "b"], ["users"], ["user-x"], ["user é"], ["use"]):
        await store.put(namespace, "/".join(namespace), {})

    assert set(await _keys(store, "user")) == {"user", "user/a", "user/a/b"}
    assert set(await _keys(store, "user", "a")) == {"user/a", "user/a/b"}
    assert len(await _keys(store)) == 7


async def test_without_a_query_the_item_updated_last_comes_first(store: Store) -> None:
    for key in ("one", "two", "three"):
        await store.put(["a"], key, {})
    await store.put(["a"], "one", {"again": True})

    assert await _keys(store, "a") == ["one", "three", "two"]
    assert await _keys(store, "a", limit=1, offset=1) == ["three"]


@pytest.mark.parametrize(
    ("filter", "found"),
    [
        ({"kind": "x"}, {"a", "b"}),
        ({"kind": {"$eq": "x"}}, {"a", "b"}),
        ({"kind": {"$ne": "x"}}, {"c", "d"}),
        ({"n": {"$gt": 1}}, {"b", "c"}),
        ({"n": {"$gte": 1, "$lt": 10}}, {"a", "b"}),
        ({"n": {"$lte": 2}, "kind": "x"}, {"a", "b"}),
        ({"kind": "x", "n": 2}, {"b"}),
        ({"deep": {"k": [1, 2]}}, {"d"}),
        ({"deep": {"k": [1]}}, set()),
        ({"deep": {}}, set()),
        ({"gone": None}, {"d"}),
        ({"kind": {"$gt": 1}}, set()),
        ({'it\'s %s "quoted"': "x"}, set()),
    ],
)
async def test_filters_compare_whole_values_or_by_operator(
    store: Store, filter: dict[str, Any], found: set[str]
) -> None:
    await store.put(["f"], "a", {"kind": "x", "n": 1})
    await store.put(["f"], "b", {"kind": "x", "n": 2})
    await store.put(["f"], "c", {"kind": "y", "n": 10})
    await store.put(["f"], "d", {"deep": {"k": [1, 2]}, "n": "2", "gone": None})

    assert set(await _keys(store, "f", filter=filter)) == found


async def test_an_operator_that_does_not_exist_is_refused(store: Store) -> None:
    with pytest.raises(InvalidState, match="near"):
        await store.search([], filter={"n": {"$near": 1}})


async def test_namespaces_are_listed_by_prefix_suffix_wildcard_and_depth(store: Store) -> None:
    for namespace in (["u", "a", "notes"], ["u", "b", "notes"], ["u", "b", "files", "x"], ["z"]):
        await store.put(namespace, "k", {})

    assert await store.list_namespaces(prefix=["u"]) == [
        ["u", "a", "notes"],
        ["u", "b", "files", "x"],
        ["u", "b", "notes"],
    ]
    assert await store.list_namespaces(suffix=["notes"]) == [["u", "a", "notes"], ["u", "b", "notes"]]
    assert await store.list_namespaces(prefix=["u", "*", "notes"]) == [["u", "a", "notes"], ["u", "b", "notes"]]
    assert await store.list_namespaces(suffix=["b", "*"]) == [["u", "b", "notes"]]
    assert await store.list_namespaces(max_depth=2) == [["u", "a"], ["u", "b"], ["z"]]
    assert await store.list_namespaces(max_depth=1, limit=1, offset=1) == [["z"]]


async def _expire(database: Database, key: str) -> None:
    async with database.connection() as connection:
        await connection.execute("UPDATE store_items SET expires_at = now() - interval '1 s' WHERE key = %s", (key,))


async def test_an_expired_item_is_gone_before_it_is_swept_and_swept_once(store: Store, database: Database) -> None:
    await store.put(["t"], "short", {}, ttl_minutes=1)
    await store.put(["t"], "long", {})
    await _expire(database, "short")

    assert await store.get(["t"], "short") is None
    assert await _keys(store, "t") == ["long"]
    assert await store.list_namespaces(prefix=["t"]) == [["t"]]
    assert sorted(await asyncio.gather(store.sweep(), store.sweep())) == [0, 1]


async def test_an_item_put_over_an_expired_one_is_new(store: Store, database: Database) -> None:
    await store.put(["t"], "k", {}, ttl_minutes=1)
    first = await store.get(["t"], "k")
    await _expire(database, "k")
    await store.put(["t"], "k", {})

    second = await store.get(["t"], "k")
    assert first is not None
    assert second is not None
    assert second.created_at > first.created_at


async def _expires_in_seconds(database: Database, key: str) -> float:
    async with database.connection() as connection:
        cursor = await connection.execute(
            "SELECT extract(epoch FROM expires_at - now())::float8 FROM store_items WHERE key = %s", (key,)
        )
        row = await cursor.fetchone()
    assert row is not None
    return row[0]


@pytest.mark.parametrize(("asked", "refreshed"), [(None, True), (True, True), (False, False)])
@pytest.mark.parametrize("reading", ["get", "search"])
async def test_reading_prolongs_the_life_of_an_item_unless_told_otherwise(
    store: Store, database: Database, asked: bool | None, refreshed: bool, reading: str
) -> None:
    await store.put(["t"], "k", {}, ttl_minutes=10)
    async with database.connection() as connection:
        await connection.execute("UPDATE store_items SET expires_at = now() + interval '60 s'")

    if reading == "get":
        await store.get(["t"], "k", refresh_ttl=asked)
    else:
        await store.search(["t"], refresh_ttl=asked)

    assert (await _expires_in_seconds(database, "k") > 500) is refreshed


async def test_the_configured_ttl_is_for_items_put_without_one(database: Database) -> None:
    store = Store(database, config=StoreConfig(default_ttl_minutes=2))

    await store.put(["t"], "default", {})
    await store.put(["t"], "own", {}, ttl_minutes=20)

    assert 100 < await _expires_in_seconds(database, "default") <= 120
    assert 1100 < await _expires_in_seconds(database, "own") <= 1200


async def test_many_writers_of_the_same_items_do_not_wait_for_each_other_for_ever(store: Store) -> None:
    keys = [str(number) for number in range(20)]
    batches = [
        [PutItem(namespace=("w",), key=key, value={"by": writer}) for key in (keys if writer % 2 else keys[::-1])]
        for writer in range(6)
    ]

    await asyncio.gather(*(store.write(batch) for batch in batches))

    values = {item.value["by"] for item in await store.search(["w"], limit=100)}
    assert len(values) == 1


async def test_of_several_writes_all_or_none_happen(store: Store) -> None:
    with pytest.raises(InvalidState):
        await store.write(
            [PutItem(namespace=("a",), key="k", value={}), PutItem(namespace=("langgraph",), key="k", value={})]
        )

    assert await store.search([]) == []


async def test_without_an_index_a_query_is_ignored(store: Store) -> None:
    await store.put(["a"], "k", {"text": "cat"})

    found = await store.search(["a"], query="dog")

    assert [(item.key, item.score) for item in found] == [("k", None)]
    assert not store.is_semantic
    assert store.problem


async def test_a_query_ranks_by_similarity_and_items_without_vectors_come_last(semantic: Store) -> None:
    await semantic.put(["a"], "cats", {"text": "cat cat"})
    await semantic.put(["a"], "ships", {"text": "ship"})
    await semantic.put(["a"], "hidden", {"text": "cat"}, index=False)
    await semantic.put(["a"], "both", {"text": "cat dog"})

    found = await semantic.search(["a"], query="cat")

    assert [item.key for item in found] == ["cats", "both", "ships", "hidden"]
    assert found[0].score == pytest.approx(1, abs=0.01)
    assert found[3].score is None
    assert await _keys(semantic, "a", query="cat", limit=2, offset=2) == ["ships", "hidden"]
    assert await _keys(semantic, "a", query="cat", limit=2, offset=3) == ["hidden"]


async def test_a_query_keeps_to_namespace_and_filter(semantic: Store) -> None:
    await semantic.put(["a"], "mine", {"text": "cat", "n": 1})
    await semantic.put(["a"], "other", {"text": "cat", "n": 2})
    await semantic.put(["b"], "theirs", {"text": "cat", "n": 1})

    assert await _keys(semantic, "a", query="cat", filter={"n": 1}) == ["mine"]


async def test_each_path_is_embedded_apart_and_the_best_one_counts(semantic: Store) -> None:
    await semantic.put(["a"], "two", {"title": "dog", "body": "ship ship"}, index=["title", "body"])
    await semantic.put(["a"], "one", {"title": "dog cat", "body": "-"}, index=["title"])

    assert await _keys(semantic, "a", query="dog") == ["two", "one"]
    assert await _keys(semantic, "a", query="ship") == ["two", "one"]
    assert await _keys(semantic, "a", query="dog", limit=1, offset=1) == ["one"]


async def test_items_with_many_vectors_do_not_crowd_out_the_others(semantic: Store) -> None:
    paths = [f"p{number}" for number in range(30)]
    await semantic.put(["a"], "crowd", dict.fromkeys(paths, "cat"), index=paths)
    for number in range(5):
        await semantic.put(["a"], f"single{number}", {"text": "cat dog dog"})

    assert len(set(await _keys(semantic, "a", query="cat", limit=6))) == 6


async def test_putting_again_replaces_the_vectors(semantic: Store, database: Database) -> None:
    await semantic.put(["a"], "k", {"text": "cat"})
    await semantic.put(["a"], "k", {"text": "dog"})
    await semantic.put(["a"], "l", {"text": "cat dog"})
    await semantic.delete(["a"], "l")

    async with database.connection() as connection:
        cursor = await connection.execute("SELECT namespace, key FROM store_vectors")
        assert await cursor.fetchall() == [(["a"], "k")]
    assert (await semantic.search(["a"], query="dog"))[0].score == pytest.approx(1, abs=0.01)


@pytest.mark.usefixtures("vectors")
@pytest.mark.parametrize(
    ("distance", "score"), [("cosine", 1.0), ("l2", 0.0), ("inner_product", 1.01 * 1.01 + 2 * 0.0001)]
)
@pytest.mark.parametrize("ann", ["hnsw", "ivfflat", "flat"])
async def test_every_distance_and_kind_of_index_gives_the_nearest_first(
    database: Database, index: IndexConfig, distance: Any, score: float, ann: Any
) -> None:
    config = dataclasses.replace(index, distance=distance, ann=ann)
    store = Store(database, config=StoreConfig(index=config))
    await store.prepare()
    assert store.is_semantic, store.problem
    await store.put(["a"], "cat", {"text": "cat"})
    await store.put(["a"], "ship", {"text": "ship"})

    found = await store.search(["a"], query="cat")

    assert [item.key for item in found] == ["cat", "ship"]
    assert found[0].score == pytest.approx(score, abs=1e-3)


@pytest.mark.usefixtures("vectors")
async def test_preparing_twice_and_at_once_is_harmless(database: Database, index: IndexConfig) -> None:
    stores = [Store(database, config=StoreConfig(index=index)) for _ in range(4)]

    await asyncio.gather(*(store.prepare() for store in stores))

    assert all(store.is_semantic for store in stores)


async def test_other_dims_than_those_stored_are_named_and_everything_else_works(
    semantic: Store, database: Database, index: IndexConfig
) -> None:
    other = Store(database, config=StoreConfig(index=dataclasses.replace(index, dims=4)))

    await other.prepare()

    assert "vector(3)" in other.problem
    assert "DROP TABLE store_vectors" in other.problem
    await other.put(["a"], "k", {"text": "cat"})
    assert (await other.search(["a"], query="cat"))[0].score is None


async def test_without_pgvector_everything_else_works_and_the_reason_is_said(
    database: Database, index: IndexConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lgnb.db.vectors._EXTENSION", "no_such_extension")
    store = Store(database, config=StoreConfig(index=index))

    await store.prepare()

    assert "pgvector" in store.problem
    await store.put(["a"], "k", {"text": "cat"})
    assert [item.score for item in await store.search(["a"], query="cat")] == [None]


@pytest.mark.usefixtures("vectors")
async def test_nothing_is_stored_when_the_embedding_fails(database: Database, index: IndexConfig) -> None:
    class Broken(WordCount):
        async def embed(self, texts: list[str]) -> list[list[float]]:
            raise EmbeddingFailed("out of credits")

    store = Store(database, config=StoreConfig(index=dataclasses.replace(index, embedder=Broken())))
    await store.prepare()

    with pytest.raises(EmbeddingFailed):
        await store.put(["a"], "k", {"text": "cat"})

    assert await store.get(["a"], "k") is None


class Circle(WordCount):
    """Embeds the number in a text as a point on a circle."""

    async def embed(self, texts: list[str]) -> list[list[float]]:
        angles = [int(text) / 10_000 * math.pi for text in texts]
        return [[math.cos(angle), math.sin(angle), 0.0] for angle in angles]


@pytest.mark.usefixtures("vectors")
async def test_a_search_among_ten_thousand_items_is_one_indexed_query(database: Database) -> None:
    config = IndexConfig(dims=3, embedder=Circle(), fields=["n"])
    store = Store(database, config=StoreConfig(index=config))
    await store.prepare()
    for start in range(0, 10_000, 2500):
        await store.write(
            [PutItem(namespace=("n",), key=str(n), value={"n": n, "odd": n % 2}) for n in range(start, start + 2500)]
        )

    found = await store.search(["n"], query="5000", limit=5)
    odd = await store.search(["n"], query="5000", limit=5, filter={"odd": 1})

    assert {item.key for item in found} == {"4998", "4999", "5000", "5001", "5002"}
    assert {item.value["odd"] for item in odd} == {1}
    assert len(odd) == 5
    async with database.transaction() as connection:
        await connection.execute("ANALYZE store_items; ANALYZE store_vectors")
        conditions, params = item_conditions(ItemQuery())
        statement = VectorRepository(connection, config, version=(0, 8)).statement(conditions)
        cursor = await connection.execute(
            sql.SQL("EXPLAIN ") + statement, {**params, "vector": "[0,1,0]", "enough": 10, "most": 10}
        )
        plan = "\n".join(row[0] for row in await cursor.fetchall())
    assert "Index Scan using store_vectors_hnsw_cosine" in plan
    assert "Seq Scan" not in plan
