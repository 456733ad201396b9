"""Collecting evidence while somebody pauses: what is under way is waited for, and not given up."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError
from guardduty_response.containment.contract import Context, Target
from guardduty_response.evidence import collection
from guardduty_response.evidence.items import EvidenceItem
from guardduty_response.playbooks.ec2_instance import evidence as collector
from guardduty_response.playbooks.ec2_instance.evidence import snapshots as module

from tests.unit.containment.gates import PausableGate
from tests.unit.playbooks.ec2_instance.ec2_lab import INCIDENT
from tests.unit.playbooks.ec2_instance.evidence_lab import EvidenceLab

PAUSED = "the response is paused by ada (a drill): item CONTROL/OPERATOR"


def guarded(lab: EvidenceLab, target: Target, refuses: str = "") -> Context:
    """Returns a context as a step of the collector has it: each with a gate of its own."""
    context = lab.context()
    gate = PausableGate.of(
        lab,
        context,
        target,
        INCIDENT,
        "evidence",
    )
    gate.refuses = refuses
    return context


def snapshots(lab: EvidenceLab) -> tuple[str, str]:
    kept = lab.kept("snapshots")
    return kept["outcome"], kept["detail"]


def test_snapshots_that_are_under_way_outlast_a_pause(evidence: EvidenceLab) -> None:
    evidence.build()
    target = evidence.plan()
    collector.evidence(guarded(evidence, target), target)
    assert snapshots(evidence)[0] == "RUNNING"
    for _ in range(collection.TRIES + 2):
        step = collector.collect(
            guarded(
                evidence,
                target,
                PAUSED,
            ),
            target,
        )
        assert not step.done
    outcome, detail = snapshots(evidence)
    assert outcome == "RUNNING" and "paused by ada" in detail
    assert collector.collect(guarded(evidence, target), target).done
    assert snapshots(evidence)[0] == "COMPLETE"
    assert len(evidence.snapshots()) == 2, "of the two volumes, once"


def test_a_pause_uses_up_no_tries_of_an_outage(
    evidence: EvidenceLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    evidence.build()
    target = evidence.plan()
    collector.evidence(guarded(evidence, target), target)
    for _ in range(collection.TRIES + 2):
        collector.collect(
            guarded(
                evidence,
                target,
                PAUSED,
            ),
            target,
        )

    def refused(*_: object) -> EvidenceItem:
        raise ClientError(
            {"Error": {"Code": "RequestLimitExceeded", "Message": "slow down"}},
            "DescribeSnapshots",
        )

    with monkeypatch.context() as outage:
        outage.setattr(module, "run", refused)
        collector.collect(guarded(evidence, target), target)
    outcome, detail = snapshots(evidence)
    assert outcome == "RUNNING" and "slow down" in detail


def test_a_pause_without_an_end_is_not_waited_for(
    evidence: EvidenceLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collection, "TRIES_PAUSED", 3)
    evidence.build()
    target = evidence.plan()
    collector.evidence(guarded(evidence, target), target)
    steps = [
        collector.collect(
            guarded(
                evidence,
                target,
                PAUSED,
            ),
            target,
        )
        for _ in range(4)
    ]
    assert [step.done for step in steps] == [False, False, False, True]
    outcome, detail = snapshots(evidence)
    assert outcome == "FAILED" and "paused by ada" in detail


def test_an_exemption_ends_it_at_once(evidence: EvidenceLab) -> None:
    evidence.build()
    target = evidence.plan()
    context = guarded(evidence, target, "account 222222222222 is exempt")
    collector.evidence(context, target)
    outcome, detail = snapshots(evidence)
    assert outcome == "FAILED" and "is exempt" in detail
