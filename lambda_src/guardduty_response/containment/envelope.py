"""Reads a result envelope: what a playbook answers about a target, as JSON from elsewhere.

It is the contract of custom playbooks (docs/custom-playbooks.md;
``schema/result-envelope.schema.json`` says the same for editors). ``containment.answer`` makes the
envelopes of this package's playbooks, ``incident.result_writer`` stores both.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar, cast

from guardduty_response.errors import ResponseError
from guardduty_response.incident.moments import iso, now
from guardduty_response.incident.statuses import Status

if TYPE_CHECKING:
    from guardduty_response.incident.model import ResultEnvelope

    T = TypeVar("T")
    # Reads a field, whose path it is given for what it says of it.
    Read = Callable[[str, object], T]
    Fields = Mapping[str, Read[object]]
    # Fields that were read, by name: each is of the type that its function returns.
    FieldsRead = dict[str, object]

# What a playbook can say of a target. That containment is lost, the response finds itself.
STATUSES = (Status.CONTAINED, Status.PARTIAL, Status.FAILED, Status.GONE)
ACTION_STATUSES = ("DONE", "ALREADY", "SKIPPED", "FAILED", "NOTED", "LEFT")
OUTCOMES = ("RUNNING", "COMPLETE", "PARTIAL", "FAILED", "NOT_POSSIBLE", "SKIPPED")
# Entries of each field; a watched name has an item of 400 KB with all others (DynamoDB).
MOST = {"checks": 200, "actions": 200, "before": 200, "watched": 500, "evidence": 100}
NAME_CHARACTERS = 200
TEXT_CHARACTERS = 1000  # a longer sentence is cut, as in the action log
NESTED = 28  # levels of a value; DynamoDB takes 32, and stores it inside others
# DynamoDB's numbers: 38 digits, up to 9.9e125.
_DIGITS, _LARGEST, _SMALLEST = 38, 1e125, 1e-129


class MalformedEnvelope(ResponseError):
    """An answer that is no envelope. ``problems``: a sentence for each field that is wrong."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__(f"The answer is no result envelope. {' '.join(problems)}")
        self.problems = problems


def parse(answer: object) -> ResultEnvelope:
    """Returns an answer as an envelope: with every field, texts cut and times in UTC.

    ``answer``: JSON values. Only ``status`` and ``checks`` must be there. Raises MalformedEnvelope
    with everything that is wrong. Whether the status fits the checks, who stores it decides
    (``result_writer.fitted``).
    """
    reader = _Reader()
    envelope = reader.read(answer)
    if reader.problems:
        raise MalformedEnvelope(reader.problems)
    return cast("ResultEnvelope", envelope)


