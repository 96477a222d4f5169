"""Sections of langgraph.json become checked configuration, or one sentence about what is wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lgnb.errors import EmbeddingFailed, SettingsError
from lgnb.graphs.configuration import Configuration, configuration_of
from lgnb.graphs.project import Project
from lgnb.graphs.webhook_section import filled_headers
from lgnb.models.http import CorsConfig
from lgnb.models.threads import ThreadTtl, ThreadTtlConfig
from lgnb.settings import Settings

_EMBED = """
from sibling import SIZE

def embed(texts):
    return [[float(len(text))] * SIZE for text in texts]

async def later(texts):
    return [[0.0, 1.0, 2.0] for text in texts]

def wrong(texts):
    return [[1.0]]

nothing = 1
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "embed.py").write_text(_EMBED)
    (tmp_path / "sibling.py").write_text("SIZE = 3")
    return tmp_path


def _configured(folder: Path, **sections: Any) -> Configuration:
    path = folder / "langgraph.json"
    path.write_text(json.dumps({"graphs": {"a": "a:g"}, **sections}))
    return configuration_of(Project.load(path))


def _index(embed: str, **more: Any) -> dict[str, Any]:
    return {"index": {"dims": 3, "embed": embed, **more}}


def test_without_a_file_there_is_no_expiry_and_no_index() -> None:
    store = configuration_of(Project.builtin()).store

    assert (store.default_ttl_minutes, store.refresh_on_read, store.index) == (None, True, None)


@pytest.mark.parametrize("embed", ["./embed.py:embed", "./embed.py:later"])
async def test_an_embedding_is_a_function_in_a_file_sync_or_async(folder: Path, embed: str) -> None:
    index = _configured(folder, store=_index(embed, fields=["a[*].b", "c"])).store.index

    assert index is not None
    assert len((await index.embedder.embed(["one", "three"]))[1]) == 3
    assert len(await index.embedder.embed_query("one")) == 3
    assert index.embedder.texts({"a": [{"b": "x"}, {"b": "y"}], "c": 1, "d": 2}, index.fields) == [
        ("a[*].b", "x"),
        ("a[*].b", "y"),
        ("c", "1"),
    ]


async def test_vectors_of_another_size_than_dims_are_refused(folder: Path) -> None:
    index = _configured(folder, store=_index("./embed.py:wrong")).store.index

    assert index is not None
    with pytest.raises(EmbeddingFailed, match="dims is 3"):
        await index.embedder.embed(["x"])


@pytest.mark.parametrize(
    ("section", "sentence"),
    [
        (_index("./gone.py:embed"), "gone.py"),
        (_index("./embed.py:gone"), "'gone'"),
        (_index("./embed.py:nothing"), "function"),
        (_index("nobody:some-model"), "nobody:some-model"),
        ({"index": {"embed": "./embed.py:embed"}}, "store.index.dims"),
        (_index("./embed.py:embed", distance_type="near"), "distance_type"),
        ({"ttl": {"default_ttl": -1}}, "store.ttl.default_ttl"),
        ({"path": "./mine.py:store"}, "store.path"),
    ],
)
def test_what_is_wrong_with_a_store_is_named(folder: Path, section: dict[str, Any], sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence):
        _configured(folder, store=section)


@pytest.mark.parametrize(
    ("dims", "kind", "vector_type"),
    [(2000, "hnsw", "vector"), (2001, "hnsw", "halfvec"), (4000, "hnsw", "halfvec"), (4001, "flat", "vector")],
)
def test_long_vectors_are_stored_so_that_they_can_be_indexed(
    folder: Path, dims: int, kind: str, vector_type: str
) -> None:
    index = _configured(folder, store={"index": {"dims": dims, "embed": "./embed.py:embed"}}).store.index

    assert index is not None
    assert (index.ann, index.vector_type) == (kind, vector_type)


