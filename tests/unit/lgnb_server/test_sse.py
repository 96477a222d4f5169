from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from lgnb_server.sse import frame

from lgnb.models.streams import StreamEvent


def test_a_frame_is_event_data_and_a_blank_line() -> None:
    assert frame(StreamEvent("values", b'{"a":1}')) == b'event: values\r\ndata: {"a":1}\r\n\r\n'


def test_the_id_of_a_resumable_run_comes_after_the_data() -> None:
    assert frame(StreamEvent("updates", b"{}", "17-0")) == b"event: updates\r\ndata: {}\r\nid: 17-0\r\n\r\n"


@given(event=st.text(), data=st.binary(), event_id=st.none() | st.text())
def test_no_content_can_start_a_field_of_its_own(event: str, data: bytes, event_id: str | None) -> None:
    event, event_id = event.encode("utf-8", "ignore").decode(), event_id and event_id.encode("utf-8", "ignore").decode()

    lines = frame(StreamEvent(event, data, event_id)).split(b"\r\n")

    starts = [b"event: ", b"data: "] + [b"id: "] * (event_id is not None)
    assert len(lines) == len(starts) + 2
    assert all(line.startswith(start) for line, start in zip(lines, starts, strict=False))
    assert lines[-2:] == [b"", b""]
    assert not any(b"\r" in line or b"\n" in line for line in lines)
