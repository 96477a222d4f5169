"""A run as text/plain, text/markdown and text/html: a header, what was said and done, and what to do next.

No scripts, inline styles only, and sense without any style. Ids appear as aliases; real ids and times only where a
live front end shows them (never in text/plain).
"""

from __future__ import annotations

import html
import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from .aliases import Aliases
from .markdown import html_of
from .run_view import Interrupt, NodeDone, Note, Said, ToolCall

if TYPE_CHECKING:
    from .runs import Run

QUIET = "color: var(--jp-ui-font-color2, #6a6a6a); font-size: 90%"
COLOURS = {"error": "#b3261e", "timeout": "#b3261e", "interrupted": "#8a5a00", "cancelled": "#8a5a00"}
WORDS = {
    "interrupted": "waits for an answer",
    "gone": "no longer on the server",
    "pending": "pending, waits for its turn",
    "refused": "not accepted",
    "lost": "connection lost; %lg wait follows it again",
}
MODES = ("auto", "messages", "updates", "values", "custom")
MOST_NOTES = 20

# The answers to a request for approval that need no more than a word or a sentence.
_DECISIONS: dict[str, dict[str, str]] = {
    "approve": {"type": "approve"},
    "reject": {"type": "reject", "message": "WHY"},
    "respond": {"type": "respond", "message": "TEXT"},
}

LineKind = Literal["text", "quiet", "pre", "answer", "label"]


@dataclass(frozen=True, slots=True)
class Line:
    """One block of the body, before it takes a form."""

    kind: LineKind
    text: str
    label: str = ""


def is_live() -> bool:
    """Whether a person watches: `LGNB_LIVE=0` asks for one deterministic output per cell."""
    return os.environ.get("LGNB_LIVE", "1") != "0"


def run_bundle(run: Run, aliases: Aliases) -> dict[str, str]:
    """Every form of a run, by MIME type."""
    return {
        "text/plain": run_plain(run, aliases),
        "text/markdown": run_markdown(run, aliases),
        "text/html": run_html(run, aliases),
    }


def run_plain(run: Run, aliases: Aliases) -> str:
    """The run for terminals, logs and comparisons: no ids, no times."""
    parts = [" · ".join(_header(run, aliases, is_timed=False))]
    for line in body(run):
        text = f"{line.label}: {line.text}" if line.label and line.kind == "quiet" else line.text
        parts.append(text if line.kind in ("text", "pre") else _indented(text))
    return "\n".join(parts)


def run_markdown(run: Run, aliases: Aliases) -> str:
    """The run for documents."""
    first, *rest = _header(run, aliases, is_timed=False)
    parts = [" · ".join([f"**{first}**", *rest])]
    for line in body(run):
        match line.kind:
            case "text":
                parts.append(line.text)
            case "pre" | "answer":
                parts.append(f"```\n{line.text}\n```")
            case "label":
                parts.append(f"*{line.text}*")
            case _:
                label = f"{line.label}: " if line.label else ""
                parts.append(f"> {label}{_code(line.text)}")
    return "\n\n".join(parts)


def run_html(run: Run, aliases: Aliases) -> str:
    """The run for notebooks."""
    state = run.view.state
    first, *rest = (html.escape(part) for part in _header(run, aliases, is_timed=is_live()))
    if is_live():
        rest[0] = f'<span title="{html.escape(run.thread_id)}">{rest[0]}</span>'
    rest[-1] = f'<span style="color: {COLOURS.get(state, "inherit")}">{rest[-1]}</span>'
    parts = [f'<p style="{QUIET}; margin: 0 0 4px 0"><strong>{first}</strong> · {" · ".join(rest)}</p>']
    for line in body(run):
        text = html.escape(line.text)
        match line.kind:
            case "text":
                parts.append(f"<div>{html_of(line.text)}</div>")
            case "pre":
                parts.append(f'<pre style="white-space: pre-wrap; margin: 4px 0">{text}</pre>')
            case "answer":
                parts.append(f'<pre style="margin: 2px 0 2px 16px">{text}</pre>')
            case "label":
                parts.append(f'<p style="{QUIET}; margin: 2px 0">{text}</p>')
            case _:
                label = f"{html.escape(line.label)}: " if line.label else ""
                parts.append(f'<p style="{QUIET}; margin: 2px 0">{label}<code>{text}</code></p>')
    return "<div>" + "\n".join(parts) + "</div>"


def body(run: Run) -> list[Line]:
    """What a run's output says below its header."""
    view, show = run.view, run.show
    lines: list[Line] = []
    notes = [item for item in view.items if isinstance(item, Note)]
    hidden = set(map(id, notes[:-MOST_NOTES]))
    if hidden:
        lines.append(Line("quiet", f"{len(hidden)} earlier custom events are not shown"))
    for item in view.items:
        match item:
            case Said() if item.text and show in ("auto", "messages"):
                lines.append(Line("text", item.text.strip()))
            case ToolCall() if show in ("auto", "messages"):
                lines.append(Line("quiet", _tool_line(item), "tool"))
            case NodeDone() if show in ("auto", "updates"):
                lines.append(Line("quiet", _changes(item.changes), item.node))
            case Note() if show in ("auto", "custom") and id(item) not in hidden:
                lines.append(_note_line(item))
            case _:
                pass
    if show == "values" and view.values is not None:
        lines.append(Line("pre", json.dumps(view.values, indent=2, ensure_ascii=False, default=str)))
    return [*lines, *_ending(run)]


