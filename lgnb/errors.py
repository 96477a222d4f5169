"""Every error lgnb raises on purpose, in one tree.

LgnbError
├── InvalidRequest            the caller's input breaks a rule (422; 400 for InvalidState)
│   ├── InvalidState
│   └── SuperstepsFailed      the thread was created, but its first supersteps were refused (201)
├── NotFound                  the named thing does not exist (404)
│   ├── AssistantNotFound
│   ├── ThreadNotFound
│   ├── RunNotFound
│   ├── CronNotFound
│   └── GraphNotFound
├── Conflict                  the thing exists, but not in a state that allows this (409)
│   ├── AlreadyExists
│   ├── GraphTaken            another kernel, or langgraph.json, serves a graph of this name
│   ├── RunConflict
│   └── ThreadBusy
├── LimitReached              the caller, or the server, has as much in flight as is allowed (429)
├── GraphLoadError            a graph of langgraph.json could not be imported or built (424)
├── NotReady                  a dependency or a worker is missing right now (503)
│   ├── DatabaseUnavailable
│   │   └── DatabaseFull      its disk is full: reading works, writing does not
│   ├── QueueUnavailable
│   ├── WorkerUnavailable
│   └── EmbeddingFailed       the embedding function of the store raised, or gave no vectors
├── AccessDenied              this caller may not do this (401, 403, or what the auth module says)
├── CommandRefused            a command of the thread protocol that makes no sense (200 with an error inside)
├── SealedValue               a stored value is encrypted, and cannot be opened with what is configured (503)
├── EncryptionFailed          a handler of encryption.path raised, or gave what cannot be stored (503)
├── LeaseLost                 this attempt of a run is no longer the current one
├── SettingsError             a setting is wrong; the start stops with this sentence
├── EmbeddedError             the private Postgres or Valkey could not be started
├── ConnectError              no lgnb server could be found or reached from this kernel or graph
└── RunFailed                 a run followed from a kernel ended in an error or a timeout
"""

from __future__ import annotations

from collections.abc import Mapping


class LgnbError(Exception):
    """Root of the tree. `str(error)` is one sentence for a person: what happened and what to do."""


class InvalidRequest(LgnbError):
    """The request breaks a rule of the API."""


class InvalidState(InvalidRequest):
    """The request is well formed, but means something impossible here."""


class SuperstepsFailed(InvalidRequest):
    """The thread exists now, but the supersteps given with it could not be applied."""


class NotFound(LgnbError):
    """The thing named by the request does not exist, or is hidden from this caller."""


class AssistantNotFound(NotFound):
    def __init__(self, assistant_id: object, *, fix: str = "") -> None:
        super().__init__(f"Assistant {assistant_id} does not exist. {fix}".rstrip())
        self.assistant_id = assistant_id


class ThreadNotFound(NotFound):
    def __init__(self, thread_id: object, *, fix: str = "") -> None:
        super().__init__(f"Thread {thread_id} does not exist. {fix}".rstrip())
        self.thread_id = thread_id


class RunNotFound(NotFound):
    def __init__(self, run_id: object) -> None:
        super().__init__(f"Run {run_id} does not exist.")
        self.run_id = run_id


class CronNotFound(NotFound):
    def __init__(self, cron_id: object) -> None:
        super().__init__(f"Cron {cron_id} does not exist.")
        self.cron_id = cron_id


class GraphNotFound(NotFound):
    def __init__(self, graph_id: object) -> None:
        super().__init__(f"Graph {graph_id!r} is not served here.")
        self.graph_id = graph_id


class Conflict(LgnbError):
    """The thing exists, but its present state does not allow the request."""


class AlreadyExists(Conflict):
    """A thing with this id exists and the caller asked to raise."""


class GraphTaken(Conflict):
    """A kernel wants to serve a graph under a name that somebody else serves."""


class RunConflict(Conflict):
    """A run was refused because another one is pending or running on its thread."""