def test_keys_that_nobody_knows_are_named_with_the_nearest_known_one(folder: Path) -> None:
    warnings = _configured(
        folder,
        store={"ttl": {"defaultttl": 1}, "zzz": {}},
        checkpointer={"sered": {}},
        webhooks={"url": {"require_http": True}},
        http={"mount": "/x", "cors": {"origins": []}, "configurable_headers": {"include": []}},
    ).warnings

    for sentence in (
        "'store.ttl.defaultttl' is unknown and ignored; did you mean 'default_ttl'?",
        "'store.zzz' is unknown and ignored.",
        "'checkpointer.sered' is unknown and ignored; did you mean 'serde'?",
        "'webhooks.url.require_http' is unknown and ignored; did you mean 'require_https'?",
        "'http.cors.origins' is unknown and ignored; did you mean 'allow_origins'?",
        "'http.configurable_headers.include' is unknown and ignored; did you mean 'includes'?",
    ):
        assert any(sentence in warning for warning in warnings), sentence


@pytest.mark.parametrize(
    ("section", "sentence"),
    [
        ({"checkpointer": {"path": "./a.py:saver"}}, "checkpointer.path"),
        ({"checkpointer": {"backend": "mongo"}}, "checkpointer.backend"),
        ({"checkpointer": {"serde": {"allowed_msgpack_modules": True}}}, "allowed_msgpack_modules"),
        ({"checkpointer": {"serde": {"allowed_json_modules": True}}}, "allowed_json_modules"),
        ({"http": {"cors": {"allow_origins": ["*"], "allow_credentials": True}}}, "allow_credentials"),
    ],
)
def test_what_is_not_honoured_is_named_and_the_start_goes_on(
    folder: Path, section: dict[str, Any], sentence: str
) -> None:
    warnings = _configured(folder, **section).warnings

    assert [warning for warning in warnings if sentence in warning and "not honoured" in warning]


def test_types_of_checkpoints_are_allowed_by_name(folder: Path) -> None:
    serde = {"allowed_msgpack_modules": ["my.pkg.State", ["my.pkg", "Other"]], "allowed_json_modules": ["a.b.C"]}

    revival = _configured(folder, checkpointer={"serde": serde}).revival

    assert revival.msgpack_types == (("my.pkg", "State"), ("my.pkg", "Other"))
    assert [list(name) for name in revival.json_types] == [["a", "b", "C"]]


@pytest.mark.parametrize(
    ("serde", "sentence"),
    [
        ({"pickle_fallback": True}, "runs whatever code it names"),
        ({"allowed_msgpack_modules": ["State"]}, "dotted name"),
        ({"allowed_msgpack_modules": "my.State"}, "allowed_msgpack_modules"),
    ],
)
def test_what_is_wrong_with_serde_is_named(folder: Path, serde: dict[str, Any], sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence):
        _configured(folder, checkpointer={"serde": serde})


def test_the_http_section_becomes_configuration(folder: Path) -> None:
    http = _configured(
        folder,
        http={
            "app": "./web.py:app",
            "mount_prefix": "/api/v1",
            "disable_store": True,
            "disable_meta": True,
            "cors": {"allow_origins": ["https://a.example"], "allow_methods": ["post"]},
            "configurable_headers": {"includes": ["X-*"], "excludes": ["x-secret-*"]},
        },
    ).http

    assert (http.app, http.mount_prefix, http.disabled) == ("./web.py:app", "/api/v1", {"store", "meta"})
    assert http.cors == CorsConfig(allow_origins=("https://a.example",), allow_methods=("POST",))
    assert http.configurable_headers.picks("X-Tenant")
    assert not http.configurable_headers.picks("X-Secret-Tenant")
    assert not http.configurable_headers.picks("X-Api-Key")


@pytest.mark.parametrize(
    ("section", "sentence"),
    [
        ({"mount_prefix": "v1"}, "begin with a slash"),
        ({"mount_prefix": "/v1/"}, "begin with a slash"),
        ({"mount_prefix": "/noauth/x"}, "reserved"),
        ({"app": "web.py"}, "http.app"),
        ({"middleware_order": "last"}, "http.middleware_order"),
        ({"cors": {"allow_origin_regex": "("}}, "http.cors.allow_origin_regex"),
        ({"disable_store": "perhaps"}, "http.disable_store"),
    ],
)
def test_what_is_wrong_with_http_is_named(folder: Path, section: dict[str, Any], sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence):
        _configured(folder, http=section)


