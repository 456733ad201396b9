"""Containments: generations, who joins them, what each keeps, and that no item grows."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError
from guardduty_response.aws import clients
from guardduty_response.errors import ResponseError
from guardduty_response.incident.containment import INLINE_BYTES
from guardduty_response.incident.containments import Containments, Joined
from guardduty_response.incident.repository import IncidentRepository
from guardduty_response.incident.statuses import Status

from tests.support.patience import PATIENCE
from tests.unit.deployment import BUCKET, TABLE, Deployment
from tests.unit.fake_playbook import ARN
from tests.unit.incident.containment_lab import action, check, join, stored

FIRST, SECOND, THIRD = "inc-1", "inc-2", "inc-3"
ENDINGS = [Status.RESTORED, Status.RESTORE_PARTIAL]


@pytest.fixture
def containments(record: IncidentRepository) -> Containments:
    return record.containments


# -- generations -----------------------------------------------------------------------------------


def test_the_first_incident_opens_a_generation(
    deployment: Deployment, containments: Containments
) -> None:
    assert containments.generation(ARN) == 0
    assert containments.state(ARN, 1) is None
    assert join(containments, FIRST, "i-1") == Joined(
        1,
        True,
        Status.OPEN,
        FIRST,
    )
    items = stored(deployment)
    assert set(items) == {"HEAD", "0001#STATE", f"0001#LINK#{FIRST}"}
    state = items["0001#STATE"]
    wanted = {
        "arn": ARN,
        "kind": "ec2_instance",
        "id": "i-1",
        "account_id": "222222222222",
        "region": "us-east-1",
        "playbook": "ec2_instance",
        "generation": 1,
        "immutable_id": "i-1",
        "opened_by": FIRST,
        "status": "OPEN",
        "still_contained": [],
    }
    assert state | wanted == state
    assert items["HEAD"]["generation"] == 1


@pytest.mark.parametrize(
    "status", [status for status in Status if status not in ENDINGS and status is not Status.OPEN]
)
def test_a_second_incident_joins_it(
    deployment: Deployment, containments: Containments, status: Status
) -> None:
    join(containments, FIRST, "id-1")
    containments.set(ARN, 1, status=status)
    containments.put_before(ARN, 1, "network", {"eni-1": ["sg-web"]})
    assert join(containments, SECOND, "id-1") == Joined(
        1,
        False,
        status,
        FIRST,
    )
    read = containments.read(ARN, 1)
    assert [link["incident_id"] for link in read.open_links] == [FIRST, SECOND]
    assert read.before == {"network": {"eni-1": ["sg-web"]}}
    assert len(stored(deployment, "STATE")) == 1


def test_joining_twice_is_joining_once(deployment: Deployment, containments: Containments) -> None:
    """A step is repeated when its answer was lost."""
    for _ in range(2):
        assert join(containments, FIRST).generation == 1
    assert list(stored(deployment, "LINK")) == [f"0001#LINK#{FIRST}"]


@pytest.mark.parametrize("status", ENDINGS)
def test_after_a_restore_the_next_opens_a_generation(
    deployment: Deployment, containments: Containments, status: Status
) -> None:
    join(containments, FIRST, "id-1")
    containments.put_before(ARN, 1, "network", {"eni-1": ["sg-web"]})
    containments.put_action(ARN, 1, "quarantine_network", action())
    containments.put_evidence(ARN, 1, "snapshots", {"outcome": "COMPLETE"})
    containments.set(
        ARN,
        1,
        status=status,
        checks=[check("eni-1")],
        watched=["eni-1"],
    )
    assert join(containments, SECOND, "id-1") == Joined(
        2,
        True,
        Status.OPEN,
        SECOND,
    )
    new, old = containments.read(ARN, 2), containments.read(ARN, 1)
    assert (new.before, new.actions, new.evidence, new.checks, new.watched) == ({}, {}, {}, [], [])
    assert [link["incident_id"] for link in new.links] == [SECOND]
    assert old.state["status"] == status
    assert old.before == {"network": {"eni-1": ["sg-web"]}}
    assert old.evidence == {"snapshots": {"outcome": "COMPLETE"}}


def test_what_a_restore_left_contained_keeps_its_first_state(containments: Containments) -> None:
    interfaces = {"eni-1": ["sg-web"], "eni-2": ["sg-db"]}
    join(containments, FIRST, "id-1")
    containments.put_before(ARN, 1, "network", {"interfaces": interfaces})
    containments.put_before(ARN, 1, "profile", {"name": "web"})
    containments.put_before(ARN, 1, "tags", {"a": None})
    containments.put_before(ARN, 1, "tags/b", "came later")
    containments.put_before(ARN, 1, "disks/sdf", "came later")
    containments.set(
        ARN,
        1,
        status=Status.RESTORE_PARTIAL,
        still_contained=["network/eni-2", "profile", "disks", "forgotten"],
    )
    assert join(containments, SECOND, "id-1").generation == 2
    read = containments.read(ARN, 2)
    kept = {
        "network/eni-2": ["sg-db"],
        "profile": {"name": "web"},
        "disks/sdf": "came later",
    }
    assert read.before == kept
    assert read.state["still_contained"] == sorted(kept)
    containments.put_before(ARN, 2, "profile", {"name": "quarantine"})
    assert containments.read(ARN, 2).before["profile"] == {"name": "web"}, "the first one stands"


def test_much_that_was_left_contained_is_carried_over_too(containments: Containments) -> None:
    """DynamoDB takes 100 writes in a transaction."""
    join(containments, FIRST)
    names = [f"reversal-{number:03d}" for number in range(130)]
    for name in names:
        containments.put_before(ARN, 1, name, {"of": name})
    containments.set(
        ARN,
        1,
        status=Status.RESTORE_PARTIAL,
        still_contained=names,
    )
    assert join(containments, SECOND).generation == 2
    assert containments.read(ARN, 2).before == {name: {"of": name} for name in names}


# -- another resource of the same name -------------------------------------------------------------


def contain_aida1(containments: Containments, status: Status) -> None:
    """The resource of the unique ID AIDA1 has lost its profile for the first incident."""
    join(containments, FIRST, "AIDA1")
    containments.put_before(ARN, 1, "profile", {"name": "web"})
    containments.set(ARN, 1, status=status, still_contained=["profile"])


def test_another_resource_under_the_same_name_has_a_generation_of_its_own(
    containments: Containments,
) -> None:
    contain_aida1(containments, Status.CONTAINED)
    assert join(containments, SECOND, "AIDA2") == Joined(
        2,
        True,
        Status.OPEN,
        SECOND,
    )
    read = containments.read(ARN, 2)
    assert (read.before, read.state["immutable_id"]) == ({}, "AIDA2")
    assert read.state["still_contained"] == []
    assert join(containments, THIRD, "AIDA2").generation == 2


def test_after_a_restore_another_resource_has_nothing_of_the_first(
    containments: Containments,
) -> None:
    contain_aida1(containments, Status.RESTORE_PARTIAL)
    join(containments, SECOND, "AIDA2")
    assert containments.read(ARN, 2).before == {}


@pytest.mark.parametrize(("first", "second"), [("", "AIDA1"), ("AIDA1", ""), ("", "")])
def test_an_id_that_could_not_be_read_joins(
    containments: Containments, first: str, second: str
) -> None:
    join(containments, FIRST, first)
    assert join(containments, SECOND, second).generation == 1
    state = containments.state(ARN, 1)
    assert state and state["immutable_id"] == (first or second), "filled in once it is known"


def test_an_id_that_was_filled_in_counts(containments: Containments) -> None:
    for incident_id, immutable_id in ((FIRST, ""), (SECOND, "AIDA1")):
        join(containments, incident_id, immutable_id)
    assert join(containments, THIRD, "AIDA2").generation == 2


# -- races -----------------------------------------------------------------------------------------


def _at_once(count: int, work: Any) -> list[Any]:
    start = threading.Barrier(count)

    def begin(number: int) -> Any:
        start.wait(PATIENCE)
        return work(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(begin, range(count)))


@pytest.mark.usefixtures("atomic")
@pytest.mark.parametrize("earlier", [0, 1])
def test_of_many_that_come_at_once_a_single_one_opens_it(
    deployment: Deployment, earlier: int
) -> None:
    if earlier:
        first = IncidentRepository(TABLE).containments
        join(first, "inc-0", "id-1")
        first.set(ARN, 1, status=Status.RESTORED)
    # The clients are made beforehand: making them is not safe to do side by side.
    own = [IncidentRepository(TABLE).containments for _ in range(4)]
    got = _at_once(4, lambda number: join(own[number], f"inc-{number + 1}", "id-1"))
    assert {joined.generation for joined in got} == {earlier + 1}
    [opener] = [f"inc-{number + 1}" for number, joined in enumerate(got) if joined.new]
    assert {joined.opened_by for joined in got} == {opener}
    links = own[0].read(ARN, earlier + 1).links
    assert {link["incident_id"] for link in links} == {"inc-1", "inc-2", "inc-3", "inc-4"}
    assert set(stored(deployment, "STATE")) == {f"000{n}#STATE" for n in range(1, earlier + 2)}


def test_somebody_who_always_comes_first_ends_in_an_error_that_says_so(
    containments: Containments, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(containments.table, "transact", lambda writes: [0])
    with pytest.raises(ResponseError, match="changed 5 times while incident inc-1 joined"):
        join(containments, FIRST)


# -- the state before ------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [{"a": [1, {"b": None}]}, [], "", None, False, 0, 1.5])
def test_the_first_state_before_stands_for_each_item(
    record: IncidentRepository, containments: Containments, value: Any
) -> None:
    join(containments, FIRST)
    containments.put_before(ARN, 1, "network", value)
    containments.put_before(ARN, 1, "network", "contained")
    assert (
        record.table.transact(
            [
                containments.before_write(
                    ARN,
                    1,
                    "network",
                    "contained",
                )
            ]
        )
        == []
    )
    assert containments.read(ARN, 1).before == {"network": value}


def test_items_that_appear_later_are_added(
    record: IncidentRepository, containments: Containments
) -> None:
    join(containments, FIRST)
    containments.put_before(ARN, 1, "network", {"eni-1": ["sg-web"]})
    later = [
        containments.before_write(
            ARN,
            1,
            "network",
            {"eni-1": ["sg-quarantine"]},
        ),
        containments.before_write(ARN, 1, "network/eni-2", ["sg-db"]),
    ]
    assert record.table.transact(later) == []
    assert containments.read(ARN, 1).before == {
        "network": {"eni-1": ["sg-web"]},
        "network/eni-2": ["sg-db"],
    }


@pytest.mark.parametrize("transaction", [False, True])
def test_a_large_value_is_stored_by_its_hash(
    deployment: Deployment,
    record: IncidentRepository,
    containments: Containments,
    transaction: bool,
) -> None:
    join(containments, FIRST)
    value = {f"statement-{number}": "x" * 1000 for number in range(90)}
    assert len(json.dumps(value)) > INLINE_BYTES
    if transaction:
        record.table.transact(
            [
                containments.before_write(
                    ARN,
                    1,
                    "policies",
                    value,
                )
            ]
        )
    else:
        containments.put_before(ARN, 1, "policies", value)
    containments.put_before(ARN, 1, "policies", {"first": "stands"})
    [item] = stored(deployment, "BEFORE").values()
    assert len(str(item)) < 1000
    assert containments.read(ARN, 1).before == {"policies": value}


def test_a_large_value_is_read_as_the_functions_roles_may(
    deployment: Deployment, containments: Containments, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who names a version needs s3:GetObjectVersion (Amazon S3 API, GetObject), which they lack."""
    deployment.s3.put_bucket_versioning(
        Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"}
    )
    join(containments, FIRST)
    containments.put_before(ARN, 1, "policies", ["x" * INLINE_BYTES])
    s3 = clients.client("s3")
    get_object = s3.get_object

    def without_versions(**request: Any) -> Any:
        if "VersionId" in request:
            denied: Any = {"Error": {"Code": "AccessDenied", "Message": "s3:GetObjectVersion"}}
            raise ClientError(denied, "GetObject")
        return get_object(**request)

    monkeypatch.setattr(s3, "get_object", without_versions)
    assert containments.read(ARN, 1).before == {"policies": ["x" * INLINE_BYTES]}


def test_a_large_value_that_somebody_changed_is_refused(
    deployment: Deployment, containments: Containments
) -> None:
    join(containments, FIRST)
    containments.put_before(ARN, 1, "policies", ["x" * INLINE_BYTES])
    [item] = stored(deployment, "BEFORE").values()
    key = item["value"]["stored"]["key"]
    deployment.s3.put_object(Bucket=BUCKET, Key=key, Body=b'["somebody else\'s"]')
    with pytest.raises(ResponseError, match=f"{key} .*somebody changed it, so it is not used"):
        containments.read(ARN, 1)