class _Reader:
    """Reads an answer, and collects a sentence for everything that is wrong."""

    def __init__(self) -> None:
        self.problems: list[str] = []

    def read(self, answer: object) -> FieldsRead:
        fields: Fields = {
            "status": self._status,
            "detail": self._text,
            "checks": self._checks,
            "actions": self._action_log,
            "before": self._before,
            "watched": self._watched,
            "evidence": self._evidence,
        }
        nothing = {"detail": "", "actions": {}, "before": {}, "watched": [], "evidence": {}}
        return nothing | self._object("", answer, fields, required=("status", "checks"))

    def _object(
        self,
        path: str,
        value: object,
        fields: Fields,
        required: tuple[str, ...] = (),
    ) -> FieldsRead:
        """Returns the fields that are there, each read by its function."""
        where = path or "The answer"
        if not isinstance(value, dict):
            self._say(f"{where} must be an object, not {_shown(value)}.")
            return {}
        for name in value.keys() - fields.keys():
            known = ", ".join(fields)
            self._say(f"{where} has a field {_shown(name)} that is unknown; there are {known}.")
        for name in required:
            if name not in value:
                self._say(f"{_join(path, name)} is missing.")
        return {
            name: read(_join(path, name), value[name])
            for name, read in fields.items()
            if name in value
        }

    def _entries(self, field: str, value: object, read: Read[T]) -> dict[str, T]:
        """Returns an object of entries by name."""
        if not isinstance(value, dict):
            self._say(f"{field} must be an object of entries by name, not {_shown(value)}.")
            return {}
        self._count(field, len(value))
        found = {}
        for name, entry in value.items():
            self._name(f"The name {_shown(name)} in {field}", name)
            found[name] = read(f"{field}.{name}", entry)
        return found

    def _list(self, field: str, value: object, read: Read[T]) -> list[T]:
        if not isinstance(value, list):
            self._say(f"{field} must be a list, not {_shown(value)}.")
            return []
        return [read(f"{field}[{position}]", entry) for position, entry in enumerate(value)]

    def _count(self, field: str, count: int) -> None:
        if count > MOST[field]:
            self._say(f"{field} has {count} entries; there may be {MOST[field]}.")

    # -- the fields --------------------------------------------------------------------------------

    def _status(self, path: str, value: object) -> str:
        return self._choice(path, value, STATUSES)

    def _checks(self, field: str, value: object) -> list[FieldsRead]:
        fields: Fields = {
            "name": self._name,
            "ok": self._truth,
            "detail": self._text,
            "fatal": self._truth,
            "read": self._truth,
        }

        def check(path: str, entry: object) -> FieldsRead:
            read = self._object(path, entry, fields, required=("name", "ok", "detail"))
            if read.get("ok") is True and read.get("read") is False:
                self._say(f"{path}.ok is true although read is false: what was not read fails.")
            return {"fatal": False, "read": True} | read

        found = self._list(field, value, check)
        self._count(field, len(found))
        return found

    def _action_log(self, field: str, value: object) -> dict[str, FieldsRead]:
        fields: Fields = {
            "status": lambda path, entry: self._choice(path, entry, ACTION_STATUSES),
            "detail": self._text,
            "at": self._time,
            "request_id": self._text,
        }

        def action(path: str, entry: object) -> FieldsRead:
            read = self._object(path, entry, fields, required=("status", "detail"))
            return {"at": now(), "request_id": ""} | read

        return self._entries(field, value, action)

    def _before(self, field: str, value: object) -> dict[str, object]:
        return self._entries(field, value, self._storable)

    def _watched(self, field: str, value: object) -> list[str]:
        found = self._list(field, value, self._name)
        self._count(field, len(found))
        return found

    def _evidence(self, field: str, value: object) -> dict[str, FieldsRead]:
        stored: Fields = {
            "key": self._text,
            "sha256": self._text,
            "bytes": self._size,
            "version": self._text,
            "what": self._text,
        }
        fields: Fields = {
            "outcome": lambda path, entry: self._choice(path, entry, OUTCOMES),
            "detail": self._text,
            "objects": lambda path, entry: self._list(
                path,
                entry,
                lambda place, object: self._object(place, object, stored, ("key", "sha256")),
            ),
            "task": self._text,
            "state": self._state,
            "request_ids": lambda path, entry: self._list(path, entry, self._text),
            "tries": self._size,
            "tries_paused": self._size,
            "runs": lambda path, entry: self._list(path, entry, self._text),
            "since": self._time,
            "at": self._time,
        }

        def item(path: str, entry: object) -> FieldsRead:
            read = self._object(path, entry, fields, required=("outcome", "detail"))
            nothing: FieldsRead = {"objects": [], "task": "", "state": {}, "request_ids": []}
            return nothing | {"at": now()} | read

        return self._entries(field, value, item)

    # -- values ------------------------------------------------------------------------------------

    def _say(self, sentence: str) -> None:
        self.problems.append(sentence)

    def _choice(self, path: str, value: object, choices: tuple[str, ...]) -> str:
        if value not in choices:
            known = ", ".join(choices)
            self._say(f"{path} is {_shown(value)}; it must be one of {known}.")
        return str(value)

    def _truth(self, path: str, value: object) -> bool:
        if not isinstance(value, bool):
            self._say(f"{path} must be true or false, not {_shown(value)}.")
        return value is True

    def _text(self, path: str, value: object) -> str:
        if not isinstance(value, str):
            self._say(f"{path} must be text, not {_shown(value)}.")
            return ""
        return _encodable(value)[:TEXT_CHARACTERS]

    def _name(self, path: str, value: object) -> str:
        if not isinstance(value, str) or not value or len(value) > NAME_CHARACTERS:
            self._say(f"{path} must be text of 1 to {NAME_CHARACTERS} characters.")
        return _encodable(str(value))

    def _time(self, path: str, value: object) -> str:
        try:
            at = datetime.fromisoformat(str(value))
        except ValueError:
            at = datetime.min
        if at.tzinfo is None:
            self._say(f"{path} must be a time with its zone (ISO 8601), not {_shown(value)}.")
            return ""
        return iso(at.astimezone(UTC))

    def _size(self, path: str, value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            self._say(f"{path} must be a whole number, not {_shown(value)}.")
            return 0
        return value

    def _state(self, path: str, value: object) -> object:
        if not isinstance(value, dict):
            self._say(f"{path} must be an object, not {_shown(value)}.")
        return self._storable(path, value)

    def _storable(self, path: str, value: object, level: int = 0) -> object:
        """Returns a JSON value as it is, if DynamoDB can store it."""
        if level > NESTED:
            self._say(f"{path} is nested deeper than {NESTED} levels.")
        elif isinstance(value, dict):
            for name, member in value.items():
                if not name:
                    self._say(f"{path} has a member without a name.")
                self._storable(f"{path}.{name}", member, level + 1)
        elif isinstance(value, list):
            for position, member in enumerate(value):
                self._storable(f"{path}[{position}]", member, level + 1)
        elif isinstance(value, str) and value != _encodable(value):
            self._say(f"{path} is no text in Unicode: {_shown(value)}.")
        elif isinstance(value, int | float) and not _is_storable(value):
            self._say(f"{path} is a number that DynamoDB cannot store: {_shown(value)}.")
        return value


def _encodable(text: str) -> str:
    """Returns the text without half characters (lone surrogates), which JSON can contain."""
    return text.encode(errors="replace").decode()


def _is_storable(number: float) -> bool:
    if isinstance(number, int):
        return len(str(abs(number))) <= _DIGITS
    return number == 0 or (math.isfinite(number) and _SMALLEST < abs(number) < _LARGEST)


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _shown(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 60 else f"{shown[:57]}..."
