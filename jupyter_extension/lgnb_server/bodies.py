"""Request bodies of the API, as pydantic models.

Types are strict (the text "10" is no number), unknown fields are ignored and named in a header, and null means the
same as leaving a field out wherever null has no meaning of its own.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal, cast
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from typing_extensions import TypedDict

from lgnb.models.crons import OnRunCompleted
from lgnb.models.runs import CancelAction, Durability, MultitaskStrategy, RunRequest
from lgnb.models.threads import ThreadStatus, ThreadTtl, TtlStrategy
from lgnb.resources.crons import CronChange

_INT32 = 2**31 - 1


def _time_of(value: Any) -> datetime:
    """A time as clients write it; pydantic would take any number for one."""
    if not isinstance(value, str):
        raise ValueError("must be a time as text, such as 2030-01-31T12:00:00Z")
    return datetime.fromisoformat(value)


Id = Annotated[UUID, Field(strict=False)]
Limit = Annotated[int, Field(ge=1, le=1000)]
Offset = Annotated[int, Field(ge=0, le=_INT32)]
Object = dict[str, Any]
Order = Literal["asc", "desc"]
NodeNames = Literal["*"] | list[str]
StreamMode = Literal[
    "values", "messages", "messages-tuple", "updates", "events", "debug", "tasks", "checkpoints", "custom"
]

AssistantColumn = Literal[
    "assistant_id",
    "graph_id",
    "config",
    "context",
    "metadata",
    "name",
    "created_at",
    "updated_at",
    "version",
    "description",
]
ThreadColumn = Literal[
    "thread_id",
    "created_at",
    "updated_at",
    "state_updated_at",
    "metadata",
    "config",
    "status",
    "values",
    "interrupts",
    "error",
]
RunColumn = Literal[
    "run_id",
    "thread_id",
    "assistant_id",
    "metadata",
    "status",
    "kwargs",
    "multitask_strategy",
    "created_at",
    "updated_at",
    "langsmith_session_name",
]
CronColumn = Literal[
    "cron_id",
    "assistant_id",
    "thread_id",
    "user_id",
    "end_time",
    "schedule",
    "timezone",
    "payload",
    "next_run_date",
    "metadata",
    "on_run_completed",
    "enabled",
    "created_at",
    "updated_at",
]
StateColumn = Literal[
    "values",
    "next",
    "tasks",
    "metadata",
    "created_at",
    "checkpoint",
    "parent_checkpoint",
    "interrupts",
    "checkpoint_id",
    "parent_checkpoint_id",
]


class Config(TypedDict, total=False):
    """A RunnableConfig as clients send it; further keys are kept."""

    __pydantic_config__ = ConfigDict(extra="allow", strict=True)  # pyright: ignore[reportGeneralTypeIssues]  # pydantic's name for it

    tags: list[str] | None
    recursion_limit: Annotated[int, Field(ge=1, le=_INT32)] | None
    configurable: Object | None
    metadata: Object | None


class Body(BaseModel):
    """What every body has in common."""

    model_config = ConfigDict(strict=True, extra="ignore", populate_by_name=True)

    # Fields whose null is a value, or a mistake worth telling.
    null_matters: ClassVar[frozenset[str]] = frozenset()

    @model_validator(mode="before")
    @classmethod
    def _drop_nulls(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        fields = cast(dict[str, Any], value)
        return {name: item for name, item in fields.items() if item is not None or name in cls.null_matters}


class AssistantCreate(Body):
    graph_id: str = Field(min_length=1, max_length=1024)
    assistant_id: Id | None = None
    config: Config = Field(default_factory=Config)
    context: Object = Field(default_factory=dict)
    metadata: Object = Field(default_factory=dict)
    if_exists: Literal["raise", "do_nothing"] = "raise"
    name: str | None = None
    description: str | None = None


class AssistantPatch(Body):
    graph_id: str | None = Field(default=None, min_length=1, max_length=1024)
    config: Config | None = None
    context: Object | None = None
    metadata: Object | None = None
    name: str | None = None
    description: str | None = None


class AssistantCount(Body):
    metadata: Object = Field(default_factory=dict)
    graph_id: str | None = None
    name: str | None = None


class AssistantSearch(AssistantCount):
    limit: Limit = 10
    offset: Offset = 0
    sort_by: Literal["assistant_id", "graph_id", "name", "created_at", "updated_at"] | None = None
    sort_order: Order | None = None
    select: list[AssistantColumn] | None = None


class AssistantVersions(Body):
    metadata: Object = Field(default_factory=dict)
    limit: Limit = 10
    offset: Offset = 0


class AssistantLatest(Body):
    version: int = Field(ge=0, le=_INT32)


class Ttl(Body):
    """Minutes until a thread expires, and what is left of it then."""

    ttl: float = Field(gt=0, le=5_256_000)
    strategy: TtlStrategy = "delete"

    @model_validator(mode="before")
    @classmethod
    def _number_is_minutes(cls, value: Any) -> Any:
        return {"ttl": value} if isinstance(value, int | float) and not isinstance(value, bool) else value

    def as_thread_ttl(self) -> ThreadTtl:
        return ThreadTtl(ttl_minutes=self.ttl, strategy=self.strategy)


class SuperstepUpdate(Body):
    values: Any = None
    command: Object | None = None
    as_node: str


class Superstep(Body):
    updates: list[SuperstepUpdate]


class ThreadCreate(Body):
    thread_id: Id | None = None
    metadata: Object = Field(default_factory=dict)
    if_exists: Literal["raise", "do_nothing"] = "raise"
    ttl: Ttl | None = None
    supersteps: list[Superstep] | None = None


class ThreadPatch(Body):
    null_matters = frozenset(("metadata",))

    metadata: Object = Field(default_factory=dict)
    ttl: Ttl | None = None


class ThreadCount(Body):
    metadata: Object = Field(default_factory=dict)
    values: Object = Field(default_factory=dict)
    status: ThreadStatus | None = None


class ThreadSearch(ThreadCount):
    ids: list[str] | None = None
    limit: Limit = 10
    offset: Offset = 0
    sort_by: Literal["thread_id", "status", "created_at", "updated_at", "state_updated_at"] | None = None
    sort_order: Order | None = None
    select: list[ThreadColumn] | None = None
    extract: dict[str, str] | None = None


class ThreadPrune(Body):
    thread_ids: list[Id]
    strategy: Literal["delete", "keep_latest"] = "delete"


class Checkpoint(Body):
    """Names a checkpoint. Its thread is the one of the path."""

    checkpoint_id: str | None = None
    checkpoint_ns: str | None = None
    checkpoint_map: Object | None = None
    thread_id: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """The parts that were given, without the thread."""
        return self.model_dump(exclude_none=True, exclude={"thread_id"})


class StateRead(Body):
    checkpoint: Checkpoint
    subgraphs: bool = False
    select: list[str] | None = None


class StateUpdate(Body):
    values: Object | list[Any] | None = None
    as_node: str | None = None
    checkpoint: Checkpoint | None = None
    checkpoint_id: str | None = None


class StateHistory(Body):
    limit: Limit = 1
    before: str | Object | None = None
    metadata: Object | None = None
    checkpoint: str | Object | None = None
    select: list[str] | None = None


class RunCreate(Body):
    """A run, stateful or stateless; the resource refuses what has no meaning for one of them."""

    assistant_id: str | None = None
    input: Any = None
    command: Object | None = None
    checkpoint: Checkpoint | None = None
    checkpoint_id: Id | None = None
    metadata: Object = Field(default_factory=dict)
    config: Config = Field(default_factory=Config)
    context: Object = Field(default_factory=dict)
    webhook: str | None = Field(default=None, max_length=65536)
    interrupt_before: NodeNames | None = None
    interrupt_after: NodeNames | None = None
    stream_mode: StreamMode | list[StreamMode] = Field(default_factory=lambda: ["values"])
    stream_subgraphs: bool = False
    stream_resumable: bool = False
    feedback_keys: list[str] | None = None
    multitask_strategy: MultitaskStrategy = "enqueue"
    if_not_exists: Literal["create", "reject"] = "reject"
    on_completion: Literal["delete", "keep"] = "delete"
    on_disconnect: Literal["cancel", "continue"] = "continue"
    after_seconds: float = Field(default=0, ge=0, le=315_360_000)
    durability: Durability | None = None
    checkpoint_during: bool | None = None
    strict_resume: bool = False
    langsmith_tracer: Object | None = None

    @model_validator(mode="before")
    @classmethod
    def _names_an_assistant(cls, value: Any) -> Any:
        if isinstance(value, dict) and not cast(dict[str, Any], value).get("assistant_id"):
            raise ValueError("assistant_id is missing: give an assistant's id or the id of a graph.")
        return cast(Any, value)

    def as_request(self) -> RunRequest:
        """The request as the resources take it."""
        given: dict[str, Any] = {name: getattr(self, name) for name in type(self).model_fields}
        if isinstance(self.stream_mode, str):
            given["stream_mode"] = [self.stream_mode]
        given["checkpoint"] = self.checkpoint.as_dict() if self.checkpoint else None
        return RunRequest(**given)


class ThreadEvents(Body):
    """A subscription of the thread protocol: describes the body, whose limits are ignored where they are malformed."""

    channels: list[str] = Field(min_length=1)
    namespaces: list[list[str]] | None = None
    depth: Annotated[int, Field(ge=0)] | None = None
    since: Annotated[int, Field(ge=0)] | None = None


class ThreadCommand(Body):
    """A command of the thread protocol."""

    id: int
    method: str
    params: Object = Field(default_factory=dict)


class RpcMessage(Body):
    """A message of JSON-RPC 2.0. A request has an id, a notification has none."""

    jsonrpc: Literal["2.0"]
    id: str | int | None = None
    method: str
    params: Object = Field(default_factory=dict)


class _CronFields(Body):
    """What a cron and a change of one have in common. What is kept for its runs is the request itself."""

    null_matters = frozenset(("end_time",))

    timezone: str | None = None
    end_time: Annotated[datetime, BeforeValidator(_time_of)] | None = None
    input: Any = None
    metadata: Object = Field(default_factory=dict)
    config: Config = Field(default_factory=Config)
    context: Object = Field(default_factory=dict)
    webhook: str | None = Field(default=None, max_length=65536)
    interrupt_before: NodeNames | None = None
    interrupt_after: NodeNames | None = None
    on_run_completed: OnRunCompleted | None = None
    enabled: bool | None = None
    multitask_strategy: MultitaskStrategy | None = None
    stream_mode: StreamMode | list[StreamMode] | None = None
    stream_subgraphs: bool | None = None
    stream_resumable: bool | None = None
    durability: Durability | None = None
    checkpoint_during: bool | None = None

    def as_change(self) -> CronChange:
        """The change as the resources take it."""
        return CronChange(
            payload=self.model_dump(mode="json", exclude_unset=True),
            schedule=getattr(self, "schedule", None),
            timezone=self.timezone,
            end_time=self.end_time,
            metadata=self.metadata,
            on_run_completed=self.on_run_completed,
            enabled=self.enabled,
        )


class CronPatch(_CronFields):
    schedule: str | None = Field(default=None, min_length=1)


class CronCreate(_CronFields):
    schedule: str = Field(min_length=1)
    assistant_id: str = Field(min_length=1)


class CronCount(Body):
    assistant_id: Id | None = None
    thread_id: Id | None = None
    metadata: Object = Field(default_factory=dict)


class CronSearch(CronCount):
    enabled: bool | None = None
    limit: Limit = 10
    offset: Offset = 0
    sort_by: (
        Literal["cron_id", "assistant_id", "thread_id", "next_run_date", "end_time", "created_at", "updated_at"] | None
    ) = None
    sort_order: Order | None = None
    select: list[CronColumn] | None = None


class RunsCancel(Body):
    """Either `status`, or `thread_id` and `run_ids`."""

    status: Literal["pending", "running", "all"] | None = None
    thread_id: Id | None = None
    run_ids: list[Id] | None = None

    @model_validator(mode="after")
    def _either_or(self) -> RunsCancel:
        named = self.thread_id is not None and self.run_ids is not None
        partly = self.thread_id is not None or self.run_ids is not None
        if (self.status is not None) == partly or partly != named:
            raise ValueError("Give either status, or thread_id together with run_ids.")
        return self


class ItemPut(Body):
    namespace: list[str]
    key: str
    value: Object
    index: Literal[False] | list[str] | None = None
    ttl: float | None = Field(default=None, gt=0, le=5_256_000)


class ItemDelete(Body):
    namespace: list[str] = Field(default_factory=list)
    key: str


class ItemSearch(Body):
    namespace_prefix: list[str] = Field(default_factory=list)
    filter: Object = Field(default_factory=dict)
    limit: Limit = 10
    offset: Offset = 0
    query: str | None = None
    refresh_ttl: bool | None = None


class NamespaceList(Body):
    prefix: list[str] = Field(default_factory=list)
    suffix: list[str] = Field(default_factory=list)
    max_depth: int | None = Field(default=None, ge=1, le=_INT32)
    limit: Limit = 100
    offset: Offset = 0


def cancel_action(text: str | None) -> CancelAction:
    """The action of a cancel call; anything but rollback means interrupt."""
    return "rollback" if text == "rollback" else "interrupt"
