"""The frozen Settings of one process, read once and checked at start.

Every field is also an environment variable `LGNB_<FIELD>`, an option of the commands and a trait of
the server extension. A few well-known names of other LangGraph servers are read as second choice.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, get_type_hints

import platformdirs

from .errors import SettingsError

Isolation = Literal["auto", "always", "never"]
LogFormat = Literal["text", "json"]
Ownership = Literal["auto", "always", "never"]

_REDIS_SCHEMES = (
    *("redis://", "rediss://", "unix://"),
    *("redis+sentinel://", "rediss+sentinel://", "redis+cluster://", "rediss+cluster://"),
)
_FLAGS = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}


def _setting(default: Any, help: str, *, also: tuple[str, ...] = (), minimum: float | None = None, **kw: Any) -> Any:
    metadata = {"help": help, "also": also, "minimum": minimum, **kw}
    # A secret must not get into a log with the settings.
    shown = not kw.get("secret")
    if callable(default):
        return field(default_factory=default, metadata=metadata, repr=shown)
    return field(default=default, metadata=metadata, repr=shown)


def _default_data_dir() -> Path:
    return Path(platformdirs.user_data_dir("lgnb"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What one host or worker was told. Durations are seconds, sizes are bytes."""

    config: Path | None = _setting(
        None,
        "Path of langgraph.json. By default the one in the notebooks' folder, then the one in the current folder; "
        "where there is none, the built-in example graphs are served.",
    )
    data_dir: Path = _setting(_default_data_dir, "Where the embedded Postgres and Valkey keep their data.")
    postgres_uri: str | None = _setting(
        None, "Postgres to use instead of the embedded one.", also=("DATABASE_URI", "POSTGRES_URI"), secret=True
    )
    redis_uri: str | None = _setting(
        None,
        "Redis or Valkey to use instead of the embedded one; also redis+sentinel:// and redis+cluster://.",
        also=("REDIS_URI",),
        secret=True,
    )
    redis_key_prefix: str = _setting(
        "lgnb",
        "First part of every Redis key, so that several servers can share one Redis.",
        also=("REDIS_KEY_PREFIX",),
    )
    postgres_pool_size: int = _setting(
        16, "Most Postgres connections one process opens.", also=("LANGGRAPH_POSTGRES_POOL_MAX_SIZE",), minimum=2
    )
    workers: int = _setting(1, "Worker processes the host starts; 0 serves the API only.", minimum=0)
    jobs: int = _setting(100, "Runs one worker executes at once.", also=("N_JOBS_PER_WORKER",), minimum=1)
    isolated_loops: Isolation = _setting(
        "auto",
        "Whether each run gets an event loop of its own: auto (only graphs seen to block theirs), always, never.",
        choices=("auto", "always", "never"),
    )
    lease_seconds: float = _setting(6.0, "How long a claim on a run lasts without a heartbeat.", minimum=1)
    poll_seconds: float = _setting(1.0, "How often a worker looks into Postgres without being woken.", minimum=0.05)
    max_attempts: int = _setting(
        3, "Attempts of one run before it ends in error.", also=("BG_JOB_MAX_RETRIES",), minimum=1
    )
    run_timeout_seconds: float = _setting(
        86400.0, "Longest time one attempt of a run may take.", also=("BG_JOB_TIMEOUT_SECS",), minimum=0.01
    )
    drain_seconds: float = _setting(
        10.0,
        "How long a stopping worker waits for its runs before it gives them back.",
        also=("BG_JOB_SHUTDOWN_GRACE_PERIOD_SECS",),
        minimum=0,
    )
    stream_ttl_seconds: float = _setting(
        120.0, "How long the events of an ended run can be replayed.", also=("RESUMABLE_STREAM_TTL_SECONDS",), minimum=1
    )
    protocol_buffer: int = _setting(
        10_000,
        "How many events of a thread the thread protocol keeps for replay.",
        also=("LSD_PROTOCOL_V2_BUFFER_SIZE",),
        minimum=1,
    )
    heartbeat_seconds: float = _setting(5.0, "Period of the heartbeat on open streams and waits.", minimum=0.05)
    max_body_bytes: int = _setting(
        300 * 1024 * 1024, "Largest accepted request body.", also=("HTTP_MAX_REQUEST_BODY_BYTES",), minimum=1024
    )
    max_event_bytes: int = _setting(
        64 * 1024 * 1024, "Largest event of a stream; instead of a larger one, readers get a `gap` event.", minimum=1024
    )
    max_streams: int = _setting(
        10_000, "Streams and waits that one host keeps open at once; 0 for no limit. Beyond it: 429.", minimum=0
    )
    max_streams_per_user: int = _setting(2_000, "The same for one user, or one key; 0 for no limit.", minimum=0)
    max_queued_runs: int = _setting(
        0, "Pending runs of all users at which no more are accepted (429); 0 for no limit.", minimum=0
    )
    max_runs_per_user: int = _setting(
        0, "Pending and running runs of one user, or one key; 0 for no limit. Beyond it: 429.", minimum=0
    )
    max_batch: int = _setting(1_000, "Most runs in one batch, and most supersteps of a new thread (422).", minimum=1)
    min_cron_seconds: float = _setting(
        1.0, "Shortest time between two runs of a cron; schedules that come more often are refused (422).", minimum=1
    )

    log_format: LogFormat = _setting(
        "text",
        "What logs look like: text, or json: one object per line, those of workers with run_id, thread_id and attempt.",
        choices=("text", "json"),
    )

    api_keys: str = _setting(
        "", "Keys that clients may send as x-api-key, besides the server's own: comma separated.", secret=True
    )
    api_url: str | None = _setting(
        None,
        "Root of the API for get_client() without a URL in the graphs of `lgnb worker`, such as "
        "http://host:8123/lgnb; hosts tell it to the workers that they start.",
    )
    worker_key: str | None = _setting(
        None,
        "Key with which workers call the API for their runs: the same for hosts and for workers on other machines. "
        "Without one, each host makes one for the workers that it starts.",
        secret=True,
    )

    ownership: Ownership = _setting(
        "auto",
        "Whether each user of the server reaches only what is his own: auto (under JupyterHub, unless the server is "
        "one user's and has the embedded database), always, never. An auth module decides for itself.",
        choices=("auto", "always", "never"),
    )
    mount_prefix: str | None = _setting(
        None,
        "What every path of the API begins with below its root, such as /v1; instead of http.mount_prefix.",
        also=("MOUNT_PREFIX",),
    )
    cors: str | None = _setting(
        None,
        "Origins whose pages may call the API, comma separated, or the JSON of http.cors; instead of what "
        "langgraph.json says. By default what Jupyter is told counts (allow_origin, allow_origin_pat).",
        also=("CORS_CONFIG", "CORS_ALLOW_ORIGINS"),
    )
    event_streaming: bool = _setting(True, "Whether the thread protocol is served.", also=("FF_V2_EVENT_STREAMING",))

    aes_key: str | None = _setting(
        None,
        "Key of 16, 24 or 32 bytes that checkpoints are encrypted with in Postgres; hosts and workers need the same.",
        also=("LANGGRAPH_AES_KEY",),
        secret=True,
    )
    aes_json_keys: str = _setting(
        "",
        "Keys whose values are encrypted with it wherever they are in metadata, configs, requests, values and store "
        "items: comma separated.",
        also=("LANGGRAPH_AES_JSON_KEYS",),
    )
    thread_ttl: str | None = _setting(
        None,
        "Minutes that threads live when their creator says nothing, or the JSON of checkpointer.ttl; "
        "instead of what langgraph.json says.",
        also=("LANGGRAPH_THREAD_TTL",),
    )
    webhook_secret: str | None = _setting(
        None, "Key of the signatures of webhooks; without one they are not signed.", secret=True
    )

    @classmethod
    def from_environment(
        cls, *, environment: Mapping[str, str] | None = None, overrides: Mapping[str, Any] | None = None
    ) -> Settings:
        """Read the environment, then apply `overrides` whose value is not None.

        Raises:
            SettingsError: a value cannot be read or lies outside what is allowed.
        """
        environment = os.environ if environment is None else environment
        hints = get_type_hints(cls)
        values: dict[str, Any] = {}
        for spec in fields(cls):
            names = (f"LGNB_{spec.name.upper()}", *spec.metadata["also"])
            for name in names:
                text = environment.get(name)
                if text:
                    values[spec.name] = _read(name, text, hints[spec.name])
                    break
            given = (overrides or {}).get(spec.name)
            if given is not None:
                values[spec.name] = _read(spec.name, given, hints[spec.name])
        settings = cls(**values)
        settings.check()
        return settings

    def with_values(self, **changes: Any) -> Settings:
        """A checked copy with some fields replaced."""
        settings = replace(self, **changes)
        settings.check()
        return settings

    def with_config_of(self, *directories: Path) -> Settings:
        """These settings; if no configuration was named, with the first langgraph.json of these directories."""
        if self.config is not None:
            return self
        found = (directory / "langgraph.json" for directory in directories)
        return self.with_values(config=next((path.absolute() for path in found if path.is_file()), None))

    def check(self) -> None:
        """Refuse values outside their bounds with one sentence."""
        for spec in fields(self):
            value = getattr(self, spec.name)
            minimum, choices = spec.metadata["minimum"], spec.metadata.get("choices")
            if minimum is not None and value < minimum:
                raise SettingsError(f"{spec.name} is {value}, but must be at least {minimum}.")
            if choices and value not in choices:
                raise SettingsError(f"{spec.name} is {value!r}, but must be one of {', '.join(choices)}.")
        if self.config is not None and not self.config.is_file():
            raise SettingsError(f"There is no file {self.config}; give the path of your langgraph.json.")
        if self.postgres_uri and not self.postgres_uri.startswith(("postgres://", "postgresql://")):
            raise SettingsError("postgres_uri must begin with postgresql://.")
        if self.redis_uri and not self.redis_uri.startswith(_REDIS_SCHEMES):
            raise SettingsError(f"redis_uri must begin with {', '.join(_REDIS_SCHEMES[:-1])} or {_REDIS_SCHEMES[-1]}.")
        if self.api_url and not self.api_url.startswith(("http://", "https://")):
            raise SettingsError("api_url must begin with http:// or https://.")

    def environment(self) -> dict[str, str]:
        """These settings as environment variables, for a child process."""
        return {
            f"LGNB_{spec.name.upper()}": str(value)
            for spec in fields(self)
            if (value := getattr(self, spec.name)) is not None
        }


def _read(name: str, value: Any, hint: Any) -> Any:
    try:
        if hint is int:
            return int(value)
        if hint is float:
            return float(value)
        if hint is bool:
            return value if isinstance(value, bool) else _FLAGS[str(value).lower()]
        if hint is Path or hint == Path | None:
            return Path(value).expanduser().absolute()
        return str(value)
    except (ValueError, KeyError):
        kind = "true or false" if hint is bool else "a whole number" if hint is int else "a number"
        raise SettingsError(f"{name} is {value!r}, but must be {kind}.") from None
