"""Alpaca, ShareGPT, question and answer, and OpenAI chat: read into examples and written again without a loss.

What one of them says and an example has no field for stays in `extra`, of the example or of the turn, and is written
back when the export is to the same format. A record that cannot be read is refused with its line; the others are kept.
"""

from collections.abc import Callable, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from zhiku_services.finetune.datasets.examples import Example, Provenance, Role, Turn
from zhiku_services.finetune.errors import NotExpressibleError

Record = Mapping[str, Any]


class Format(StrEnum):
    ALPACA = "alpaca"
    SHAREGPT = "sharegpt"
    QA = "qa"
    OPENAI = "openai"


class BadRecordError(ValueError):
    """A record that is not what its format asks for; `field` is where."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}" if field else problem)
        self.field = field
        self.problem = problem


def detect(record: Record) -> Format | None:
    """The format of a record, by the fields that it has."""
    for form, names in _MARKS.items():
        if names <= record.keys():
            return form
    return None


def to_example(record: Record, form: Format, provenance: Provenance | None = None) -> Example:
    """Read one record.

    Raises:
        BadRecordError: it lacks a field, or one of them is not text.
    """
    example = _READERS[form](record)
    return example if provenance is None else example.model_copy(update={"provenance": provenance})


def from_example(example: Example, form: Format) -> dict[str, Any]:
    """Write one example.

    Raises:
        NotExpressibleError: the format has no place for something of it.
    """
    return _WRITERS[form](example)


# --- alpaca: instruction, input, output, system, history; chosen and rejected; kto_tag ---

_ALPACA_OWN = ("instruction", "input", "output", "system", "history", "chosen", "rejected", "kto_tag")


def _from_alpaca(record: Record) -> Example:
    instruction = _text(record, "instruction")
    given = _text(record, "input", may_be_missing=True)
    turns = _system(record)
    for place, pair in enumerate(record.get("history") or []):
        if not isinstance(pair, list | tuple) or len(pair) != 2 or not all(isinstance(side, str) for side in pair):
            raise BadRecordError(f"history[{place}]", "must be a pair of texts")
        turns += [Turn(role="user", content=pair[0]), Turn(role="assistant", content=pair[1])]
    turns.append(Turn(role="user", content=f"{instruction}\n{given}" if given else instruction))
    rejected = None
    if "chosen" in record:
        turns.append(Turn(role="assistant", content=_text(record, "chosen")))
        rejected = Turn(role="assistant", content=_text(record, "rejected"))
    else:
        turns.append(Turn(role="assistant", content=_text(record, "output")))
    is_good = record.get("kto_tag")
    if is_good is not None and not isinstance(is_good, bool):
        raise BadRecordError("kto_tag", "must be true or false")
    extra: dict[str, Any] = {name: value for name, value in record.items() if name not in _ALPACA_OWN}
    # What has a default is written back only if it stood there.
    shape = {name: record[name] for name in ("input", "system", "history") if name in record and not record[name]}
    if given:
        shape["input"] = given
    if "chosen" in record and "output" in record:
        shape["output"] = record["output"]
    return _example(turns, rejected, is_good, Format.ALPACA, extra, shape)


def _to_alpaca(example: Example) -> dict[str, Any]:
    turns = [*example.messages]
    if any(turn.role == "tool" for turn in turns):
        raise NotExpressibleError(Format.ALPACA, "calls of tools")
    extra, shape = _kept(example, Format.ALPACA)
    record = {**extra, **_system_field(turns, shape)}
    if not turns or [turn.role for turn in turns] != ["user", "assistant"] * (len(turns) // 2):
        raise NotExpressibleError(Format.ALPACA, "turns that do not alternate between user and assistant")
    record |= _instruction(turns[-2].content, shape)
    if example.rejected is not None:
        record |= {"chosen": example.answer, "rejected": example.rejected.content}
        record |= {"output": shape["output"]} if "output" in shape else {}
    else:
        record["output"] = example.answer
    before = turns[:-2]
    if before:
        record["history"] = [[before[n].content, before[n + 1].content] for n in range(0, len(before), 2)]
    elif "history" in shape:
        record["history"] = shape["history"]
    if example.is_good is not None:
        record["kto_tag"] = example.is_good
    return record


def _instruction(question: str, shape: Mapping[str, Any]) -> dict[str, Any]:
    """The question in two fields, if it came in two and still ends with the second."""
    given = shape.get("input")
    if given and question.endswith(f"\n{given}"):
        return {"instruction": question[: -len(given) - 1], "input": given}
    return {"instruction": question, **({"input": "" if given else given} if "input" in shape else {})}


# --- sharegpt: conversations of {from, value}; chosen and rejected ---

_SHAREGPT_ROLES: Mapping[str, Role] = MappingProxyType(
    {
        "human": "user",
        "user": "user",
        "gpt": "assistant",
        "assistant": "assistant",
        "bot": "assistant",
        "chatgpt": "assistant",
        "function_call": "assistant",
        "system": "system",
        "observation": "tool",
        "tool": "tool",
    }
)
_SHAREGPT_NAMES: Mapping[Role, str] = MappingProxyType(
    {"user": "human", "assistant": "gpt", "system": "system", "tool": "observation"}
)


def _from_sharegpt(record: Record) -> Example:
    turns = _system(record)
    conversations = record.get("conversations")
    if not isinstance(conversations, list) or not conversations:
        raise BadRecordError("conversations", "must be a list of turns")
    turns += [_sharegpt_turn(turn, f"conversations[{place}]") for place, turn in enumerate(conversations)]
    rejected = None
    if "chosen" in record:
        turns.append(_sharegpt_turn(record["chosen"], "chosen"))
        rejected = _sharegpt_turn(record.get("rejected"), "rejected")
    own = {"conversations", "system", "chosen", "rejected", "label"}
    is_good = record.get("label")
    if not isinstance(is_good, bool):
        is_good, own = None, own - {"label"}
    extra = {name: value for name, value in record.items() if name not in own}
    shape = {name: record[name] for name in ("system",) if name in record and not record[name]}
    shape["has_system_field"] = bool(record.get("system"))
    return _example(turns, rejected, is_good, Format.SHAREGPT, extra, shape)


def _sharegpt_turn(turn: Any, where: str) -> Turn:
    if not isinstance(turn, dict):
        raise BadRecordError(where, "must be an object with `from` and `value`")
    name = turn.get("from")
    role = _SHAREGPT_ROLES.get(name) if isinstance(name, str) else None
    if role is None:
        raise BadRecordError(f"{where}.from", "must name who speaks, such as `human` or `gpt`")
    return Turn(
        role=role,
        content=_text(turn, "value", where),
        extra={key: value for key, value in turn.items() if key != "value"},
    )


def _to_sharegpt(example: Example) -> dict[str, Any]:
    extra, shape = _kept(example, Format.SHAREGPT)
    turns = [*example.messages]
    record = {**extra, **_system_field(turns, shape)}
    if example.rejected is not None:
        record |= {"chosen": _as_sharegpt(turns.pop()), "rejected": _as_sharegpt(example.rejected)}
    if not turns:
        raise NotExpressibleError(Format.SHAREGPT, "a conversation without turns")
    record["conversations"] = [_as_sharegpt(turn) for turn in turns]
    if example.is_good is not None:
        record["label"] = example.is_good
    return record


def _as_sharegpt(turn: Turn) -> dict[str, Any]:
    name = turn.extra.get("from")
    if not isinstance(name, str) or _SHAREGPT_ROLES.get(name) != turn.role:
        return {"from": _SHAREGPT_NAMES[turn.role], "value": turn.content}
    return {**turn.extra, "value": turn.content}


# --- question and answer ---


def _from_qa(record: Record) -> Example:
    turns = [
        *_system(record),
        Turn(role="user", content=_text(record, "question")),
        Turn(role="assistant", content=_text(record, "answer")),
    ]
    extra = {name: value for name, value in record.items() if name not in {"question", "answer", "system"}}
    shape = {name: record[name] for name in ("system",) if name in record and not record[name]}
    return _example(turns, None, None, Format.QA, extra, shape)


def _to_qa(example: Example) -> dict[str, Any]:
    extra, shape = _kept(example, Format.QA)
    turns = [*example.messages]
    record = {**extra, **_system_field(turns, shape)}
    if [turn.role for turn in turns] != ["user", "assistant"]:
        raise NotExpressibleError(Format.QA, "more than one question and its answer")
    if example.rejected is not None or example.is_good is not None:
        raise NotExpressibleError(Format.QA, "what somebody thought of the answer")
    return {**record, "question": turns[0].content, "answer": turns[1].content}


# --- OpenAI chat ---

_OPENAI_ROLES: Mapping[str, Role] = MappingProxyType(
    {"system": "system", "developer": "system", "user": "user", "assistant": "assistant", "tool": "tool"}
)


def _from_openai(record: Record) -> Example:
    messages = record.get("messages")
    if not isinstance(messages, list) or not messages:
        raise BadRecordError("messages", "must be a list of messages")
    turns = [_openai_turn(message, f"messages[{place}]") for place, message in enumerate(messages)]
    extra = {name: value for name, value in record.items() if name != "messages"}
    return _example(turns, None, None, Format.OPENAI, extra, {})


def _openai_turn(message: Any, where: str) -> Turn:
    if not isinstance(message, dict):
        raise BadRecordError(where, "must be an object with `role` and `content`")
    name = message.get("role")
    role = _OPENAI_ROLES.get(name) if isinstance(name, str) else None
    if role is None:
        raise BadRecordError(f"{where}.role", "must be system, developer, user, assistant or tool")
    extra = {key: value for key, value in message.items() if key != "content"}
    # A message that only calls tools has no words.
    if message.get("content") is None and "tool_calls" in message:
        return Turn(role=role, content="", extra={**extra, **({"content": None} if "content" in message else {})})
    return Turn(role=role, content=_text(message, "content", where), extra=extra)


def _to_openai(example: Example) -> dict[str, Any]:
    if example.rejected is not None or example.is_good is not None:
        raise NotExpressibleError(Format.OPENAI, "what somebody thought of the answer")
    extra, _ = _kept(example, Format.OPENAI)
    return {**extra, "messages": [_as_openai(turn) for turn in example.messages]}


def _as_openai(turn: Turn) -> dict[str, Any]:
    name = turn.extra.get("role")
    if not isinstance(name, str) or _OPENAI_ROLES.get(name) != turn.role:
        return {"role": turn.role, "content": turn.content}
    if not turn.content and "tool_calls" in turn.extra:
        return {**turn.extra}
    return {**turn.extra, "content": turn.content}


# --- what they share ---


def _text(record: Record, name: str, where: str = "", *, may_be_missing: bool = False) -> str:
    value = record.get(name)
    field = f"{where}.{name}" if where else name
    if isinstance(value, str):
        return value
    if value is None and may_be_missing:
        return ""
    if value is None:
        raise BadRecordError(field, "is missing")
    raise BadRecordError(field, "must be text")


def _system(record: Record) -> list[Turn]:
    said = _text(record, "system", may_be_missing=True)
    return [Turn(role="system", content=said)] if said else []


def _system_field(turns: list[Turn], shape: Mapping[str, Any]) -> dict[str, Any]:
    """Take the system's instructions off the turns; an empty field that stood in the source stands there again."""
    if turns[0].role == "system" and turns[0].content and shape.get("has_system_field", True):
        return {"system": turns.pop(0).content}
    return {"system": shape["system"]} if "system" in shape else {}


