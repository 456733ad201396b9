"""Results of playbooks: stored by one writer, whole, once, and with a status that was seen."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from botocore.client import BaseClient
from guardduty_response.containment import envelope
from guardduty_response.incident.containment import INLINE_BYTES
from guardduty_response.incident.model import ResultEnvelope, TargetPayload
from guardduty_response.incident.repository import IncidentRepository
from guardduty_response.incident.result_writer import fitted
from guardduty_response.incident.statuses import Status

from tests.support.repository import ROOT
from tests.unit.deployment import TABLE, Deployment
from tests.unit.fake_playbook import ARN
from tests.unit.function_calls import target
from tests.unit.incident.containment_lab import check, stored

Json = dict[str, Any]
GOOD, BAD = check("network"), check("profile", ok=False)
FATAL = check("network", ok=False, fatal=True)


def answer(status: str = "CONTAINED", *checks: Any, **fields: Any) -> ResultEnvelope:
    return envelope.parse({"status": status, "checks": list(checks or (GOOD,)), **fields})


def fresh() -> IncidentRepository:
    """Returns the record as another function has it, which has stored nothing itself."""
    return IncidentRepository(TABLE)


@contextmanager
def calls_of_dynamodb(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Lists the calls that are made meanwhile."""
    made: list[str] = []
    call = BaseClient._make_api_call  # type: ignore[attr-defined]

    def noted(self: Any, operation: str, arguments: Any) -> Any:
        made.append(operation)
        return call(self, operation, arguments)

    with monkeypatch.context() as patch:
        patch.setattr(BaseClient, "_make_api_call", noted)
        yield made


@pytest.fixture
def contained(incident: Callable[..., str]) -> tuple[str, TargetPayload]:
    """An incident that is linked to the containment of i-1, and its target."""
    return incident(), target(generation=1)


# -- the status ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "checks", "kept"),
    [
        ("CONTAINED", [GOOD], "CONTAINED"),
        ("CONTAINED", [GOOD, BAD], "PARTIAL"),
        ("CONTAINED", [GOOD, FATAL], "FAILED"),
        ("CONTAINED", [], "FAILED"),
        ("CONTAINED", [check("x", ok=False, read=False)], "PARTIAL"),
        ("PARTIAL", [GOOD], "PARTIAL"),
        ("PARTIAL", [GOOD, BAD], "PARTIAL"),
        ("PARTIAL", [BAD, FATAL], "FAILED"),
        ("PARTIAL", [], "FAILED"),
        ("GONE", [GOOD], "GONE"),
        ("GONE", [BAD], "FAILED"),
        ("GONE", [], "FAILED"),
        ("FAILED", [GOOD], "FAILED"),
        ("FAILED", [], "FAILED"),
        ("BREACHED", [FATAL], "BREACHED"),
    ],
)
def test_no_status_says_more_than_was_seen(status: str, checks: list[Any], kept: str) -> None:
    given: Any = {"status": status, "detail": "as answered", "checks": checks}
    found = fitted(given)
    assert found["status"] == kept
    lowered = f"(the playbook answered {status}, but "
    assert found["detail"].startswith("as answered")
    assert (lowered in found["detail"]) is (status != kept)
    assert fitted(found) == found


def test_a_lowered_status_is_what_is_stored(
    deployment: Deployment, record: IncidentRepository, contained: tuple[str, TargetPayload]
) -> None:
    incident_id, of = contained
    kept = record.persist(incident_id, of, answer("CONTAINED", GOOD, FATAL))
    assert kept is Status.FAILED
    [seen] = deployment.targets(incident_id)
    assert seen["status"] == "FAILED"
    assert seen["verdict"] == (
        "Failed checks: network: as read (the playbook answered CONTAINED, but check network"
        " failed, without which nothing is contained: stored as FAILED)"
    )


# -- once, by one writer ---------------------------------------------------------------------------


