from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from lgnb.errors import QueueUnavailable
from lgnb.gathering import Gathering


class Work:
    """Doubles numbers, and notes what it was given at once. It works once it may."""

    def __init__(self) -> None:
        self.groups: list[list[int]] = []
        self.may = asyncio.Event()
        self.is_away = False

    async def do(self, numbers: Sequence[int]) -> list[int]:
        self.groups.append(list(numbers))
        await self.may.wait()
        if self.is_away:
            raise QueueUnavailable("away")
        if 13 in numbers:
            raise ValueError("unlucky")
        return [2 * number for number in numbers]


async def gathered(work: Work, numbers: Sequence[int]) -> list[int | BaseException]:
    """One number comes first, the others while it is worked on."""
    gathering = Gathering(work.do)
    answers = [asyncio.ensure_future(gathering.add(numbers[0]))]
    while not work.groups:
        await asyncio.sleep(0)
    answers += [asyncio.ensure_future(gathering.add(number)) for number in numbers[1:]]
    await asyncio.sleep(0)
    work.may.set()
    return await asyncio.gather(*answers, return_exceptions=True)


async def test_what_comes_meanwhile_goes_together() -> None:
    work = Work()

    assert await gathered(work, [1, 2, 3]) == [2, 4, 6]

    assert work.groups == [[1], [2, 3]]


async def test_a_bad_item_fails_alone() -> None:
    work = Work()

    answers = await gathered(work, [1, 2, 13, 3])

    assert [type(answer) for answer in answers] == [int, int, ValueError, int]
    assert work.groups == [[1], [2, 13, 3], [2], [13], [3]]


async def test_where_nobody_answers_each_item_is_told_at_once() -> None:
    work = Work()
    work.is_away = True

    answers = await gathered(work, [1, 2, 3])

    assert [type(answer) for answer in answers] == [QueueUnavailable] * 3
    assert work.groups == [[1], [2, 3]]


async def test_who_does_not_wait_any_more_hinders_nobody() -> None:
    work = Work()
    gathering = Gathering(work.do)
    first, second = (asyncio.ensure_future(gathering.add(number)) for number in (1, 2))
    while not work.groups:
        await asyncio.sleep(0)
    first.cancel()
    work.may.set()

    assert await second == 4
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_what_comes_while_several_groups_may_be_under_way_waits_for_none() -> None:
    work = Work()
    gathering = Gathering(work.do, most_under_way=2)
    answers = [asyncio.ensure_future(gathering.add(1))]
    for number in (2, 3, 4):
        while len(work.groups) < min(number - 1, 2):
            await asyncio.sleep(0)
        answers.append(asyncio.ensure_future(gathering.add(number)))
        await asyncio.sleep(0)
    work.may.set()

    assert await asyncio.gather(*answers) == [2, 4, 6, 8]
    assert work.groups == [[1], [2], [3, 4]]


async def test_what_is_added_by_whoever_got_the_last_answer_is_done_too() -> None:
    work = Work()
    work.may.set()
    gathering = Gathering(work.do)

    async def twice() -> int:
        return await gathering.add(await gathering.add(1))

    assert await asyncio.wait_for(twice(), 5) == 4