class ThreadBusy(Conflict):
    """The thread cannot be changed while a run is pending or running on it."""


class LimitReached(LgnbError):
    """A limit of the settings is reached; trying again later may succeed.

    Attributes:
        retry_after_seconds: when it is worth while.
    """

    def __init__(self, message: str, *, retry_after_seconds: int = 1) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class SealedValue(LgnbError):
    """A stored value is encrypted with something else than this server is given."""


class EncryptionFailed(LgnbError):
    """A value was not stored, since the operator's handler did not encrypt it."""


class GraphLoadError(LgnbError):
    """A graph could not be imported or built.

    Attributes:
        graph_id: the key in langgraph.json.
        reason: why, without the graph's name.
        traceback: the formatted traceback of the user's code, or an empty string.
    """

    def __init__(self, graph_id: str, reason: str, *, traceback: str = "") -> None:
        super().__init__(f"Graph {graph_id!r} could not be loaded: {reason}")
        self.graph_id = graph_id
        self.reason = reason
        self.traceback = traceback


class NotReady(LgnbError):
    """Something this request needs is missing right now; trying again later may succeed."""


class DatabaseUnavailable(NotReady):
    """Postgres does not answer."""


class DatabaseFull(DatabaseUnavailable):
    """Postgres has no room left on its disk."""


class QueueUnavailable(NotReady):
    """Redis does not answer."""


class WorkerUnavailable(NotReady):
    """No worker that serves this graph answered in time."""


class EmbeddingFailed(NotReady):
    """The embedding function of the configuration raised, or gave something else than one vector per text."""


class AccessDenied(LgnbError):
    """The caller is not known, or may not do this.

    Attributes:
        status: what a client over HTTP is told.
        headers: more of it, such as how to authenticate.
    """

    def __init__(self, message: str, *, status: int = 403, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.headers = dict(headers or {})


class CommandRefused(LgnbError):
    """A command of the thread protocol cannot be carried out.

    Attributes:
        code: the protocol's word for the reason, such as `invalid_argument` or `no_such_interrupt`.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class LeaseLost(LgnbError):
    """A write was refused because a newer attempt of the run exists or the run has ended."""

    def __init__(self, run_id: object, attempt: int) -> None:
        super().__init__(f"Attempt {attempt} of run {run_id} no longer holds the lease.")
        self.run_id = run_id
        self.attempt = attempt


class PlaceTaken(LgnbError):
    """The list that a checkpoint extends was extended by another branch already; it has to be stored whole."""


class SettingsError(LgnbError):
    """A setting has a wrong value. The message names the setting, the value and what is allowed."""


class EmbeddedError(LgnbError):
    """The private Postgres or Valkey could not be started; the message says why and what to set instead."""


class ConnectError(LgnbError):
    """No lgnb server could be found or reached; the message says what was tried."""


class RunFailed(LgnbError):
    """A run ended in an error or a timeout; raised to whoever waited for it.

    Attributes:
        error, reason: class name and text of the exception that ended the run.
        traceback: the formatted frames of the user's code, or an empty string.
        node: the node that raised, or an empty string.
        run: the client's `Run`, with everything that came before the end.
    """

    def __init__(self, error: str, reason: str, *, traceback: str = "", node: str = "", run: object = None) -> None:
        super().__init__(f"{error}: {reason}" if reason else error)
        self.error = error
        self.reason = reason
        self.traceback = traceback
        self.node = node
        self.run = run


def error_named(name: str, text: str, *, otherwise: type[LgnbError] = LgnbError) -> LgnbError:
    """An error of this tree by the name of its class, as another process told it."""
    kind = globals().get(name)
    if not (isinstance(kind, type) and issubclass(kind, LgnbError)):
        kind = otherwise
    error = kind.__new__(kind)
    # Some errors take facts instead of a text; here only the text is known.
    Exception.__init__(error, text or name)
    return error