def test_settings_stand_in_for_what_the_file_says_of_http(folder: Path) -> None:
    path = folder / "langgraph.json"
    path.write_text(json.dumps({"graphs": {"a": "a:g"}, "http": {"mount_prefix": "/v1", "cors": {}}}))
    project = Project.load(path)

    http = configuration_of(project, Settings(mount_prefix="/v2", cors="https://a.example", event_streaming=False)).http

    assert (http.mount_prefix, http.disabled) == ("/v2", {"event_streaming"})
    assert http.cors is not None
    assert http.cors.grants("https://a.example")
    assert not http.cors.grants("https://b.example")
    of_json = configuration_of(project, Settings(cors='{"allow_origin_regex": "https://.*[.]example"}')).http.cors
    assert of_json is not None
    assert of_json.grants("https://b.example")
    assert not of_json.grants("https://b.example.org")
    for wrong in ({"mount_prefix": "v2"}, {"cors": "{"}, {"cors": '{"max_age": -1}'}):
        with pytest.raises(SettingsError):
            configuration_of(project, Settings(**wrong))  # type: ignore[arg-type]


def test_a_url_block_makes_https_the_rule(folder: Path) -> None:
    assert not _configured(folder).webhooks.policy.require_https
    policy = _configured(folder, webhooks={"url": {"allowed_ports": [443]}}).webhooks.policy
    assert (policy.require_https, policy.max_url_length, policy.allowed_ports) == (True, 2048, (443,))


def test_headers_are_filled_from_variables_with_the_prefix(folder: Path) -> None:
    config = _configured(folder, webhooks={"headers": {"X-Key": "a ${{ env.LG_WEBHOOK_KEY }}!"}}).webhooks

    assert filled_headers(config.headers, {"LG_WEBHOOK_KEY": "hush"}) == {"X-Key": "a hush!"}
    with pytest.raises(SettingsError, match="LG_WEBHOOK_KEY"):
        filled_headers(config.headers, {})
    with pytest.raises(SettingsError, match="X-Key"):
        filled_headers(config.headers, {"LG_WEBHOOK_KEY": "a\r\nB: c"})


@pytest.mark.parametrize(
    ("section", "sentence"),
    [
        ({"headers": {"X": "${{ env.HOME }}"}}, "HOME"),
        ({"headers": {"Bad Name": "x"}}, "Bad Name"),
        ({"headers": {"Host": "x"}}, "Host"),
        ({"headers": {"X-Lgnb-Signature": "x"}}, "X-Lgnb-Signature"),
        ({"allowed_fields": ["run_id", "secret"]}, "allowed_fields"),
        ({"url": {"max_url_length": 0}}, "max_url_length"),
    ],
)
def test_what_is_wrong_with_webhooks_is_named(folder: Path, section: dict[str, Any], sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence):
        _configured(folder, webhooks=section)


def test_webhooks_can_be_switched_off(folder: Path) -> None:
    assert _configured(folder).webhooks.enabled
    assert not _configured(folder, http={"disable_webhooks": True}).webhooks.enabled


def test_the_ttl_of_threads_comes_from_the_checkpointer_or_the_environment(folder: Path) -> None:
    section = {"ttl": {"strategy": "keep_latest", "default_ttl": 5, "sweep_interval_minutes": 1, "sweep_limit": 3}}
    path = folder / "langgraph.json"
    path.write_text(json.dumps({"graphs": {"a": "a:g"}, "checkpointer": {**section, "path": "./mine.py:saver"}}))
    project = Project.load(path)

    of_file = configuration_of(project)
    of_number = configuration_of(project, Settings(thread_ttl="30")).thread_ttl
    of_json = configuration_of(project, Settings(thread_ttl='{"default_ttl": 2, "strategy": "keep_latest"}')).thread_ttl

    assert of_file.thread_ttl == ThreadTtlConfig(
        default=ThreadTtl(ttl_minutes=5, strategy="keep_latest"), sweep_interval_minutes=1, sweep_limit=3
    )
    assert of_number == ThreadTtlConfig(default=ThreadTtl(ttl_minutes=30, strategy="delete"))
    assert of_json == ThreadTtlConfig(default=ThreadTtl(ttl_minutes=2, strategy="keep_latest"))
    assert any("checkpointer.path" in warning for warning in of_file.warnings)
    for wrong in ("soon", "[1]", "-1", "true", '{"strategy": "burn"}'):
        with pytest.raises(SettingsError, match="thread_ttl"):
            configuration_of(project, Settings(thread_ttl=wrong))
