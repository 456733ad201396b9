"""Hundreds of findings in a minute: few messages, and each incident is in one."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import pytest
from guardduty_response.containment.contract import Context, StepResult, Target
from guardduty_response.incident.statuses import Status

from tests.support.asl_walker import Json, Walk
from tests.unit.deployment import EXECUTIONS, Deployment
from tests.unit.function_calls import OUTBOX, watch
from tests.unit.functions.test_many_findings import Instances, finding_about, prepare
from tests.unit.incident.outbox.outbox_lab import at_minute


class Resisting(Instances):
    """Every tenth instance is not contained, which is escalated."""

    def verify(self, context: Context, target: Target) -> tuple[StepResult, list[Any]]:
        result, checks = super().verify(context, target)
        resists = int(target.id[2:], 16) % 10 == 0
        return (StepResult(status=Status.FAILED) if resists else result), checks


@pytest.mark.parametrize("findings", [30, pytest.param(500, marks=pytest.mark.proof)])
def test_a_person_gets_few_messages_and_misses_nothing(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch, findings: int
) -> None:
    answer = prepare(deployment, monkeypatch, Resisting())
    with at_minute(0):
        for number in range(findings):
            Walk("incident", answer, f"{EXECUTIONS}incident:run{number}", None).run(
                finding_about(number)
            )
    for minute in (1, 2, 3):
        with at_minute(minute):
            waiting = watch(OUTBOX)["waiting"]
    assert waiting == 0

    notices, escalations = deployment.messages(), deployment.messages("escalations")
    assert len(notices) + len(escalations) < 20
    records = deployment.incidents()
    failed = {found["incident_id"] for found in records if found["status"] == "FAILED"}
    assert (len(records), len(failed)) == (findings, findings // 10)
    for messages, wanted in (
        (notices, {found["incident_id"] for found in records}),
        (escalations, failed),
    ):
        named = Counter[str]()
        for message in messages:
            named.update(set(re.findall(r"inc-[0-9a-f]{16}", message["Message"])))
        assert set(named) >= wanted
    _assert_sent_once(deployment, records, [*notices, *escalations])
    print(f"{findings}: {len(notices)} notices, {len(escalations)} escalations")


def _assert_sent_once(deployment: Deployment, records: list[Json], published: list[Json]) -> None:
    """Each message is in one publication: by itself, or as a word of its incident's line."""
    written = Counter[tuple[str, str]]()
    for found in records:
        for item in deployment.items(f"INCIDENT#{found['incident_id']}"):
            if item["sk"].startswith("MESSAGE#"):
                assert item["sent_at"] and "outbox" not in item
                written[(item["incident_id"], item["event"])] += 1
    sent = Counter[tuple[str, str]]()
    for message in published:
        lines = re.findall(
            r"^  (inc-[0-9a-f]{16})  (.*); status",
            message["Message"],
            re.M,
        )
        for incident_id, events in lines:
            sent.update((incident_id, event) for event in events.split(", "))
        if not lines:
            attributes = message["MessageAttributes"]
            sent[(attributes["incident_id"]["Value"], attributes["event"]["Value"])] += 1
    assert sent == written
