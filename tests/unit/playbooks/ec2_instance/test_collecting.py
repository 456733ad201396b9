"""Evidence as a whole: items are collected at the same time, each to its own end, whatever becomes
of the others; and the manifest of all.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from guardduty_response.cloudtrail import query
from guardduty_response.containment.contract import StepResult, Target
from guardduty_response.evidence.items import EvidenceItem, Outcome
from guardduty_response.incident.statuses import Status
from guardduty_response.playbooks.ec2_instance import evidence as collector
from guardduty_response.playbooks.ec2_instance.evidence import forensics, network_logs, replacement

from tests.unit.deployment import onlooker
from tests.unit.playbooks.ec2_instance.ec2_lab import INCIDENT, REGION
from tests.unit.playbooks.ec2_instance.evidence_lab import EvidenceLab

Json = dict[str, Any]
ITEMS = {
    "snapshots",
    "instance",
    "copies",
    "network_logs",
    "api_calls",
    "config_history",
    "forensics",
    "replacement",
    "manifest",
    "replication",
}


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(query, "PAUSE_SECONDS", 0)


def contained(lab: EvidenceLab) -> Target:
    target = lab.plan()
    assert lab.respond(target).status is Status.CONTAINED
    return target


def collected(lab: EvidenceLab, target: Target, most: int = 12) -> list[StepResult]:
    """Beside containment once, then polled to the end; the target comes without its scope, as
    from the machine.
    """
    steps = [collector.evidence(lab.context(), target)]
    bare = target._replace(scope={})
    for attempt in range(1, most):
        steps.append(collector.collect(lab.context(attempt), bare))
        if steps[-1].done:
            return steps
    raise AssertionError(f"it never ends: {steps[-1].detail}")


def outcomes(lab: EvidenceLab) -> dict[str, str]:
    return {name: part["outcome"] for name, part in lab.stored_record()["evidence"].items()}


def test_everything_ends_at_the_first_poll_when_snapshots_are_quick(evidence: EvidenceLab) -> None:
    """Nothing waits for late log records alone: each poll costs three state transitions."""
    evidence.build(asg=True)
    steps = collected(evidence, contained(evidence))
    assert [step.done for step in steps] == [False, True]
    assert steps[0].wait_seconds == 5
    assert set(outcomes(evidence)) == {*ITEMS, "held_sessions"}
    assert outcomes(evidence)["snapshots"] == "COMPLETE"


def _sets_at_forensics(lab: EvidenceLab, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Returns, for each step of forensics, how many snapshots there were when it began."""
    seen: list[int] = []

    def run(_: Any, before: Json) -> EvidenceItem:
        owned = onlooker("ec2", REGION).describe_snapshots(OwnerIds=["self"])["Snapshots"]
        named = [snapshot for snapshot in owned if snapshot.get("Tags")]
        seen.append(len(named))
        return EvidenceItem(Outcome.COMPLETE, "written on the volume")

    monkeypatch.setattr(forensics, "run", run)
    return seen


