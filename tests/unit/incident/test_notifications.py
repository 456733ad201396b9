"""What people read: correct, complete, and harmless whatever the sender of a finding wrote."""

from __future__ import annotations

import hashlib
import os
import re
from html.parser import HTMLParser
from typing import Any, cast

import pytest
from guardduty_response.decision import configuration
from guardduty_response.evidence import store as evidence_store
from guardduty_response.incident import notifications, report, summary
from guardduty_response.incident.model import IncidentRecord, TargetRecord, TimelineEvent
from guardduty_response.incident.repository import IncidentRepository
from guardduty_response.incident.statuses import ESCALATE, Status

from tests.unit.core_helpers import told
from tests.unit.lambda_world import TABLE, World

META: IncidentRecord = {
    "incident_id": "inc-1",
    "finding_id": "f1",
    "finding_type": "CryptoCurrency:EC2/BitcoinTool.B!DNS",
    "severity": 8.0,
    "account_id": "222222222222",
    "region": "us-east-1",
    "title": "i-1 queries a mining pool",
    "status": "CONTAINED",
    "mode": "auto",
    "reasons": ["global remediation 'CryptoCurrency:EC2/*' = auto"],
    "targets": [{"id": "i-1"}],
    "execution": "execution-1",
    "config_sha256": "c0",
}
TARGET: TargetRecord = {
    "kind": "ec2_instance",
    "id": "i-1",
    "arn": "arn:i-1",
    "status": "PARTIAL",
    "attach": "",
    "verdict": "1 of 2 interfaces closed",
    "actions": {
        "detach": {
            "status": "FAILED",
            "detail": "denied; detach it by hand",
            "at": "2026-03-02T08:00:01Z",
            "request_id": "r1",
        },
        "network": {
            "status": "DONE",
            "detail": "closed",
            "at": "2026-03-02T08:00:00Z",
            "request_id": "",
        },
    },
    "checks": [
        {"name": "eni-1", "ok": True, "detail": "closed", "fatal": True},
        {"name": "eni-2", "ok": False, "detail": "still in sg-web", "fatal": True},
    ],
    "before": {"interfaces": {"eni-1": ["sg-web"]}},
    "evidence": {
        "snapshots": {
            "outcome": "COMPLETE",
            "detail": "one set: snap-1",
            "at": "2026-03-02T08:00:02Z",
            "objects": [],
        },
        "network_logs": {
            "outcome": "PARTIAL",
            "detail": "cut off",
            "at": "2026-03-02T08:00:03Z",
            "task": "read the rest by hand",
            "objects": [
                {
                    "key": "incidents/inc-1/i-1/flow.gz",
                    "sha256": "ab" * 32,
                    "bytes": 7,
                    "what": "flow log",
                }
            ],
        },
    },
}
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"


def _meta(**changes: Any) -> IncidentRecord:
    return cast(IncidentRecord, {**META, **changes})


def _target(**changes: Any) -> TargetRecord:
    return cast(TargetRecord, {**TARGET, **changes})


def _compose(
    event: str, targets: list[TargetRecord] | None = None, **changes: Any
) -> tuple[str, str]:
    return notifications.compose(event, _meta(**changes), targets or [])


@pytest.mark.parametrize(
    ("changes", "subject"),
    [
        ({}, "[CONTAINED] CryptoCurrency:EC2/BitcoinTool.B!DNS i-1 in 222222222222"),
        ({"targets": []}, "[CONTAINED] CryptoCurrency:EC2/BitcoinTool.B!DNS in 222222222222"),
        (
            {"targets": [{"id": "a"}, {"id": "b"}]},
            "[CONTAINED] CryptoCurrency:EC2/BitcoinTool.B!DNS 2 resources in 222222222222",
        ),
        (
            {"finding_type": "A\nBcc: x@example.com\r\n"},
            "[CONTAINED] A Bcc: x@example.com i-1 in 222222222222",
        ),
        ({"finding_type": "Köln"}, "[CONTAINED] K?ln i-1 in 222222222222"),
    ],
)
def test_subjects(changes: Any, subject: str) -> None:
    assert _compose("CONTAINED", **changes)[0] == subject


def test_subjects_obey_sns() -> None:
    for kind in ("x" * 300, "\ud800\u2028\x00\t", ""):
        found = _compose(Status.FAILED, finding_type=kind)[0]
        assert found.isascii()
        assert len(found) <= 100
        assert found.isprintable()
        assert found[0] == "["


def test_a_subject_names_the_target_the_message_is_about() -> None:
    meta = _meta(targets=[{"id": "i-1"}, {"id": "i-2"}])
    assert " i-1 in " in notifications.compose("PARTIAL", meta, [TARGET])[0]


