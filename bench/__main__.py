"""`python -m bench`: measure every family on every server, round about, and print the table as Markdown."""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

from . import growth, servers
from .families import (
    Family,
    Scale,
    background,
    followers,
    memory,
    million,
    reads,
    stateless,
    storage,
    store,
    streams,
    supersteps,
)
from .report import Results, about, markdown, write_block

FAMILIES: dict[str, Family] = {
    # At rest comes first, while the servers are fresh.
    "memory": memory.FAMILY,
    "stateless": stateless.FAMILY,
    "supersteps": supersteps.FAMILY,
    "streams": streams.FAMILY,
    "followers": followers.FAMILY,
    "background": background.FAMILY,
    "reads": reads.FAMILY,
    "store": store.FAMILY,
    "storage": storage.FAMILY,
    # Last, because its threads stay.
    "million": million.FAMILY,
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="at most three minutes, less certain figures")
    parser.add_argument("--only", nargs="+", choices=FAMILIES, help="only these families")
    parser.add_argument("--ours", action="store_true", help="neither other servers nor floors")
    parser.add_argument("--output", help="also write it into this file, between the marks of its place")
    parser.add_argument("--growth", action="store_true", help="the growth curves instead of the table")
    arguments = parser.parse_args()
    begun = time.monotonic()
    results = Results()
    output = Path(arguments.output) if arguments.output else None
    if arguments.growth:
        if arguments.only or arguments.ours:
            parser.error("--growth draws all its curves, of this server alone: leave --only and --ours out")
        return _grow(results, output, is_quick=arguments.quick)
    chosen = [FAMILIES[name] for name in arguments.only or FAMILIES]
    scale = Scale(seconds=2.0 if arguments.quick else 4.0, is_quick=arguments.quick)
    with ExitStack() as stack:
        started = [stack.enter_context(servers.ours())]
        if not arguments.ours:
            started += _references(stack, results)
        for family in chosen:
            _measure(family, started, results, scale, with_floors=not arguments.ours)
    results.seconds = time.monotonic() - begun
    table = markdown(chosen, results)
    sys.stdout.write(table)
    if output is not None:
        write_block(output, "table", table)
    return 0


def _grow(results: Results, output: Path | None, *, is_quick: bool) -> int:
    """The growth curves; with an output, their pictures lie in a folder beside it that has its name."""
    from . import plots  # only here, so that the table needs no matplotlib

    begun = time.monotonic()
    measured = growth.measure(_say, is_quick=is_quick)
    results.seconds = time.monotonic() - begun
    folder = output.with_suffix("") if output else Path("bench-growth")
    parts = [plots.markdown(plot, f"{folder.name}/{plots.draw(plot, folder).name}") for plot in measured]
    text = "\n".join(["  \n".join(about(results)[:2]), f"Measured in {results.seconds / 60:.1f} minutes.", "", *parts])
    sys.stdout.write(text)
    if output is not None:
        write_block(output, "growth", text)
    return 0


def _references(stack: ExitStack, results: Results) -> Iterator[servers.Server]:
    version = servers.install_reference()
    if version is None:
        _say("langgraph dev could not be installed; its columns are left out.")
        return
    results.versions["langgraph dev"] = version
    # As it comes, and with as many runs at once as our worker takes.
    yield stack.enter_context(servers.reference(name="langgraph dev"))
    yield stack.enter_context(servers.reference("--n-jobs-per-worker=100", name="langgraph dev, 100 jobs"))


def _measure(
    family: Family, started: Sequence[servers.Server], results: Results, scale: Scale, *, with_floors: bool
) -> None:
    rounds = 1 if scale.is_quick else family.rounds
    for number in range(rounds):
        _say(f"{family.name}, round {number + 1} of {rounds}")
        for server in started if family.measure else ():
            _measure_on(server, family, results, scale)
        if family.with_two_workers and number == 0 and not scale.is_quick:
            with servers.ours(workers=2, name="lgnb, 2 workers") as server:
                _measure_on(server, family, results, scale)
        for name, floor in family.floors if with_floors or family.measure is None else ():
            results.add(family, name, asyncio.run(floor(scale)))


def _measure_on(server: servers.Server, family: Family, results: Results, scale: Scale) -> None:
    assert family.measure is not None
    try:
        results.add(family, server.name, asyncio.run(family.measure(server, scale)))
    except Exception as error:  # noqa: BLE001  one server's failure is a result, and the others go on
        _say(f"  {server.name} failed: {type(error).__name__}: {error}")


def _say(text: str) -> None:
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
