"""`lgnb.evaluate`: replay many checkpoints with one graph, and score what comes of each."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast, overload

from ..client.render import brief, is_live
from ..client.runner import Runner
from ..client.session import current_session
from ..client.tables import Table
from ..errors import InvalidRequest
from .past import Past, past_of
from .replaying import Options, Replay, past_elsewhere, replayed

Scorer = Callable[[Replay], Any]
"""Gets a replay and gives a number, a truth, or an object of several; may be async."""

_FIXED = ("thread", "checkpoint", "error", "seconds")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One checkpoint and its score. `error` is what the checkpoint, the graph or the scorer raised."""

    thread: str
    checkpoint: int | str
    score: Any = None
    error: BaseException | None = None
    seconds: float = 0.0
    replay: Replay | None = None

    def record(self) -> dict[str, Any]:
        """The row with a column for each part of the score."""
        parts = cast("Mapping[str, Any]", self.score) if isinstance(self.score, Mapping) else {"score": self.score}
        error = f"{type(self.error).__name__}: {self.error}" if self.error else None
        return {"thread": self.thread, "checkpoint": self.checkpoint, **parts, "error": error, "seconds": self.seconds}


class Evaluation(Sequence[Row]):
    """The rows in the order of the checkpoints that were given."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self.rows = list(rows)

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Row]: ...
    def __getitem__(self, index: int | slice) -> Row | Sequence[Row]:
        return self.rows[index]

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    @property
    def errors(self) -> list[Row]:
        """The rows that have no score."""
        return [row for row in self.rows if row.error is not None]

    @property
    def mean(self) -> float | None:
        """The mean of the scores that are numbers or truths; None where there is none."""
        numbers = [float(row.score) for row in self.rows if isinstance(row.score, int | float)]
        return sum(numbers) / len(numbers) if numbers else None

    def to_frame(self) -> Any:
        """A pandas DataFrame with one row per checkpoint; a score of several parts becomes several columns."""
        return self._table.to_frame()

    @property
    def _table(self) -> Table:
        records = [row.record() for row in self.rows]
        columns = [
            ("thread", lambda _, record: str(record["thread"])),
            ("checkpoint", lambda _, record: str(record["checkpoint"])),
            *((name, _column(name)) for name in _score_names(records)),
            ("error", lambda _, record: str(record["error"] or "")),
        ]
        if is_live():
            columns.append(("seconds", lambda _, record: f"{record['seconds']:.2f}"))
        return Table(records, columns=columns, title=self._title, empty="No checkpoint was given.")

    @property
    def _title(self) -> str:
        mean = "" if self.mean is None else f", mean score {self.mean:.3g}"
        return f"{_counted(len(self.rows), 'checkpoint')}, {_counted(len(self.errors), 'error')}{mean}"

    def __repr__(self) -> str:
        return repr(self._table)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return self._table.bundle()


def evaluate(
    graph: Any,
    checkpoints: Iterable[Any],
    scorer: Scorer,
    *,
    concurrency: int = 4,
    url: str | None = None,
    api_key: str | None = None,
    context: Mapping[str, Any] | None = None,
    config: Mapping[str, Any] | None = None,
    resume: Any = None,
) -> Evaluation:
    """Run a graph of this notebook from many checkpoints, and score what comes of each.

    An error ends its own row and no other.

    Args:
        checkpoints: each a thread (its first checkpoint counts), a pair of thread and number or id, or a row of
            `lgnb.threads.history()`.
        scorer: gets each `Replay`; gives a number, a truth, or an object of several. May be async.
        concurrency: how many run at the same time.
        url, api_key, context, config, resume: as in `replay`.
    """
    if concurrency < 1:
        raise InvalidRequest(f"concurrency is {concurrency}, but must be at least 1.")
    wanted = [_place(one) for one in checkpoints]
    pasts = _pasts([thread for thread, _ in wanted], url=url, api_key=api_key)
    options = Options(context=context, config=config or {}, resume=resume)
    runner = Runner("lgnb-evaluate")
    try:
        rows = runner.call(_rows(graph, wanted, pasts, scorer, options=options, concurrency=concurrency))
    finally:
        runner.stop()
    return Evaluation(rows)


def _place(given: Any) -> tuple[str, int | str | None]:
    """Thread and checkpoint; None for the first one."""
    if isinstance(given, str):
        return given, None
    if isinstance(given, Mapping):
        place: Any = cast("Mapping[str, Any]", given).get("checkpoint") or given
        if place.get("thread_id"):
            return str(place["thread_id"]), str(place["checkpoint_id"]) if place.get("checkpoint_id") else None
    elif isinstance(given, tuple) and len(cast("tuple[Any, ...]", given)) == 2:
        thread, which = cast("tuple[Any, Any]", given)
        return str(thread), which
    raise InvalidRequest(f"{given!r} names no checkpoint: give a thread, (thread, number), or a row of a history.")


def _pasts(threads: Sequence[str], *, url: str | None, api_key: str | None) -> dict[str, Past | Exception]:
    session = current_session()
    found: dict[str, Past | Exception] = {}
    for thread in dict.fromkeys(threads):
        try:
            if url is None:
                found[thread] = past_of(session.connection(), session.full_thread_id(thread))
            else:
                found[thread] = past_elsewhere(url, thread, api_key=api_key)
        except Exception as error:  # noqa: BLE001  kept with the rows of this thread
            found[thread] = error
    return found


async def _rows(
    graph: Any,
    wanted: Sequence[tuple[str, int | str | None]],
    pasts: Mapping[str, Past | Exception],
    scorer: Scorer,
    *,
    options: Options,
    concurrency: int,
) -> list[Row]:
    room = asyncio.Semaphore(concurrency)

    async def row(thread: str, which: int | str | None) -> Row:
        async with room:
            return await _row(graph, thread, which, pasts[thread], scorer, options)

    return await asyncio.gather(*(row(thread, which) for thread, which in wanted))


async def _row(
    graph: Any, thread: str, which: int | str | None, past: Past | Exception, scorer: Scorer, options: Options
) -> Row:
    start = time.monotonic()
    name = _name(thread)
    number: int | str = "first" if which is None else which
    run: Replay | None = None
    score: Any = None
    failure: BaseException | None = None
    try:
        if isinstance(past, Exception):
            raise past
        state = past.find(max(len(past.states) - 1, 0) if which is None else which)
        number = next(at for at, one in enumerate(past.states) if one is state)
        run = await replayed(graph, past, state, name=f"{name} from checkpoint {number}", options=options)
        if run.error is not None:
            raise run.error
        score = scorer(run)
        if inspect.isawaitable(score):
            score = await score
    except Exception as error:  # noqa: BLE001  an error ends its own row and no other
        score, failure = None, error
    seconds = time.monotonic() - start
    return Row(thread=name, checkpoint=number, score=score, error=failure, seconds=seconds, replay=run)


def _name(thread: str) -> str:
    aliases = current_session().aliases
    return aliases.name("thread", aliases.full_id("thread", thread))


def _counted(number: int, noun: str) -> str:
    return f"{number or 'no'} {noun}{'' if number == 1 else 's'}"


def _score_names(records: Sequence[Mapping[str, Any]]) -> list[str]:
    names = dict.fromkeys(name for record in records for name in record if name not in _FIXED)
    scored = [name for name in names if any(record.get(name) is not None for record in records)]
    return scored or ["score"]


def _column(name: str) -> Callable[[int, Mapping[str, Any]], str]:
    return lambda _, record: "" if record.get(name) is None else brief(record[name], 40)