def test_a_verdict_says_what_was_seen_and_what_is_left() -> None:
    _, body = _compose(Status.PARTIAL, [TARGET], status="PARTIAL")
    assert body.startswith("Partially contained. A person must finish it.")
    for line in (
        "Finding   CryptoCurrency:EC2/BitcoinTool.B!DNS (severity 8)",
        "Account   222222222222   Region us-east-1",
        "Incident  inc-1   status PARTIAL",
        "Resource  ec2_instance i-1: PARTIAL",
        "1 of 2 interfaces closed",
        "PASS     eni-1: closed",
        "FAIL     eni-2: still in sg-web",
        "FAILED   detach: denied; detach it by hand",
    ):
        assert line in body
    left = body.split("Open tasks")[1]
    assert "i-1: detach failed: denied; detach it by hand" in left
    assert "i-1: eni-2: still in sg-web" in left
    assert "network" not in left


@pytest.mark.parametrize("status", sorted(ESCALATE))
def test_what_is_escalated_always_names_a_task(status: Status) -> None:
    assert summary.open_tasks({**META, "status": status}, [])
    assert summary.open_tasks({**META, "status": status, "reasons": []}, []) == [
        "look at the incident record"
    ]


def test_what_is_well_has_no_tasks() -> None:
    assert summary.open_tasks(META, []) == []
    assert "Open tasks" not in _compose(Status.CONTAINED)[1]


@pytest.mark.parametrize("what", ["started", "approval", "notice"])
def test_before_acting_nothing_is_called_left(what: str) -> None:
    assert "Open tasks" not in _compose(what, [TARGET])[1]


def test_every_status_that_is_told_has_a_headline() -> None:
    for status in set(Status) - {
        Status.OPEN,
        Status.AWAITING_APPROVAL,
        Status.CONTAINING,
        Status.NOTIFIED,
        Status.CLOSED,
    }:
        # told by restore, which does not exist yet
        if status not in (Status.RESTORED, Status.RESTORE_PARTIAL):
            assert _compose(status)[1].splitlines()[0] != status


# -- publishing ------------------------------------------------------------------------------------


def test_attributes_serve_filter_policies(world: World) -> None:
    notifications.publish("CONTAINED", META, [TARGET])
    [got] = world.messages()
    assert {name: item["Value"] for name, item in got["MessageAttributes"].items()} == {
        "event": "CONTAINED",
        "status": "CONTAINED",
        "finding_type": META["finding_type"],
        "account_id": "222222222222",
        "incident_id": "inc-1",
        "severity": "8",
    }
    assert got["MessageAttributes"]["severity"]["Type"] == "Number"
    assert told(world) == ([], [])


def test_a_message_without_a_finding_has_its_attributes_too(world: World) -> None:
    notifications.publish(
        "SKIPPED",
        {"incident_id": "inc-1", "status": "SKIPPED", "finding_type": "", "account_id": ""},
        [],
    )
    assert world.messages()[0]["MessageAttributes"]["finding_type"]["Value"] == "unknown"


def test_a_huge_message_is_cut_below_the_limit(world: World) -> None:
    notifications.publish("FAILED", {**META, "title": "ü" * 500_000}, [TARGET])
    [got] = world.messages()
    assert 190_000 < len(got["Message"].encode()) <= 200_000


