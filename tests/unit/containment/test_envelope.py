"""What a playbook may answer: an author reads what is wrong, and the schema says the same."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from guardduty_response.containment import envelope
from guardduty_response.containment.contract import Check
from guardduty_response.containment.envelope import MalformedEnvelope, parse
from guardduty_response.evidence.items import Outcome
from guardduty_response.incident.model import EvidenceEntry
from guardduty_response.incident.moments import iso
from jsonschema import Draft202012Validator

from tests.support.repository import ROOT

Json = dict[str, Any]
SCHEMA = json.loads((ROOT / "schema" / "result-envelope.schema.json").read_text())
AT = datetime.now(timezone(timedelta(hours=2)))
WHOLE: Json = {
    "status": "PARTIAL",
    "detail": "the bucket is closed, its access point is not",
    "checks": [
        {"name": "policy", "ok": True, "detail": "denies everybody", "fatal": True},
        {"name": "access point", "ok": False, "detail": "AccessDenied", "read": False},
    ],
    "actions": {
        "deny": {
            "status": "DONE",
            "detail": "denied",
            "at": AT.isoformat(),
            "request_id": "r-1",
        },
        "close_access_point": {"status": "FAILED", "detail": "AccessDenied"},
    },
    "before": {"policy": {"Statement": []}, "versioning": None, "days": 1.5},
    "watched": ["bucket-1"],
    "evidence": {
        "objects": {
            "outcome": "COMPLETE",
            "detail": "3 objects",
            "objects": [{"key": "k", "sha256": "ab", "bytes": 7}],
            "task": "",
        }
    },
}


def changed(path: str, value: Any) -> Json:
    """Returns WHOLE with another value at ``path``, names joined by slashes."""
    answer = copy.deepcopy(WHOLE)
    node: Any = answer
    *parents, last = path.split("/")
    for name in parents:
        node = node[int(name) if isinstance(node, list) else name]
    node[int(last) if isinstance(node, list) else last] = value
    return answer


def without(name: str) -> Json:
    return {field: value for field, value in WHOLE.items() if field != name}


BAD: dict[str, tuple[Any, str]] = {
    "a list": ([], "The answer must be an object, not []."),
    "nothing": (None, "The answer must be an object, not None."),
    "no status": (without("status"), "status is missing."),
    "no checks": (without("checks"), "checks is missing."),
    "another field": (
        {**WHOLE, "state": "closed"},
        "The answer has a field 'state' that is unknown; there are status, detail, checks,",
    ),
    "a status of the response": (
        changed("status", "BREACHED"),
        "status is 'BREACHED'; it must be one of CONTAINED, PARTIAL, FAILED, GONE.",
    ),
    "a status that is no text": (changed("status", ["CONTAINED"]), "status is ['CONTAINED'];"),
    "a detail that is no text": (changed("detail", 7), "detail must be text, not 7."),
    "checks by name": (changed("checks", {"policy": True}), "checks must be a list, not"),
    "a check that is no object": (changed("checks/0", "ok"), "checks[0] must be an object"),
    "a check without a name": (
        changed("checks/0", {"ok": True, "detail": ""}),
        "checks[0].name is missing.",
    ),
    "an empty name": (changed("checks/0/name", ""), "checks[0].name must be text of 1 to 200"),
    "a long name": (changed("checks/0/name", "x" * 201), "checks[0].name must be text of 1 to"),
    "a check that says yes": (
        changed("checks/0/ok", "yes"),
        "checks[0].ok must be true or false, not 'yes'.",
    ),
    "a check that passes unread": (
        changed("checks/0/read", False),
        "checks[0].ok is true although read is false: what was not read fails.",
    ),
    "actions in a list": (changed("actions", []), "actions must be an object of entries by name"),
    "an action's status": (
        changed("actions/deny/status", "OK"),
        "actions.deny.status is 'OK'; it must be one of DONE, ALREADY, SKIPPED, FAILED,",
    ),
    "an action without a name": (
        changed("actions", {"": {"status": "DONE", "detail": ""}}),
        "The name '' in actions must be text of 1 to 200 characters.",
    ),
    "a field of an action": (changed("actions/deny/when", "now"), "has a field 'when' that is"),
    "a name that is watched": (changed("watched/0", 7), "watched[0] must be text of 1 to 200"),
    "an evidence item's outcome": (
        changed("evidence/objects/outcome", "DONE"),
        "evidence.objects.outcome is 'DONE'; it must be one of RUNNING, COMPLETE,",
    ),
    "an object without its hash": (
        changed("evidence/objects/objects", [{"key": "k"}]),
        "evidence.objects.objects[0].sha256 is missing.",
    ),
    "a state that is no object": (
        changed("evidence/objects/state", "listed"),
        "evidence.objects.state must be an object, not 'listed'.",
    ),
    "an object's size": (
        changed("evidence/objects/objects/0/bytes", "7"),
        "evidence.objects.objects[0].bytes must be a whole number, not '7'.",
    ),
    "too many checks": (
        changed("checks", [{"name": "x", "ok": True, "detail": ""}] * 201),
        "checks has 201 entries; there may be 200.",
    ),
    "too many before-states": (
        changed("before", {f"item-{number}": 1 for number in range(201)}),
        "before has 201 entries; there may be 200.",
    ),
}
# What a schema cannot say.
DEEP: Json = {}
for _ in range(40):
    DEEP = {"in": DEEP}
UNSTORABLE: dict[str, tuple[Any, str]] = {
    "a time without a zone": (
        changed("actions/deny/at", AT.replace(tzinfo=None).isoformat()),
        "actions.deny.at must be a time with its zone (ISO 8601), not",
    ),
    "no time": (changed("actions/deny/at", "soon"), "actions.deny.at must be a time with its zone"),
    "a number": (changed("before/days", 1e300), "before.days is a number that DynamoDB cannot"),
    "not a number": (changed("before/days", float("nan")), "before.days is a number that DynamoDB"),
    "digits": (changed("before/days", 10**40), "before.days is a number that DynamoDB cannot"),
    "half a character": (changed("before/days", "\ud800"), "before.days is no text in Unicode"),
    "a member without a name": (
        changed("before/policy", {"a": [{"": 1}]}),
        "before.policy.a[0] has a member without a name.",
    ),
    "depth": (changed("before/policy", DEEP), "is nested deeper than 28 levels."),
}


@pytest.mark.parametrize("name", [*BAD, *UNSTORABLE])
def test_what_is_wrong_is_refused_with_a_sentence_that_names_the_field(name: str) -> None:
    answer, sentence = {**BAD, **UNSTORABLE}[name]
    with pytest.raises(MalformedEnvelope) as refused:
        parse(answer)
    assert any(sentence in problem for problem in refused.value.problems), refused.value.problems
    assert str(refused.value).startswith("The answer is no result envelope. ")


def test_everything_that_is_wrong_is_said_at_once() -> None:
    answer = {**changed("checks/0/ok", 1), "status": "DONE", "colour": "red"}
    with pytest.raises(MalformedEnvelope) as refused:
        parse(answer)
    assert len(refused.value.problems) == 3


@pytest.mark.parametrize("name", BAD)
def test_the_schema_refuses_it_too(name: str) -> None:
    assert list(Draft202012Validator(SCHEMA).iter_errors(BAD[name][0]))


@pytest.mark.parametrize(
    "answer",
    [
        WHOLE,
        {"status": "FAILED", "checks": []},
        {"status": "GONE", "checks": [{"name": "bucket", "ok": True, "detail": "NoSuchBucket"}]},
        changed("checks/1/detail", "x" * 5000),
    ],
)
def test_what_is_right_passes_both(answer: Json) -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert not list(Draft202012Validator(SCHEMA).iter_errors(answer))
    assert parse(answer)["status"] == answer["status"]


def test_the_schema_has_the_fields_and_limits_of_the_code() -> None:
    properties = SCHEMA["properties"]
    assert set(properties) == set(parse(WHOLE))
    assert properties["status"]["enum"] == list(envelope.STATUSES)
    limits = {
        name: properties[name].get("maxItems") or properties[name]["maxProperties"]
        for name in envelope.MOST
    }
    assert limits == envelope.MOST
    action = properties["actions"]["additionalProperties"]["properties"]
    assert action["status"]["enum"] == list(envelope.ACTION_STATUSES)
    assert set(action) == set(parse(WHOLE)["actions"]["deny"])
    item = properties["evidence"]["additionalProperties"]["properties"]
    assert item["outcome"]["enum"] == list(envelope.OUTCOMES) == list(Outcome)
    assert set(item) == set(EvidenceEntry.__annotations__)
    check = properties["checks"]["items"]["properties"]
    assert set(check) == set(Check("x", True, "").record())


def test_an_answer_is_made_whole() -> None:
    """Texts are cut, times are in UTC, and what may be left out has its default."""
    long = parse(changed("checks/1/detail", "x" * 5000))
    assert len(long["checks"][1]["detail"]) == 1000
    whole = parse(WHOLE)
    assert whole["checks"][0]["read"] is True
    assert whole["checks"][1]["fatal"] is False
    assert whole["actions"]["deny"]["at"] == iso(AT.astimezone(UTC))
    assert whole["actions"]["close_access_point"]["at"].endswith("Z")
    assert whole["before"] == WHOLE["before"]
    least: Any = parse({"status": "FAILED", "checks": []})
    assert least == {
        "status": "FAILED",
        "detail": "",
        "checks": [],
        "actions": {},
        "before": {},
        "watched": [],
        "evidence": {},
    }