def test_an_answer_is_read_as_it_was_given(
    deployment: Deployment, record: IncidentRepository, contained: tuple[str, TargetPayload]
) -> None:
    incident_id, of = contained
    given = answer(
        "PARTIAL",
        GOOD,
        BAD,
        detail="half of it",
        actions={"deny": {"status": "DONE", "detail": "denied", "request_id": "r-1"}},
        before={"policy": {"Statement": []}},
        watched=["bucket-1"],
        evidence={"objects": {"outcome": "COMPLETE", "detail": "3 objects"}},
    )
    assert (
        record.persist(
            incident_id,
            of,
            given,
            verified="execution",
        )
        is Status.PARTIAL
    )
    [seen] = fresh().read(incident_id)[1]
    assert seen["status"] == "PARTIAL"
    assert seen["verdict"] == "half of it"
    assert seen["verified"] == "execution"
    for name in ("actions", "before", "evidence", "watched"):
        assert seen[name] == given[name]
    assert {entry["name"]: entry["ok"] for entry in seen["checks"]} == {
        "network": True,
        "profile": False,
    }


def test_what_was_stored_early_is_not_stored_again(
    deployment: Deployment,
    record: IncidentRepository,
    contained: tuple[str, TargetPayload],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One transaction for the whole answer: containing costs no further round trip."""
    incident_id, of = contained
    names, place = (incident_id, "ec2_instance", "i-1"), (ARN, 1)
    record.before(*names, "network", {"eni-1": ["sg-web"]}, place=place)
    record.action(
        *names,
        "quarantine_network",
        "DONE",
        "closed",
        "r-1",
        place=place,
    )
    record.evidence(
        *names,
        "snapshots",
        {"outcome": "RUNNING", "detail": "asked"},
        place=place,
    )
    early = record.stored_early(incident_id, of)
    items = stored(deployment)
    given: Any = {**answer("CONTAINED", GOOD, watched=["eni-1"]), **early}
    with calls_of_dynamodb(monkeypatch) as made:
        record.persist(incident_id, of, given)
    assert made == ["TransactWriteItems", "UpdateItem"]
    changed = {key for key, value in stored(deployment).items() if items.get(key) != value}
    assert changed == {"0001#STATE", "0001#CHECK#network", "0001#WATCHED"}


def test_an_answer_that_is_repeated_changes_nothing(
    deployment: Deployment, contained: tuple[str, TargetPayload]
) -> None:
    incident_id, of = contained
    given = answer(
        actions={"deny": {"status": "DONE", "detail": "denied"}},
        before={"policy": "open"},
        evidence={"objects": {"outcome": "COMPLETE", "detail": "3 objects"}},
    )
    fresh().persist(incident_id, of, given)
    items = stored(deployment)
    later = answer(
        actions={"deny": {"status": "DONE", "detail": "denied"}},  # now: a later time
        before={"policy": "closed by the first run"},
    )
    fresh().persist(incident_id, of, {**later, "evidence": given["evidence"]})
    kept = {
        key: value
        for key, value in stored(deployment).items()
        if not key.startswith(("0001#CHECK", "0001#STATE"))
    }
    assert kept == {key: items[key] for key in kept}
    assert stored(deployment)["0001#BEFORE#policy"]["value"]["inline"] == "open"


@pytest.mark.parametrize("status", ["ALREADY", "SKIPPED"])
def test_a_later_answer_never_hides_who_changed_something(
    deployment: Deployment, contained: tuple[str, TargetPayload], status: str
) -> None:
    incident_id, of = contained
    fresh().persist(
        incident_id, of, answer(actions={"deny": {"status": "DONE", "detail": "denied"}})
    )
    fresh().persist(
        incident_id, of, answer(actions={"deny": {"status": status, "detail": "as wanted"}})
    )
    assert deployment.targets(incident_id)[0]["actions"]["deny"]["detail"] == "denied"
    fresh().persist(
        incident_id, of, answer(actions={"deny": {"status": "FAILED", "detail": "AccessDenied"}})
    )
    assert deployment.targets(incident_id)[0]["actions"]["deny"]["status"] == "FAILED"


def test_an_answer_without_watched_names_leaves_those_there_are(
    deployment: Deployment, contained: tuple[str, TargetPayload]
) -> None:
    incident_id, of = contained
    fresh().persist(incident_id, of, answer(watched=["eni-1"]))
    fresh().persist(incident_id, of, answer())
    assert deployment.targets(incident_id)[0]["watched"] == ["eni-1"]


def test_of_a_target_that_is_linked_to_no_containment(
    deployment: Deployment, record: IncidentRepository, incident: Callable[..., str]
) -> None:
    incident_id = incident(status="OPEN")
    given = answer(
        actions={"deny": {"status": "DONE", "detail": "denied"}},
        before={"policy": "open"},
        evidence={"objects": {"outcome": "COMPLETE", "detail": "3 objects"}},
    )
    record.persist(incident_id, target(), given)
    record.persist(incident_id, target(), answer(before={"policy": "closed"}))
    [seen] = deployment.targets(incident_id)
    assert (seen["status"], seen["before"]) == ("CONTAINED", {"policy": "open"})
    assert seen["actions"]["deny"]["detail"] == "denied"
    assert seen["evidence"]["objects"]["outcome"] == "COMPLETE"


# -- sizes, and restores meanwhile -----------------------------------------------------------------


def test_large_answers_are_stored_whole(
    deployment: Deployment, contained: tuple[str, TargetPayload]
) -> None:
    """DynamoDB takes 100 writes and 4 MB in a transaction, and 400 KB in an item."""
    incident_id, of = contained
    given = answer(
        "CONTAINED",
        *(check(f"check-{number}") for number in range(150)),
        before={
            **{f"item-{number}": "x" * 60_000 for number in range(120)},
            "policy": ["y" * INLINE_BYTES],
        },
        actions={f"deny-{n}": {"status": "DONE", "detail": "z" * 900} for n in range(120)},
    )
    fresh().persist(incident_id, of, given)
    [seen] = fresh().read(incident_id)[1]
    assert seen["before"] == given["before"]
    assert len(seen["checks"]) == 150
    assert len(seen["actions"]) == 120
    large = fresh().table.get(f"CONTAINMENT#{ARN}", "0001#BEFORE#policy") or {}
    assert "stored" in large["value"], "in the bucket"


@pytest.mark.parametrize("items", [1, 120])
def test_a_restore_meanwhile_is_kept(
    deployment: Deployment, contained: tuple[str, TargetPayload], items: int
) -> None:
    incident_id, of = contained
    fresh().containments.set(ARN, 1, status=Status.RESTORED)
    given = answer(before={f"item-{number}": number for number in range(items)})
    kept = fresh().persist(incident_id, of, given, unless_restored=True)
    assert kept is None
    assert stored(deployment)["0001#STATE"]["status"] == "RESTORED"
    assert stored(deployment, "BEFORE") == {}, "nothing is recorded of what is given back"


# -- nobody else -----------------------------------------------------------------------------------

PACKAGE = ROOT / "lambda_src" / "guardduty_response"
WRITING = {
    "put_action",
    "put_before",
    "put_evidence",
    "before_write",
    "action_write",
    "evidence_write",
}
# The storage itself; and what moves records of releases before 0.2.
MAY_WRITE = {"incident/result_writer.py", "incident/containments.py"}


def _calls() -> Iterator[tuple[str, ast.Call, ast.Attribute]]:
    """Yields the calls of methods in the package, each with its file."""
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                yield path.relative_to(PACKAGE).as_posix(), node, node.func


def test_nothing_else_stores_results() -> None:
    callers: dict[str, set[str]] = {}
    for file, _, method in _calls():
        if method.attr in WRITING and ast.unparse(method.value).endswith("containments"):
            callers.setdefault(file, set()).add(method.attr)
    assert callers.keys() - MAY_WRITE <= {
        "incident/target_repository.py",  # takes over old records
        "containment/gate.py",  # the transaction in which a change is permitted
    }
    assert callers["containment/gate.py"] == {"before_write"}


def test_nothing_else_gives_a_target_a_status() -> None:
    found = {
        file
        for file, call, method in _calls()
        if method.attr in ("set", "set_target")
        and {"status", "checks"} & {keyword.arg for keyword in call.keywords}
    }
    assert found == {
        "incident/result_writer.py",
        "incident/target_repository.py",  # ended without a verdict; takes over old records
    }
