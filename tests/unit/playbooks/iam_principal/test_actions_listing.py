"""What CloudTrail has, in every Region and page of it, within its window; and what it refuses or
cuts off is said.
"""

from __future__ import annotations

import shlex
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError
from guardduty_response.aws import clients
from guardduty_response.cloudtrail import query
from guardduty_response.cloudtrail.time_range import TimeRange
from guardduty_response.playbooks.iam_principal.evidence import (
    actions,
    event_collection,
    regional_lookup,
)

from tests.support.patience import PATIENCE
from tests.unit.playbooks.iam_principal import evidence_lab
from tests.unit.playbooks.iam_principal.cloudtrail_identities import (
    names,
)
from tests.unit.playbooks.iam_principal.evidence_lab import (
    HOME,
    OTHER,
    REGION,
    EvidenceLab,
)

Json = dict[str, Any]
PAUSE = query.PAUSE_SECONDS


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> Iterator[EvidenceLab]:
    yield from evidence_lab.account(monkeypatch)


# -- Regions, pages, refusals ----------------------------------------------------------------------


def test_every_enabled_region_by_default(lab: EvidenceLab) -> None:
    lab.build().options["lookup_regions"] = []
    lab.happened("CreateTrail", region="eu-central-1")
    [part] = lab.collect(actions)
    assert {request["region"] for request in lab.asked} == set(lab.enabled)
    assert names(lab.changes()[0]) == ["CreateTrail"]
    assert part.outcome == "COMPLETE"


def test_enabled_regions_that_cannot_be_listed(lab: EvidenceLab) -> None:
    lab.build().options["lookup_regions"] = []
    lab.fail("ListRegions", "AccessDeniedException")
    [part] = lab.collect(actions)
    assert {request["region"] for request in lab.asked} == {REGION, HOME}
    assert part.outcome == "PARTIAL"
    assert (
        f"could not be listed (AccessDeniedException: injected): only {REGION} and {HOME} were"
        " queried" in part.detail
    )
    assert "lookup_regions" in part.task


def test_all_pages(lab: EvidenceLab) -> None:
    lab.build().page = 5
    for index in range(23):
        lab.happened("CreateUser", 60 + index)
    lab.collect(actions)
    assert len({change["id"] for change in lab.changes()[0]}) == 23
    assert [change["at"] for change in lab.changes()[0]] == sorted(
        change["at"] for change in lab.changes()[0]
    )
    assert lab.summary()["calls"][0]["count"] == 23


def test_throttling_in_one_region_keeps_what_there_is(lab: EvidenceLab) -> None:
    lab.build().page = 5
    for index in range(12):
        lab.happened("CreateUser", 60 + index, OTHER)
    lab.happened("CreateRole")
    lab.fail(
        "LookupEvents",
        "ThrottlingException",
        lambda asked: asked["region"] == OTHER and asked.get("NextToken") == "5",
        times=2,
    )
    parts = lab.collect(actions)
    assert [part.outcome for part in parts] == ["RUNNING", "RUNNING", "COMPLETE"]
    assert "6 events of iam_user alice so far" in parts[0].detail
    assert len(lab.changes()[0]) == 13
    assert len(lab.events(OTHER)) == 12


def test_a_region_that_throttles_for_ever_is_given_up_and_said(lab: EvidenceLab) -> None:
    lab.build()
    lab.happened("CreateRole")
    lab.fail(
        "LookupEvents",
        "ThrottlingException",
        lambda asked: asked["region"] == OTHER,
    )
    part = lab.collect(actions)[-1]
    assert part.outcome == "PARTIAL"
    assert f"not read: {OTHER} (cannot be queried (ThrottlingException: injected))" in part.detail
    assert f"--region {OTHER}" in part.task and f"--region {REGION}" not in part.task
    assert names(lab.changes()[0]) == ["CreateRole"]


def test_a_token_that_did_not_last(lab: EvidenceLab) -> None:
    lab.build().page = 5
    for index in range(12):
        lab.happened("CreateUser", 60 + 10 * index)
    lab.fail(
        "LookupEvents",
        "InvalidNextTokenException",
        lambda asked: asked.get("NextToken") == "5",
        times=2,
    )
    [part] = lab.collect(actions)
    assert part.outcome == "COMPLETE"
    assert len({change["id"] for change in lab.changes()[0]}) == len(lab.changes()[0]) == 12


def test_a_region_that_refuses_is_named_with_the_command(lab: EvidenceLab) -> None:
    lab.build()
    lab.fail(
        "LookupEvents",
        "AccessDeniedException",
        lambda asked: asked["region"] == OTHER,
    )
    [part] = lab.collect(actions)
    assert part.outcome == "PARTIAL"
    assert f"not read: {OTHER} (cannot be looked up (AccessDeniedException" in part.detail
    assert (
        "AttributeKey=Username,AttributeValue=alice" in part.task
        and f"--region {OTHER}" in part.task
    )
    assert part.state["cut_off"] in part.task and part.state["cut_off"] in part.detail
    left = lab.summary()["left"]
    assert {(gap["region"], gap["cut"]) for gap in left} == {(OTHER, False)}