@pytest.mark.parametrize("broken", ["GDR_TOPIC_ARN", "GDR_ESCALATION_TOPIC_ARN"])
def test_one_broken_topic_does_not_silence_the_other(
    world: World, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    monkeypatch.setenv(broken, "arn:aws:sns:eu-central-1:111111111111:deleted")
    with pytest.raises(Exception, match=r"(?i)not.?found|does not exist|invalid"):
        notifications.publish("FAILED", META, [], escalate=True)
    assert sorted(told(world)) == [[], ["FAILED"]]


def test_one_topic_for_both_is_told_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GDR_ESCALATION_TOPIC_ARN", os.environ["GDR_TOPIC_ARN"])
    notifications.publish("FAILED", META, [], escalate=True)
    assert told(world) == (["FAILED"], [])


# -- the report ------------------------------------------------------------------------------------


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def _page(html: str) -> _Page:
    page = _Page()
    page.feed(html)
    return page


def test_the_report_shows_the_record() -> None:
    events: list[TimelineEvent] = [
        {"at": f"2026-03-02T08:00:0{n}.500000Z", "event": name, "detail": "d"}
        for n, name in enumerate(("opened", "ended"))
    ]
    page = _page(report.render({**META, "status": "PARTIAL"}, [TARGET], events))
    for part in (
        "inc-1",
        "i-1 queries a mining pool",
        "still in sg-web",
        "denied; detach it by hand",
        "interfaces.eni-1",
        "snap-1",
        "+1.00 s",
        "r1",
        "PARTIAL",
    ):
        assert part in page.text
    assert {"svg", "table", "ul"} <= {tag for tag, _ in page.tags}


def test_the_report_lists_evidence_with_its_hashes_and_what_is_left() -> None:
    text = _page(report.render({**META, "status": "PARTIAL"}, [TARGET], [])).text
    for part in (
        "incidents/inc-1/i-1/flow.gz",
        "ab" * 32,
        "flow log",
        "COMPLETE",
        "i-1: read the rest by hand",
    ):
        assert part in text


def test_evidence_says_itself_what_is_left_to_do() -> None:
    """Once, not also as a failed action."""
    actions = {
        "network_logs": {
            "status": "FAILED",
            "detail": "cut off",
            "at": "2026-03-02T08:00:03Z",
            "request_id": "",
        }
    }
    tasks = summary.open_tasks({**META, "status": "PARTIAL"}, [_target(actions=actions, checks=[])])
    assert tasks == ["i-1: read the rest by hand"]


@pytest.mark.parametrize(
    ("restore", "status", "said"),
    [
        (True, "CONTAINED", "--function-name guardduty-response-restore-ec2-instance"),
        (True, "CONTAINED", '"close": true'),
        (False, "CONTAINED", "Restore is switched off"),
        (True, "DRY_RUN", "There is nothing to undo."),
    ],
)
def test_the_report_says_how_to_undo(
    monkeypatch: pytest.MonkeyPatch, restore: bool, status: str, said: str
) -> None:
    monkeypatch.setenv("GDR_NAME_PREFIX", "guardduty-response")
    meta = _meta(status=status, playbook="ec2_instance")
    assert said in _page(report.render(meta, [TARGET], [], restore)).text


def test_the_report_needs_nothing_from_elsewhere() -> None:
    html = report.render(META, [TARGET], [])
    assert not re.search(r"https?://|src=|href=|@import|url\(", html)
    assert not {"script", "link", "img", "iframe"} & {tag for tag, _ in _page(html).tags}


def test_nothing_a_sender_writes_becomes_markup() -> None:
    def poison(value: Any) -> Any:
        if isinstance(value, dict):
            return {
                (HOSTILE if key in ("eni-1", "detach", "snapshots") else key): poison(item)
                for key, item in value.items()
            }
        if isinstance(value, list):
            return [poison(member) for member in value]
        return (
            HOSTILE
            if isinstance(value, str)
            and not re.match(r"\d{4}-", value)
            and value not in list(Status)
            else value
        )

    events: list[TimelineEvent] = [
        {
            "at": f"2026-03-02T08:00:0{n}.000000Z",
            "event": HOSTILE,
            "detail": HOSTILE,
            "target": HOSTILE,
        }
        for n in (1, 2)
    ]
    html = report.render(poison(META), [poison(TARGET)], events)
    clean = report.render(
        META, [TARGET], [{**event, "event": "e", "detail": "d", "target": "t"} for event in events]
    )
    page = _page(html)
    assert not {"script", "img"} & {tag for tag, _ in page.tags}
    assert {tag for tag, _ in page.tags} == {tag for tag, _ in _page(clean).tags}
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
    assert page.text.count("<script>alert(1)</script>") > 15


def test_the_report_is_evidence(world: World, record: IncidentRepository) -> None:
    record.open({**META, "title": HOSTILE})
    key = report.write(IncidentRepository(TABLE), "inc-1", evidence_store.put)
    assert key == "incidents/inc-1/report.html"
    got = world.s3.get_object(
        Bucket=world.s3.list_buckets()["Buckets"][0]["Name"], Key="incidents/inc-1/report.html"
    )
    assert got["ContentType"] == "text/html; charset=utf-8"
    assert b"<script" not in got["Body"].read()


def test_evidence_is_hashed_before_it_leaves(world: World) -> None:
    stored = evidence_store.put("inc-1", "a.bin", b"content")
    assert stored == {
        "key": "incidents/inc-1/a.bin",
        "sha256": hashlib.sha256(b"content").hexdigest(),
        "bytes": 7,
    }
    assert world.evidence("inc-1") == {"a.bin": b"content"}


def test_the_runbook_is_linked_and_a_broken_configuration_silences_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.configure({"notifications": {"runbook_url": "https://wiki.example.com/ir"}})
    assert "Runbook   https://wiki.example.com/ir" in _compose("CONTAINED", [TARGET])[1]
    world.configure(
        {"notifications": {"siem_search_url": "https://siem.example.com/?q={user}%20{account}"}}
    )
    whose = {
        "playbook": "iam_principal",
        "opened_at": "2026-03-02T08:00:00Z",
        "updated_at": "2026-03-02T08:01:00Z",
    }
    found = _compose("CONTAINED", [_target(kind="iam_user", id="al ice")], **whose)[1]
    assert "Search    https://siem.example.com/?q=alice%20222222222222" in found
    assert "Search" not in _compose("CONTAINED", [TARGET])[1], (
        "an instance is searched for otherwise"
    )
    monkeypatch.setenv("GDR_CONFIG_SHA256", "0" * 64)
    configuration.load.cache_clear()
    subject, body = _compose("CONTAINED", [TARGET])
    assert subject.startswith("[CONTAINED]") and "Runbook" not in body and "still in sg-web" in body


def test_what_evidence_has_found_is_left_for_people() -> None:
    left = ["DeleteQueue of orders by alice at 08:00: aws sqs create-queue --queue-name orders"]
    part = {
        "outcome": "PARTIAL",
        "detail": "5 reverted, 1 left",
        "at": "",
        "objects": [],
        "state": {"left": left},
    }
    target = _target(evidence={"remediation": part})
    assert f"i-1: {left[0]}" in summary.open_tasks(META, [target])
    assert f"  - i-1: {left[0]}" in _compose("closing", [target])[1]
