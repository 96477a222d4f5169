"""Short names of long ids."""

from __future__ import annotations

from lgnb.client.aliases import Aliases

_THREAD = "01a21f6e-9459-7570-bf94-ce48f107b064"
_RUN = "01a21f6e-9483-70be-bfa8-49fbd4b39929"
_OTHER = "01a21f6e-ffff-70be-bfa8-49fbd4b39929"


def test_ids_are_counted_by_kind_in_the_order_in_which_they_are_met() -> None:
    aliases = Aliases()

    assert [aliases.name("thread", one) for one in (_THREAD, _OTHER, _THREAD)] == ["thread#1", "thread#2", "thread#1"]
    assert aliases.name("run", _RUN) == "run#1"
    assert aliases.full_id("run", "run#1") == aliases.full_id("run", "#1") == aliases.full_id("run", _RUN[:20]) == _RUN


def test_a_sentence_is_told_with_the_aliases_that_are_known() -> None:
    aliases = Aliases()
    aliases.name("thread", _THREAD)
    aliases.name("run", _RUN)

    told = aliases.told(f"Thread {_THREAD} is busy with run {_RUN}, not {_OTHER}.")

    assert told == f"thread#1 is busy with run#1, not {_OTHER}."
