"""Tests the report: complete, and harmless whatever the sender of a finding wrote."""

from __future__ import annotations

import hashlib
import re
from html.parser import HTMLParser
from typing import Any

import pytest
from guardduty_response.decision import configuration
from guardduty_response.evidence import store as evidence_store
from guardduty_response.incident import report, summary
from guardduty_response.incident.model import IncidentRecord, TimelineEvent
from guardduty_response.incident.repository import IncidentRepository
from guardduty_response.incident.statuses import Status

from tests.unit.deployment import TABLE, Deployment
from tests.unit.incident.records import (
    HOSTILE,
    META,
    TARGET,
    compose,
    incident_record,
    target_record,
)

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


def test_the_report_of_a_sample_says_so() -> None:
    sample: IncidentRecord = {**META, "status": "DRY_RUN"}
    assert "sample" not in _page(report.render(sample, [TARGET], [])).text
    assert "a sample finding" in _page(report.render({**sample, "sample": True}, [TARGET], [])).text


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
    tasks = summary.open_tasks(
        {**META, "status": "PARTIAL"}, [target_record(actions=actions, checks=[])]
    )
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
    meta = incident_record(status=status, playbook="ec2_instance")
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


def test_the_report_is_evidence(deployment: Deployment, record: IncidentRepository) -> None:
    record.open({**META, "title": HOSTILE})
    key = report.write(IncidentRepository(TABLE), "inc-1", evidence_store.put)
    assert key == "incidents/inc-1/report.html"
    got = deployment.s3.get_object(
        Bucket=deployment.s3.list_buckets()["Buckets"][0]["Name"], Key="incidents/inc-1/report.html"
    )
    assert got["ContentType"] == "text/html; charset=utf-8"
    assert b"<script" not in got["Body"].read()


def test_evidence_is_hashed_before_it_leaves(deployment: Deployment) -> None:
    stored = evidence_store.put("inc-1", "a.bin", b"content")
    assert stored == {
        "key": "incidents/inc-1/a.bin",
        "sha256": hashlib.sha256(b"content").hexdigest(),
        "bytes": 7,
    }
    assert deployment.evidence("inc-1") == {"a.bin": b"content"}


def test_the_runbook_is_linked_and_a_broken_configuration_silences_nothing(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployment.configure({"notifications": {"runbook_url": "https://wiki.example.com/ir"}})
    assert "Runbook   https://wiki.example.com/ir" in compose("CONTAINED", [TARGET])[1]
    deployment.configure(
        {"notifications": {"siem_search_url": "https://siem.example.com/?q={user}%20{account}"}}
    )
    whose = {
        "playbook": "iam_principal",
        "opened_at": "2026-03-02T08:00:00Z",
        "updated_at": "2026-03-02T08:01:00Z",
    }
    found = compose("CONTAINED", [target_record(kind="iam_user", id="al ice")], **whose)[1]
    assert "Search    https://siem.example.com/?q=alice%20222222222222" in found
    assert "Search" not in compose("CONTAINED", [TARGET])[1], (
        "an instance is searched for otherwise"
    )
    monkeypatch.setenv("GDR_CONFIG_SHA256", "0" * 64)
    configuration.load.cache_clear()
    subject, body = compose("CONTAINED", [TARGET])
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
    target = target_record(evidence={"remediation": part})
    assert f"i-1: {left[0]}" in summary.open_tasks(META, [target])
    assert f"  - i-1: {left[0]}" in compose("closing", [target])[1]