def test_before_containment_snapshots_are_asked_for_before_forensics_writes(
    evidence: EvidenceLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    evidence.build()
    seen = _sets_at_forensics(evidence, monkeypatch)
    target = evidence.plan()
    assert collector.first(evidence.context(), target, 60).done
    assert seen == [2], "of both volumes"
    assert evidence.kept("snapshots")["state"]["ids"]
    assert collector.first(evidence.context(2), target, 50).done
    assert len([call for call in evidence.calls if call.operation == "CreateSnapshots"]) == 1


def test_after_containment_too(evidence: EvidenceLab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where nothing was begun beside containment."""
    evidence.build()
    seen = _sets_at_forensics(evidence, monkeypatch)
    target = contained(evidence)
    collector.collect(evidence.context(), target)
    assert seen == [2]


def test_refused_snapshots_do_not_keep_forensics_from_running(
    evidence: EvidenceLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    evidence.build()
    seen = _sets_at_forensics(evidence, monkeypatch)
    evidence.fail("CreateSnapshots", "UnauthorizedOperation")
    assert collector.first(evidence.context(), evidence.plan(), 60).done
    assert (seen, outcomes(evidence)["snapshots"]) == ([0], "FAILED")


def test_the_manifest_lists_every_object_with_its_hash(evidence: EvidenceLab) -> None:
    evidence.build()
    collected(evidence, contained(evidence))
    manifest = json.loads(evidence.stored[f"{evidence.ids['instance']}/manifest.json"])
    listed = {
        stored["key"].split("/", 2)[-1]: stored["sha256"]
        for part in manifest["parts"].values()
        for stored in part["objects"]
    }
    others = {
        name: body for name, body in evidence.stored.items() if not name.endswith("manifest.json")
    }
    assert listed == {name: hashlib.sha256(body).hexdigest() for name, body in others.items()}
    assert listed
    [own] = evidence.kept("manifest")["objects"]
    assert (
        own["sha256"]
        == hashlib.sha256(evidence.stored[f"{evidence.ids['instance']}/manifest.json"]).hexdigest()
    )


def test_an_item_that_fails_is_said_and_stops_no_other(evidence: EvidenceLab) -> None:
    evidence.build()
    evidence.fail("CreateSnapshots", "UnauthorizedOperation")
    evidence.fail("DescribeFlowLogs", "UnauthorizedOperation")
    collected(evidence, contained(evidence))
    found = outcomes(evidence)
    assert (found["snapshots"], found["instance"], found["manifest"]) == (
        "FAILED",
        "COMPLETE",
        "COMPLETE",
    )
    assert found["network_logs"] == "FAILED"
    actions = evidence.actions()
    assert (actions["snapshot"], actions["network_logs"], actions["instance"]) == (
        "FAILED",
        "FAILED",
        "DONE",
    )


def test_an_unexpected_error_fails_that_item_alone(
    evidence: EvidenceLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(instance: Any, before: Json) -> EvidenceItem:
        raise KeyError("VpcId")

    monkeypatch.setattr(network_logs, "run", broken)
    evidence.build()
    collected(evidence, contained(evidence))
    part = evidence.kept("network_logs")
    assert (part["outcome"], part["detail"]) == (
        "FAILED",
        f"network_logs of {evidence.ids['instance']} failed ('VpcId')",
    )
    assert "by hand" in part["task"]


def test_throttling_is_asked_again_and_given_up_after_five_times(evidence: EvidenceLab) -> None:
    evidence.build()
    evidence.fail("DescribeFlowLogs", "RequestLimitExceeded", times=2)
    collected(evidence, contained(evidence))
    assert outcomes(evidence)["network_logs"] == "NOT_POSSIBLE", (
        "there are no flow logs, as was seen at the third time"
    )


def test_throttling_for_ever_ends_as_failed(evidence: EvidenceLab) -> None:
    evidence.build()
    evidence.fail("DescribeFlowLogs", "RequestLimitExceeded")
    steps = collected(evidence, contained(evidence))
    assert outcomes(evidence)["network_logs"] == "FAILED"
    assert [step.wait_seconds for step in steps][:6] == [5, 15, 15, 15, 30, 60]


def test_what_has_ended_is_not_asked_again(evidence: EvidenceLab) -> None:
    evidence.build()
    target = contained(evidence)
    collected(evidence, target)
    evidence.calls.clear()
    assert collector.collect(evidence.context(), target).done
    assert {call.service for call in evidence.calls} <= {"dynamodb", "sts", "s3"}


def test_forensics_first_goes_on_when_it_no_longer_waits(
    evidence: EvidenceLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    evidence.build()
    target = evidence.plan()
    answers = [
        EvidenceItem(Outcome.RUNNING, "collecting", 3, state={"when": "before", "deadline": 2**40}),
        EvidenceItem(
            Outcome.RUNNING, "the deadline passed", 15, state={"when": "before", "deadline": 0}
        ),
    ]
    monkeypatch.setattr(forensics, "run", lambda instance, before: answers.pop(0))
    step = collector.first(evidence.context(), target, 2)
    assert (step.done, step.wait_seconds) == (False, 2), "no longer than what is left"
    assert collector.first(evidence.context(), target, 1).done
    running = {"snapshots": "RUNNING", "forensics": "RUNNING"}
    assert outcomes(evidence) == running, "harvested after containment"


# -- the replacement -------------------------------------------------------------------------------


def test_in_no_group_nothing_replaces_it(evidence: EvidenceLab) -> None:
    evidence.build()
    [part] = evidence.collect(replacement, contained(evidence))
    assert part.outcome is Outcome.SKIPPED


def test_a_healthy_replacement_is_seen(evidence: EvidenceLab) -> None:
    evidence.build(asg=True)
    target = contained(evidence)
    [group] = evidence.see("autoscaling").describe_auto_scaling_groups(
        AutoScalingGroupNames=["web"]
    )["AutoScalingGroups"]
    [new] = [described["InstanceId"] for described in group["Instances"]]
    assert new != evidence.ids["instance"]
    [part] = evidence.collect(replacement, target)
    assert (part.outcome, new in part.detail) == (Outcome.COMPLETE, True)


def test_without_capacity_it_is_waited_for_and_then_a_task(
    evidence: EvidenceLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The replacement is not there: taken from the group as if EC2 had had no capacity. moto keeps
    no failed activities, so Auto Scaling's answer is given where botocore's Stubber gives it, after
    botocore's own parameter validation.
    """
    evidence.build(asg=True)
    target = contained(evidence)
    client = evidence.see("autoscaling")
    [group] = client.describe_auto_scaling_groups(AutoScalingGroupNames=["web"])[
        "AutoScalingGroups"
    ]
    client.set_instance_health(
        InstanceId=group["Instances"][0]["InstanceId"], HealthStatus="Unhealthy"
    )
    waiting = evidence.once(replacement, target)
    assert (waiting.outcome, waiting.wait_seconds) == (Outcome.RUNNING, 15)
    assert "0 of 1 instances are in service and healthy" in waiting.detail
    monkeypatch.setattr(
        replacement,
        "_last_activity",
        lambda session, name: "; Auto Scaling says: no t3.small capacity",
    )
    evidence.record.evidence(
        INCIDENT,
        "ec2_instance",
        evidence.ids["instance"],
        "replacement",
        {**evidence.kept("replacement"), "state": {"until": 0}},
    )
    part = evidence.once(replacement, target)
    assert part.outcome is Outcome.PARTIAL
    assert "no healthy replacement after 10 minutes: 0 of 1" in part.detail
    assert "no t3.small capacity" in part.task
    assert "aws autoscaling describe-scaling-activities --auto-scaling-group-name web" in part.task


def test_what_auto_scaling_says_is_passed_on(evidence: EvidenceLab) -> None:
    """moto has no failed activities; see above."""
    evidence.build(asg=True)
    target = contained(evidence)
    activities = [
        {"StatusCode": "Successful", "StatusMessage": "launched"},
        {
            "StatusCode": "Failed",
            "StatusMessage": "We currently do not have sufficient t3.small capacity",
        },
    ]
    session = evidence.context().assume(
        target.account_id,
        target.region,
        {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Action": ["autoscaling:DescribeScalingActivities"],
                    "Resource": "*",
                }
            ],
        },
    )
    from botocore.stub import ANY, Stubber

    with Stubber(session.client("autoscaling")) as stub:
        whole = [
            {
                "ActivityId": "a",
                "AutoScalingGroupName": "web",
                "Cause": "c",
                "StartTime": 0,
                **activity,
            }
            for activity in activities
        ]
        stub.add_response(
            "describe_scaling_activities",
            {"Activities": whole},
            {"AutoScalingGroupName": ANY, "MaxRecords": ANY},
        )
        assert "sufficient t3.small capacity" in replacement._last_activity(session, "web")