def test_refused_everywhere_has_failed_and_waits_for_nothing(lab: EvidenceLab) -> None:
    lab.build().options["repeat_minutes"] = 20
    lab.fail("LookupEvents", "AccessDeniedException")
    [part] = lab.collect(actions)
    assert (part.outcome, part.wait_seconds, part.state["listed"]) == ("FAILED", 0, 1)


def test_a_role_that_cannot_be_assumed(lab: EvidenceLab) -> None:
    def refuse(**_: Any) -> None:
        raise ClientError(
            {"Error": {"Code": "AccessDenied", "Message": "no such role"}}, "AssumeRole"
        )

    lab.build()
    clients.client("sts").meta.events.register("before-parameter-build.sts.AssumeRole", refuse)
    [part] = lab.collect(actions)
    assert part.outcome == "FAILED"
    assert (
        "cannot assume arn:aws:iam::222222222222:role/guardduty-response-collector-iam-principal"
        in part.detail
    )


def test_names_are_quoted_in_commands(lab: EvidenceLab) -> None:
    lookup = query.new_query("Username", "x' ; rm -rf ~ #")
    command = query.command(
        lookup,
        TimeRange(0, 60),
        REGION,
    )
    assert shlex.split(command)[4] == "AttributeKey=Username,AttributeValue=x' ; rm -rf ~ #"


def test_what_the_bound_of_pages_cuts_off_is_said_also_after_the_second_list(
    lab: EvidenceLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.build().page = 5
    lab.options["repeat_minutes"] = 20
    for index in range(23):
        lab.happened("CreateUser", 3600 + index)
    monkeypatch.setattr(query, "MOST_PAGES", 2)
    parts = lab.collect(actions)
    assert "cut off after 2 pages, older calls were left" in parts[0].detail
    assert parts[-1].outcome == "PARTIAL"
    assert "cut off after 2 pages, older calls were left" in parts[-1].detail
    assert "AttributeKey=Username,AttributeValue=alice" in parts[-1].task
    assert len(lab.changes()[0]) == 10


def test_what_the_bound_of_events_cuts_off_is_said(
    lab: EvidenceLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.build().page = 5
    for index in range(23):
        lab.happened("CreateUser", 60 + index)
    monkeypatch.setattr(event_collection, "MOST_EVENTS", 8)
    monkeypatch.setattr(query, "PAGES_A_CALL", 2)
    part = lab.collect(actions)[-1]
    assert part.outcome == "PARTIAL"
    assert len(lab.events()) == 8
    assert "truncated after" in part.detail


def test_each_region_is_paced_by_itself(lab: EvidenceLab, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a clock that stands still, so that only what was waited for counts; the first calls of
    all Regions meet.
    """
    assert PAUSE > 0.5
    slept: dict[int, list[float]] = defaultdict(list)
    meeting = threading.Barrier(3, timeout=PATIENCE)

    def sleep(seconds: float) -> None:
        slept[threading.get_ident()].append(seconds)
        if len(slept[threading.get_ident()]) == 1:
            meeting.wait()

    monkeypatch.setattr(query, "PAUSE_SECONDS", PAUSE)
    monkeypatch.setattr(
        query,
        "time",
        SimpleNamespace(sleep=sleep, monotonic=lambda: 1000.0),
    )
    lab.build().page = 1
    for region in (REGION, HOME, OTHER):
        for index in range(2):
            lab.happened("CreateUser", 60 + index, region)
    lab.collect(actions)
    assert [[round(moment, 6) for moment in times] for times in slept.values()] == [
        [0, PAUSE, PAUSE, PAUSE]
    ] * 3


def test_more_regions_than_threads_all_get_their_turn(
    lab: EvidenceLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.build()
    monkeypatch.setattr(
        regional_lookup,
        "_POOL",
        ThreadPoolExecutor(max_workers=1),
    )
    lab.happened("CreateUser", region=OTHER)
    lab.collect(actions)
    assert names(lab.changes()[0]) == ["CreateUser"]


# -- the window ------------------------------------------------------------------------------------


def test_the_window_begins_before_the_findings_first_event(lab: EvidenceLab) -> None:
    lab.first_seen = 3600
    lab.build().options["lookup_hours"] = 2
    lab.happened("CreateUser", 3 * 3600 + 60)
    mine = lab.happened("CreateRole", 3 * 3600 - 60)
    lab.collect(actions)
    assert lab.events() == [mine]


def test_no_older_than_cloudtrail_answers(lab: EvidenceLab) -> None:
    lab.first_seen = 200 * 86400
    lab.build()
    lab.collect(actions)
    assert min(request["start"] for request in lab.asked) >= time.time() - 90 * 86400
