"""What a containment keeps in items of its own: checks, links, drift; and that none grows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from guardduty_response.errors import ResponseError
from guardduty_response.incident import losses
from guardduty_response.incident.containments import Containments
from guardduty_response.incident.model import ContainmentLoss, RestoreRecord
from guardduty_response.incident.repository import IncidentRepository
from guardduty_response.incident.statuses import Status
from guardduty_response.incident.target_repository import log_entry

from tests.unit.deployment import TABLE, Deployment
from tests.unit.fake_playbook import ARN
from tests.unit.function_calls import target
from tests.unit.incident.containment_lab import action, check, join, stored

FIRST, SECOND = "inc-1", "inc-2"
MANY = 100  # more than a transaction of checks holds


@pytest.fixture
def containments(record: IncidentRepository) -> Containments:
    join(record.containments, FIRST)
    return record.containments


# -- verification ----------------------------------------------------------------------------------


def test_only_the_checks_of_the_latest_verification_count(containments: Containments) -> None:
    first = [check("eni-1"), check("eni-2", ok=False), check("profile")]
    containments.set(
        ARN,
        1,
        status=Status.PARTIAL,
        checks=first,
        watched=["eni-1", "eni-2"],
    )
    read = containments.read(ARN, 1)
    assert sorted(read.checks, key=lambda found: found["name"]) == first
    second = [
        check(
            "eni-1",
            ok=False,
            read=False,
        ),
        check("eni-3", fatal=True),
    ]
    containments.set(
        ARN,
        1,
        status=Status.FAILED,
        checks=second,
        watched=["eni-3"],
    )
    read = containments.read(ARN, 1)
    assert sorted(read.checks, key=lambda found: found["name"]) == second
    assert (read.state["status"], read.watched) == ("FAILED", ["eni-3"])


def test_a_verification_without_checks_has_none(containments: Containments) -> None:
    containments.set(
        ARN,
        1,
        status=Status.CONTAINED,
        checks=[check("eni-1")],
    )
    containments.set(
        ARN,
        1,
        status=Status.GONE,
        checks=[],
    )
    assert containments.read(ARN, 1).checks == []


def test_what_is_set_besides_leaves_the_checks_alone(containments: Containments) -> None:
    containments.set(
        ARN,
        1,
        checks=[check("eni-1")],
        watched=["eni-1"],
    )
    containments.set(
        ARN,
        1,
        verdict="closed",
        weak=["profile"],
    )
    read = containments.read(ARN, 1)
    assert ([found["name"] for found in read.checks], read.watched) == (["eni-1"], ["eni-1"])
    assert (read.state["verdict"], read.state["weak"]) == ("closed", ["profile"])


def test_a_verdict_that_could_not_be_written_is_not_half_there(
    containments: Containments, monkeypatch: pytest.MonkeyPatch
) -> None:
    containments.set(
        ARN,
        1,
        status=Status.CONTAINED,
        checks=[check("eni-1")],
    )

    def broken(writes: Any) -> Any:
        raise OSError("no answer")

    with monkeypatch.context() as patched:
        patched.setattr(containments.table, "transact", broken)
        with pytest.raises(OSError, match="no answer"):
            containments.set(
                ARN,
                1,
                status=Status.FAILED,
                checks=[check("eni-1", ok=False)],
            )
    read = containments.read(ARN, 1)
    assert (read.state["status"], [found["ok"] for found in read.checks]) == ("CONTAINED", [True])


def test_a_generation_that_does_not_exist_is_said_and_never_made(
    deployment: Deployment, containments: Containments
) -> None:
    with pytest.raises(ResponseError, match=f"no containment of {ARN} of generation 2"):
        containments.read(ARN, 2)
    with pytest.raises(Exception, match="ConditionalCheckFailed"):
        containments.set(ARN, 2, status=Status.CONTAINED)
    assert containments.state(ARN, 2) is None
    assert not [key for key in stored(deployment) if key.startswith("0002")]


# -- action log, evidence, drift, links ------------------------------------------------------------


def test_actions_and_evidence_take_the_latest_word(containments: Containments) -> None:
    containments.put_action(
        ARN,
        1,
        "network",
        action("denied", "FAILED"),
    )
    containments.put_action(
        ARN,
        1,
        "network",
        action("closed"),
    )
    containments.put_evidence(
        ARN,
        1,
        "snapshots",
        {"outcome": "PARTIAL", "objects": []},
    )
    containments.put_evidence(
        ARN,
        1,
        "snapshots",
        {"outcome": "COMPLETE", "tries": 2},
    )
    read = containments.read(ARN, 1)
    assert read.actions == {"network": action("closed")}
    assert read.evidence == {"snapshots": {"outcome": "COMPLETE", "tries": 2}}


def test_every_loss_of_containment_stays_in_the_history(containments: Containments) -> None:
    seen: list[ContainmentLoss] = [
        {"at": f"2026-01-01T00:0{n}:00Z", "checks": [f"eni-{n}"]} for n in range(3)
    ]
    for loss in seen:
        losses.put(containments.table, ARN, 1, loss)
    ended: ContainmentLoss = {**seen[1], "ended": "2026-01-01T00:09:00Z"}
    losses.put(containments.table, ARN, 1, ended)
    assert losses.newest(containments.table, ARN, 1) == [seen[0], ended, seen[2]]


def test_a_closed_incident_leaves_and_the_others_stay(containments: Containments) -> None:
    join(containments, SECOND)
    containments.release_link(ARN, 1, FIRST, "closed by ada")
    left = containments.read(ARN, 1).open_links
    assert [link["incident_id"] for link in left] == [SECOND]
    released, kept = containments.read(ARN, 1).links
    assert (released["incident_id"], released["reason"]) == (FIRST, "closed by ada")
    assert released["released_at"] and "released_at" not in kept
    containments.release_link(ARN, 1, SECOND, "rebuilt")
    assert containments.read(ARN, 1).open_links == []


def test_a_closed_incident_that_comes_again_is_linked_anew(containments: Containments) -> None:
    containments.release_link(ARN, 1, FIRST, "closed by ada")
    assert join(containments, FIRST).generation == 1
    [link] = containments.read(ARN, 1).open_links
    assert link["incident_id"] == FIRST


# -- nothing grows ---------------------------------------------------------------------------------


def test_no_item_grows_however_much_is_done(
    deployment: Deployment, containments: Containments
) -> None:
    """Every change of a large record would otherwise cost, and could lose, the whole record."""
    for number in range(MANY):
        name = f"reversal-{number:03d}"
        containments.put_action(
            ARN,
            1,
            name,
            action("x" * 1000),
        )
        containments.put_before(
            ARN,
            1,
            name,
            {"groups": [f"sg-{n:017d}" for n in range(5)]},
        )
        losses.put(
            containments.table, ARN, 1, {"at": f"2026-01-01T00:00:{number:03d}Z", "checks": [name]}
        )
        join(containments, f"inc-{number:016d}")
    checks = [check(f"interface eni-{number:017d}") for number in range(MANY)]
    for _ in range(3):
        containments.set(
            ARN,
            1,
            status=Status.CONTAINED,
            checks=checks,
            watched=["i-1"],
        )
    read = containments.read(ARN, 1)
    assert [len(part) for part in (read.actions, read.before, read.checks)] == [MANY] * 3
    assert len(losses.newest(containments.table, ARN, 1)) == min(MANY, losses.NEWEST)
    assert len(read.open_links) == MANY + 1
    sizes = {key: len(str(item)) for key, item in everything(deployment).items()}
    assert max(sizes.values()) < 2000, max(sizes, key=lambda key: sizes[key])
    assert len(sizes) == 5 * MANY + 4, "STATE, HEAD, WATCHED and the first link besides"


@pytest.mark.parametrize("count", [10, 2000])
def test_what_a_restore_says_of_many_settings_does_not_outgrow_the_item(
    deployment: Deployment, containments: Containments, record: IncidentRepository, count: int
) -> None:
    """DynamoDB refuses an item of more than 400 KB: the restore would be done, and not recorded."""
    names = [f"reversal-{number:05d}" for number in range(count)]
    done: RestoreRecord = {
        "at": "2026-01-01T00:00:00Z",
        "by": "erin",
        "done": names,
        "restored": [f"{name}: {'x' * 300}" for name in names],
        "not_restored": [],
    }
    verdict = "; ".join(done["restored"])
    fields: dict[str, Any] = {"weak": names * 2, "restored": done, "verdict": verdict}
    assert containments.set(ARN, 1, status=Status.RESTORED, **fields)
    [item] = stored(deployment, "STATE").values()
    assert len(str(item)) < 100_000
    seen = record.target(FIRST, "ec2_instance", "i-1", place=(ARN, 1))
    assert (seen["restored"], seen["weak"]) == (done, names * 2)
    assert seen["verdict"].startswith(verdict[:1000])
    assert (seen["verdict"] == verdict) is (count == 10)


def everything(deployment: Deployment) -> dict[str, Any]:
    """Returns all items of the containment: more than a page holds."""
    pages = deployment.dynamodb.get_paginator("query").paginate(
        TableName=TABLE,
        KeyConditionExpression="pk = :pk",
        ExpressionAttributeValues={":pk": {"S": f"CONTAINMENT#{ARN}"}},
    )
    return {item["sk"]["S"]: item for page in pages for item in page["Items"]}


@pytest.mark.parametrize(
    "name", ["x" * 801, "é" * 600, f"arn:aws:iam::222222222222:policy/{'p' * 900}"]
)
def test_a_name_too_long_for_a_key_is_hashed(
    deployment: Deployment, containments: Containments, name: str
) -> None:
    other = f"{name}!"
    for number, item in enumerate((name, other)):
        containments.put_before(ARN, 1, item, number)
        containments.put_action(
            ARN,
            1,
            item,
            action(str(number)),
        )
        containments.put_evidence(
            ARN,
            1,
            item,
            {"outcome": str(number)},
        )
    containments.set(
        ARN,
        1,
        checks=[check(name), check(other, ok=False)],
    )
    read = containments.read(ARN, 1)
    assert read.before == {name: 0, other: 1}
    assert {found: entry["detail"] for found, entry in read.actions.items()} == {
        name: "0",
        other: "1",
    }
    assert {found["name"]: found["ok"] for found in read.checks} == {name: True, other: False}
    assert set(read.evidence) == {name, other}
    assert max(len(key.encode()) for key in stored(deployment)) <= 1024, "DynamoDB's limit"


@pytest.mark.parametrize("name", ["network/eni-1", "a#b", "0002#STATE", "LINK", "x" * 800])
def test_a_name_is_found_as_it_was_given(containments: Containments, name: str) -> None:
    containments.put_before(ARN, 1, name, "value")
    containments.put_action(ARN, 1, name, action())
    read = containments.read(ARN, 1)
    assert (read.before, list(read.actions)) == ({name: "value"}, [name])


# -- what incidents see of it ----------------------------------------------------------------------


def test_incidents_of_a_containment_see_the_same(
    deployment: Deployment, record: IncidentRepository, incident: Callable[..., str]
) -> None:
    first = incident("i-1", status="CONTAINED")
    joined = join(record.containments, SECOND)
    record.put_target(SECOND, target(generation=joined.generation))
    record.action(
        first,
        "ec2_instance",
        "i-1",
        "network",
        "DONE",
        "closed",
    )
    record.before(
        SECOND,
        "ec2_instance",
        "i-1",
        "profile",
        {"name": "web"},
    )
    record.evidence(
        first,
        "ec2_instance",
        "i-1",
        "snapshots",
        {"outcome": "COMPLETE"},
    )
    own = {"consequences": log_entry("NOTED", "a spot instance")}
    record.put_target(first, target(generation=joined.generation), own)
    for incident_id in (first, SECOND):
        record.set_target(
            incident_id, "ec2_instance", "i-1", status=Status.CONTAINED, watched=["i-1"]
        )
    mine, other = (
        record.target(
            id,
            "ec2_instance",
            "i-1",
        )
        for id in (first, SECOND)
    )
    for shown in (mine, other):
        assert (shown["status"], shown["before"]) == ("CONTAINED", {"profile": {"name": "web"}})
        assert shown["incidents"] == [first, SECOND]
        assert shown["evidence"] == {"snapshots": {"outcome": "COMPLETE"}}
        assert shown["watched"] == ["i-1"]
    assert set(mine["actions"]) == {"network", "consequences"}
    assert set(other["actions"]) == {"network"}, "what the first one alone was told is its own"