# -- endpoints: a contained instance that forensics may still reach --------------------------------


def endpoints(lab: EvidenceLab, cidr: str = "") -> str:
    """A group of one's own that lets out to an endpoint's group alone (or, wrongly, to
    addresses).
    """
    ec2 = lab.see("ec2")
    group = str(
        ec2.create_security_group(
            GroupName="endpoints-only", Description="q", VpcId=lab.ids["vpc"]
        )["GroupId"]
    )
    shown = ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]
    ec2.revoke_security_group_egress(GroupId=group, IpPermissions=shown["IpPermissionsEgress"])
    to = (
        {"IpRanges": [{"CidrIp": cidr}]}
        if cidr
        else {"UserIdGroupPairs": [{"GroupId": lab.ids["group"]}]}
    )
    rule = {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, **to}
    ec2.authorize_security_group_egress(GroupId=group, IpPermissions=[rule])
    lab.options["quarantine_security_group_ids"] = {lab.ids["vpc"]: group}
    return group


def test_with_forensics_after_it_is_left_with_endpoints_and_the_agents_role(
    evidence: EvidenceLab,
) -> None:
    evidence.build()
    group = endpoints(evidence)
    evidence.forensics = {"when": "after"}
    context = evidence.context
    evidence.context = lambda *a, **k: _after(context(*a, **k))  # type: ignore[method-assign]
    assert evidence.respond().status is Status.CONTAINED
    assert list(evidence.groups().values()) == [["endpoints-only"]]
    assert evidence.profiles() == ["guardduty-response-quarantine-ssm"]
    assert (
        "no rules but to endpoints (egress tcp 443-443"
        in evidence.ids["checks"][f"group {group}"].detail
    )


def _after(context: Any) -> Any:
    context.config = context.config._replace(forensics={"when": "after"})
    return context


@pytest.mark.parametrize(("when", "cidr"), [("off", ""), ("after", "0.0.0.0/0")])
def test_a_group_with_rules_that_are_more_than_that_is_not_used(
    evidence: EvidenceLab, when: str, cidr: str
) -> None:
    """Without the switch any rule is one too many; with it, any that names addresses."""
    evidence.build()
    group = endpoints(evidence, cidr)
    if when == "after":
        context = evidence.context
        evidence.context = lambda *a, **k: _after(context(*a, **k))  # type: ignore[method-assign]
    assert evidence.respond().status is Status.CONTAINED
    assert list(evidence.groups().values()) == [["guardduty-response-quarantine"]]
    text = evidence.stored_record()["actions"]["quarantine_network"]["detail"]
    assert f"{group}, which quarantine_security_group_ids names" in text
    assert evidence.profiles() == ["guardduty-response-quarantine"]