def _example(
    turns: list[Turn],
    rejected: Turn | None,
    is_good: bool | None,
    form: Format,
    extra: Mapping[str, Any],
    shape: Mapping[str, Any],
) -> Example:
    kept: dict[str, Any] = {"format": form}
    if extra:
        kept["fields"] = dict(extra)
    if shape:
        kept["shape"] = dict(shape)
    return Example(messages=tuple(turns), rejected=rejected, is_good=is_good, extra=kept)


def _kept(example: Example, form: Format) -> tuple[dict[str, Any], dict[str, Any]]:
    """What an example keeps of its source, if that was in the same format."""
    if example.extra.get("format") != form:
        return {}, {}
    return dict(example.extra.get("fields", {})), dict(example.extra.get("shape", {}))


_MARKS: Mapping[Format, frozenset[str]] = MappingProxyType(
    {
        Format.OPENAI: frozenset({"messages"}),
        Format.SHAREGPT: frozenset({"conversations"}),
        Format.ALPACA: frozenset({"instruction"}),
        Format.QA: frozenset({"question", "answer"}),
    }
)
_READERS: Mapping[Format, Callable[[Record], Example]] = MappingProxyType(
    {
        Format.ALPACA: _from_alpaca,
        Format.SHAREGPT: _from_sharegpt,
        Format.QA: _from_qa,
        Format.OPENAI: _from_openai,
    }
)
_WRITERS: Mapping[Format, Callable[[Example], dict[str, Any]]] = MappingProxyType(
    {
        Format.ALPACA: _to_alpaca,
        Format.SHAREGPT: _to_sharegpt,
        Format.QA: _to_qa,
        Format.OPENAI: _to_openai,
    }
)
