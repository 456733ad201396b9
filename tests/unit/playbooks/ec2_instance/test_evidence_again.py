"""A later run contains an instance again: logs are read on, and no second snapshot set is made."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from guardduty_response.cloudtrail import query
from moto.logs.models import logs_backends

from tests.unit.playbooks.ec2_instance.ec2_lab import MEMBER, REGION
from tests.unit.playbooks.ec2_instance.evidence_lab import EvidenceLab
from tests.unit.playbooks.ec2_instance.flow_logs_lab import GROUP, flow, interface, record, write
from tests.unit.playbooks.ec2_instance.test_collecting import collected, contained

Json = dict[str, Any]
HOUR = 3600


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(query, "PAUSE_SECONDS", 0)


def names(lab: EvidenceLab, folder: str, kind: str) -> list[str]:
    found = [name for name in sorted(lab.stored) if f"/{folder}/{kind}" in name]
    return [json.loads(line)["eventName"] for name in found for line in lab.lines(name)]


def _delivered(stream: str, at: float) -> None:
    """Lets a stream's only event be ingested at ``at`` (epoch)."""
    [event] = logs_backends[MEMBER][REGION].groups[GROUP].streams[stream].events
    event.ingestion_time = int(at) * 1000


def test_logs_are_read_on_and_what_there_is_once_stays(
    evidence: EvidenceLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    evidence.build()
    target, eni, began = contained(evidence), interface(evidence), time.time()
    id = evidence.ids["instance"]
    evidence.see("logs").create_log_group(logGroupName=GROUP)
    flow(evidence)
    write(evidence, f"{eni}-all", (began - 60, record(eni, began - 60)))
    _delivered(f"{eni}-all", began - 30)
    evidence.happened("ListBuckets", 60, Username=id)
    collected(evidence, target)
    snapshots = evidence.kept("snapshots")
    first = {name: evidence.kept(name) for name in ("api_calls", "network_logs")}

    monkeypatch.setattr(time, "time", lambda: began + HOUR)
    evidence.execution += "-again"
    evidence.happened("GetObject", 1800, Username=id)
    new = record(eni, began + 1800)
    write(evidence, f"{eni}-accept", (began + 1800, new))
    _delivered(f"{eni}-accept", began + 1900)
    collected(evidence, target)

    assert evidence.kept("snapshots") == snapshots
    assert names(evidence, "api-calls", "lookup-") == ["ListBuckets", "GetObject"]
    [late] = [name for name in evidence.stored if "-late-" in name]
    assert [json.loads(line)["message"] for line in evidence.lines(late)] == [new]
    manifest = json.loads(evidence.stored[f"{id}/manifest.json"])
    for name, before in first.items():
        after = evidence.kept(name)
        assert after["outcome"] == before["outcome"] == "COMPLETE", after
        assert len(after["objects"]) > len(before["objects"])
        listed = manifest["parts"][name]["objects"]
        assert [entry["key"] for entry in listed] == [entry["key"] for entry in after["objects"]]
    assert f"2 events of Username {id}" in evidence.kept("api_calls")["detail"]
    assert "2 records" in evidence.kept("network_logs")["detail"]
    stored = len(evidence.stored)
    collected(evidence, target)
    assert len(evidence.stored) == stored, "once for each run"


def test_what_was_not_read_to_its_end_is_read_from_the_beginning(
    evidence: EvidenceLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    evidence.build()
    target, began = contained(evidence), time.time()
    evidence.happened("ListBuckets", 60, Username=evidence.ids["instance"])
    with monkeypatch.context() as broken:
        broken.setattr(query, "run", lambda *_: 1 / 0)
        collected(evidence, target)
    assert evidence.kept("api_calls")["outcome"] == "FAILED"
    monkeypatch.setattr(time, "time", lambda: began + HOUR / 2)
    evidence.execution += "-again"
    collected(evidence, target)
    assert evidence.kept("api_calls")["outcome"] == "COMPLETE"
    assert names(evidence, "api-calls", "lookup-") == ["ListBuckets"]
