"""Parent and children of an incident: how they are read, and what they come to together."""

from __future__ import annotations

import threading
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError
from guardduty_response.incident import incident_links
from guardduty_response.incident.incident_links import LinkedIncident, Links, Reading
from guardduty_response.incident.model import IncidentRecord
from guardduty_response.incident.repository import IncidentRepository
from guardduty_response.incident.statuses import Status
from guardduty_response.incident.table import incident_key

from tests.support.patience import PATIENCE

S = Status


def meta(record: IncidentRepository, name: str, status: str = "CONTAINED", **more: Any) -> Any:
    """Stores an incident, and returns its META item."""
    item = {
        "pk": incident_key(name),
        "sk": "META",
        "incident_id": name,
        "status": status,
        **more,
    }
    record.table.put(item)
    return item


def linked(status: str) -> LinkedIncident:
    return LinkedIncident("inc-c", cast(IncidentRecord, {"status": status}))


@pytest.mark.parametrize(
    ("own", "children", "overall"),
    [
        ("CONTAINED", [], "CONTAINED"),
        ("CONTAINED", ["CONTAINED"], "CONTAINED"),
        ("CONTAINED", ["FAILED"], "FAILED"),
        ("CONTAINED", ["CONTAINED", "PARTIAL"], "PARTIAL"),
        ("CONTAINED", ["PARTIAL", "BREACHED"], "BREACHED"),
        ("CONTAINED", ["CONTAINING"], "CONTAINING"),
        ("CONTAINED", ["AWAITING_APPROVAL"], "AWAITING_APPROVAL"),
        ("CONTAINED", ["SKIPPED"], "PARTIAL"),
        ("CONTAINED", ["REJECTED"], "PARTIAL"),
        ("CONTAINED", ["NOTIFIED"], "PARTIAL"),
        ("CONTAINED", ["RESTORED"], "CONTAINED"),
        ("CONTAINED", ["RESTORE_PARTIAL"], "CONTAINED"),
        ("CONTAINED", ["CLOSED"], "CONTAINED"),
        ("CONTAINED", ["GONE"], "CONTAINED"),
        ("GONE", ["FAILED"], "FAILED"),
        ("PARTIAL", ["FAILED"], "FAILED"),
        ("PARTIAL", ["CONTAINING"], "PARTIAL"),
        ("FAILED", ["PARTIAL"], "FAILED"),
        ("RESTORED", ["FAILED"], "RESTORED"),
        ("CLOSED", ["FAILED"], "CLOSED"),
    ],
)
def test_together_they_are_as_the_worst(own: str, children: list[str], overall: str) -> None:
    links = Links(children=tuple(map(linked, children)))
    assert links.overall(Status(own)) == overall
    assert bool(links.worse_than(Status(own))) is (overall != own)


def test_what_is_not_known_is_no_success() -> None:
    absent, unreadable = LinkedIncident("inc-a"), LinkedIncident("inc-b", error="AccessDenied")
    assert Links(children=(absent,)).overall(S.CONTAINED) is S.OPEN
    assert Links(children=(unreadable,)).overall(S.CONTAINED) is S.PARTIAL
    assert (absent.state, unreadable.state) == ("not begun", "not readable (AccessDenied)")
    assert len(Links(children=(absent, unreadable)).tasks()) == 2


def test_both_ways(record: IncidentRepository) -> None:
    parent = meta(
        record,
        "inc-p",
        "PARTIAL",
        children=["inc-c", "inc-d", "inc-none"],
    )
    child = meta(record, "inc-c", "FAILED", parent="inc-p")
    meta(record, "inc-d", parent="inc-p")
    links = Reading(record, parent).links
    assert links.parent is None
    states = [(found.incident_id, found.state) for found in links.children]
    assert states == [("inc-c", "FAILED"), ("inc-d", "CONTAINED"), ("inc-none", "not begun")]
    up = Reading(record, child).links
    assert up.parent and (up.parent.incident_id, up.parent.state) == ("inc-p", "PARTIAL")
    assert up.children == ()


def test_children_of_children_are_read_too_and_a_circle_ends(record: IncidentRepository) -> None:
    top = meta(record, "inc-1", children=["inc-2"])
    middle = meta(
        record,
        "inc-2",
        parent="inc-1",
        children=["inc-3", "inc-1", "inc-2"],
    )
    meta(
        record,
        "inc-3",
        "FAILED",
        parent="inc-2",
        children=["inc-1", "inc-2"],
    )
    found = Reading(record, top).links
    assert [child.incident_id for child in found.children] == ["inc-2", "inc-3"]
    assert found.overall(S.CONTAINED) is S.FAILED
    found = Reading(record, middle).links
    assert found.parent and found.parent.incident_id == "inc-1"
    assert [child.incident_id for child in found.children] == ["inc-3"]


def test_its_own_parent_is_no_child(record: IncidentRepository) -> None:
    of = meta(record, "inc-1", parent="inc-1", children=["inc-1"])
    assert Reading(record, of).links.children == ()


def test_there_is_an_end_to_reading(
    record: IncidentRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(incident_links, "MOST", 3)
    links = Reading(record, meta(record, "inc-p", children=[f"inc-{n}" for n in range(5)])).links
    assert (len(links.children), links.more) == (3, 2)


def test_nothing_is_read_where_there_is_nothing(
    record: IncidentRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also of a record of an earlier release, which lacks the keys."""
    alone = meta(record, "inc-1", parent="", children=[])
    old = meta(record, "inc-2")

    def refuse(*_: Any) -> None:
        raise AssertionError("nothing is to be read")

    monkeypatch.setattr(record.table, "get", refuse)
    assert Reading(record, alone).links == Reading(record, old).links == Links()


def test_all_are_read_at_once_and_beside_the_caller(
    record: IncidentRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    of = meta(record, "inc-1", parent="inc-0", children=["inc-2", "inc-3"])
    together = threading.Barrier(4, timeout=PATIENCE)  # three reads, and the caller

    def get(pk: str, sk: str) -> Any:
        together.wait()
        return {"incident_id": pk, "status": "CONTAINED"}

    monkeypatch.setattr(record.table, "get", get)
    reading = Reading(record, of)
    together.wait()
    assert len(reading.links.children) == 2


def test_an_error_is_kept_and_not_raised(
    record: IncidentRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    def get(*_: Any) -> Any:
        raise ClientError({"Error": {"Code": "AccessDeniedException"}}, "GetItem")

    of = meta(record, "inc-1", children=["inc-2"])
    monkeypatch.setattr(record.table, "get", get)
    [child] = Reading(record, of).links.children
    assert child.state.startswith("not readable (An error occurred (AccessDeniedException)")


def test_children_that_were_not_read_are_no_success() -> None:
    """There is an end to reading."""
    assert Links(more=1).overall(Status.CONTAINED) == Status.PARTIAL
    assert Links(more=1).overall(Status.FAILED) == Status.FAILED
    assert Links(more=1).overall(Status.RESTORED) == Status.RESTORED