def brief(value: Any, limit: int = 80) -> str:
    """A value in one short line."""
    if isinstance(value, list) and value and all(isinstance(one, dict) and "content" in one for one in value):
        return f"{len(value)} message{'s' if len(value) > 1 else ''}"
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def _header(run: Run, aliases: Aliases, *, is_timed: bool) -> list[str]:
    view = run.view
    parts = [run.assistant, aliases.name("thread", run.thread_id)]
    if run.run_id:
        parts.append(aliases.name("run", run.run_id))
    word = WORDS.get(view.state, view.state)
    if not view.is_final and (view.active or view.supersteps):
        nodes = ", ".join(dict.fromkeys(view.active.values()))
        word = f"{word}: {nodes or '…'} (superstep {view.supersteps})"
    if is_timed:
        word = f"{word} · {_duration(run.elapsed_seconds)}"
    return [*parts, word]


def _ending(run: Run) -> list[Line]:
    view = run.view
    lines: list[Line] = []
    if view.failure is not None:
        where = f" in node {view.failure.node}" if view.failure.node else ""
        lines.append(Line("pre", f"{view.failure.error}{where}: {view.failure.message}"))
        if view.failure.traceback and not run.is_raised:
            lines.append(Line("pre", view.failure.traceback.rstrip()))
    if view.state == "timeout":
        lines.append(Line("label", "The run took longer than the server allows."))
    if view.state == "paused":
        lines.append(Line("label", "Continue with"))
        lines.append(Line("answer", "%lg resume"))
    if view.state == "interrupted":
        lines.extend(_questions(run))
    return lines


def _questions(run: Run) -> list[Line]:
    waiting = run.view.questions
    lines: list[Line] = []
    for number, one in enumerate(waiting, 1):
        choice = f" --id {number}" if len(waiting) > 1 else ""
        lines.append(Line("pre", question(one)))
        lines.append(Line("label", "Answer with"))
        lines.append(Line("answer", "\n".join(f"%lg resume{choice} {text}" for text in suggestions(one.value))))
    return lines


def question(interrupt: Interrupt) -> str:
    """What an interrupt asks, readable for a person."""
    who = f"{interrupt.node} asks" if interrupt.node else "The graph asks"
    value = interrupt.value
    if isinstance(value, dict) and isinstance(value.get("action_requests"), list):
        return "\n".join([f"{who} for approval:", *map(_action_line, value["action_requests"])])
    if isinstance(value, str):
        return f"{who}: {value}"
    if isinstance(value, dict):
        fields = "\n".join(f"  {key}: {one if isinstance(one, str) else brief(one, 200)}" for key, one in value.items())
        return f"{who}:\n{fields}"
    return f"{who}: {brief(value, 400)}"


def suggestions(value: Any) -> list[str]:
    """Answers that fit an interrupt's value, as they are typed after `%lg resume`."""
    if isinstance(value, dict) and isinstance(value.get("action_requests"), list):
        count = len(value["action_requests"])
        decisions = [_DECISIONS[kind] for kind in _DECISIONS if _is_allowed(kind, value)]
        return [json.dumps({"decisions": [decision] * count}) for decision in decisions]
    if isinstance(value, dict):
        for key in ("options", "choices"):
            found = value.get(key)
            if isinstance(found, list) and found:
                return [one if isinstance(one, str) else json.dumps(one) for one in found]
    if isinstance(value, list) and value and isinstance(value[0], dict) and "action_request" in value[0]:
        return ['[{"type": "accept"}]', '[{"type": "ignore"}]', '[{"type": "response", "args": "TEXT"}]']
    return ["VALUE"]


def _action_line(request: Any) -> str:
    """One action that wants approval: its name, its arguments, and the sentence that came with it."""
    if not isinstance(request, dict):
        return f"  {brief(request, 200)}"
    arguments = request.get("args") or request.get("arguments") or {}
    lines = [f"  {request.get('name') or request.get('action')}"]
    if request.get("description"):
        lines[0] += f": {request['description']}"
    for key, value in arguments.items() if isinstance(arguments, dict) else ():
        text = value if isinstance(value, str) else brief(value, 200)
        lines.append(f"    {key}: " + text.replace("\n", "\n      "))
    return "\n".join(lines)


def _is_allowed(decision: str, value: dict[str, Any]) -> bool:
    allowed = [one.get("allowed_decisions") for one in value.get("review_configs") or [] if isinstance(one, dict)]
    return all(decision in one for one in allowed if isinstance(one, list))


def _tool_line(call: ToolCall) -> str:
    try:
        arguments: Any = json.loads(call.arguments or "{}")
    except ValueError:
        arguments = None
    if isinstance(arguments, dict):
        inside = ", ".join(f"{key}={brief(value, 60)}" for key, value in arguments.items())
    else:
        inside = call.arguments
    line = f"{call.name}({inside})"
    if call.result is not None:
        arrow = "✗" if call.has_failed else "→"
        first = " ".join(call.result.split())
        line = f"{line} {arrow} {first if len(first) <= 200 else first[:199] + '…'}"
    return line


def _note_line(note: Note) -> Line:
    """A remark, or a custom event: the common `{"text": …, "progress": 0.5}` reads as a sentence."""
    match note.value:
        case str(text):
            return Line("quiet", text, note.node)
        case {"text": str(text), "progress": int() | float() as part, **rest} if not rest and 0 <= part <= 1:
            return Line("quiet", f"{text} ({part:.0%})", note.node or "custom")
        case value:
            return Line("quiet", brief(value, 200), note.node or "custom")


def _changes(changes: dict[str, Any]) -> str:
    return ", ".join(f"{key}={brief(value)}" for key, value in changes.items()) or "done"


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{int(seconds // 60)} min {int(seconds % 60):02d} s"


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())


def _code(text: str) -> str:
    fence = "``" if "`" in text else "`"
    return f"{fence}{text}{fence}" if text else ""
