"""What verify says of containment that was undone, and what a second containment keeps of the
first.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from guardduty_response.containment.contract import Check, StepResult, Target
from guardduty_response.incident.model import TargetRecord
from guardduty_response.incident.statuses import Status
from guardduty_response.monitoring import drift
from guardduty_response.playbooks.ec2_instance import playbook as ec2_instance

from tests.unit.playbooks.ec2_instance.ec2_lab import INCIDENT, PREFIX, Lab, deny_document
from tests.unit.playbooks.ec2_instance.restore_lab import contained, picture

pytestmark = pytest.mark.usefixtures("full_models")  # their functions have no trimmed EC2 model


@pytest.fixture
def held(lab: Lab) -> Callable[..., Target]:
    """A contained instance, with its verdict kept as the playbook function keeps it."""

    def build(**traits: Any) -> Target:
        lab.build(**traits)
        lab.ids["before"] = picture(lab)
        lab.record.open(
            {
                "incident_id": INCIDENT,
                "execution": "exec",
                "mode": "auto",
                "severity": 8,
                "config_sha256": "",
            }
        )
        target = contained(lab)
        step, checks = ec2_instance.verify(lab.context(), target)
        more = drift.baseline(
            lab.context(),
            target,
            step,
            checks,
        )
        lab.record.set_target(
            INCIDENT,
            target.kind,
            target.id,
            **more,
        )
        return target

    return build


def _check(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> tuple[StepResult, Any]:
    """As a check does: planned anew, read twice where something is wrong."""
    monkeypatch.setenv("GDR_PLAYBOOK", "ec2_instance")
    monkeypatch.setattr(
        ec2_instance,
        "find_actors",
        lambda *_: [],
    )
    [planned] = ec2_instance.plan(lab.context())
    target = planned.target._replace(verify_only=True)
    assert ec2_instance.contain(lab.context(), target).detail.endswith("nothing was changed")
    step = StepResult()
    more: TargetRecord = {}
    for attempt in (1, 2):
        context = lab.context(attempt)
        step, checks = ec2_instance.verify(context, target)
        step, _, more = drift.recheck(
            context,
            target,
            step,
            checks,
        )
        if step.done:
            break
        assert step.wait_seconds == 2
    return step, more


def _old_groups(lab: Lab) -> None:
    interface = next(iter(lab.groups()))
    lab.see("ec2").modify_network_interface_attribute(
        NetworkInterfaceId=interface, Groups=[lab.ids["group"]]
    )


def _rule(lab: Lab) -> None:
    world = [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
    lab.see("ec2").authorize_security_group_ingress(
        GroupId=lab.group()["GroupId"], IpPermissions=world
    )


def _new_interface(lab: Lab) -> None:
    lab.attach(5)


def _profile(lab: Lab) -> None:
    [found] = lab.see("ec2").describe_iam_instance_profile_associations(
        Filters=[{"Name": "instance-id", "Values": [lab.ids["instance"]]}]
    )["IamInstanceProfileAssociations"]
    lab.see("ec2").replace_iam_instance_profile_association(
        AssociationId=found["AssociationId"], IamInstanceProfile={"Name": "app"}
    )


def _no_profile(lab: Lab) -> None:
    [found] = lab.see("ec2").describe_iam_instance_profile_associations(
        Filters=[{"Name": "instance-id", "Values": [lab.ids["instance"]]}]
    )["IamInstanceProfileAssociations"]
    lab.see("ec2").disassociate_iam_instance_profile(AssociationId=found["AssociationId"])


def _policy_gone(lab: Lab) -> None:
    lab.see("iam").delete_role_policy(RoleName="app", PolicyName=lab.deny_name())


def _policy_weaker(lab: Lab) -> None:
    weaker = json.dumps(deny_document("i-00000000000000000"))
    lab.see("iam").put_role_policy(
        RoleName="app", PolicyName=lab.deny_name(), PolicyDocument=weaker
    )


def _unprotected(lab: Lab) -> None:
    lab.see("ec2").modify_instance_attribute(
        InstanceId=lab.ids["instance"], DisableApiTermination={"Value": False}
    )


def _target(lab: Lab) -> None:
    arn = lab.ids["target_groups"][0]
    lab.see("elbv2").register_targets(
        TargetGroupArn=arn, Targets=[{"Id": lab.ids["instance"], "Port": 80}]
    )


def _scaling(lab: Lab) -> None:
    lab.see("autoscaling").attach_instances(
        AutoScalingGroupName="web", InstanceIds=[lab.ids["instance"]]
    )


@pytest.mark.parametrize(
    ("undo", "check"),
    [
        (_old_groups, "interface"),
        (_rule, "group"),
        (_new_interface, "interface"),
        (_profile, "replace_instance_profile"),
        (_no_profile, "replace_instance_profile"),
        (_policy_gone, "revoke_sessions"),
        (_policy_weaker, "revoke_sessions"),
        (_unprotected, "protect_instance"),
        (_scaling, "detach_auto_scaling"),
    ],
)
def test_whatever_is_undone_is_a_breach(
    lab: Lab,
    held: Callable[..., Target],
    monkeypatch: pytest.MonkeyPatch,
    undo: Callable[[Lab], None],
    check: str,
) -> None:
    held(asg=True, targets=True)
    undo(lab)
    step, more = _check(lab, monkeypatch)
    assert step.status is Status.CONTAINMENT_LOST
    assert {check.split(" ")[0] for check in more["breach"]["checks"]} == {check}


def _registered(lab: Lab) -> list[str]:
    return [
        target["Target"]["Id"]
        for arn in lab.ids["target_groups"]
        for target in lab.see("elbv2").describe_target_health(TargetGroupArn=arn)[
            "TargetHealthDescriptions"
        ]
        if target["TargetHealth"]["State"] != "draining"
    ]


def test_a_node_that_is_registered_again_stays_contained(
    lab: Lab, held: Callable[..., Target], monkeypatch: pytest.MonkeyPatch
) -> None:
    held(targets=True)
    _target(lab)
    step, more = _check(lab, monkeypatch)
    assert step.status is Status.CONTAINED
    assert "undone since, while it stays contained: deregister_targets" in step.detail
    assert "aws elbv2 deregister-targets" in step.detail, "the command for a person"
    loss = more["breach"]
    assert (loss["checks"], loss["minor"]) == (["deregister_targets"], True)
    assert more["weak"] == [], "the next recheck must find it again"


def test_it_is_deregistered_again_and_nothing_else_is_changed(
    lab: Lab, held: Callable[..., Target]
) -> None:
    held(targets=True, asg=True)
    _target(lab)
    _unprotected(lab)
    assert _registered(lab) == [lab.ids["instance"]]
    [planned] = ec2_instance.plan(lab.context())
    target = lab.plan()._replace(verify_only=True, scope=planned.target.scope)
    lab.calls.clear()
    ec2_instance.contain_lost(lab.context(), target, ["deregister_targets", "protect_instance"])
    assert _registered(lab) == []
    changing = [
        call.operation
        for call in lab.calls
        if call.policy and not call.operation.startswith(("Describe", "Get"))
    ]
    assert changing == ["DeregisterTargets"]
    assert lab.stored_record()["actions"]["deregister_targets"]["status"] == "DONE"


def test_registered_again_and_reopened_is_a_loss(
    lab: Lab, held: Callable[..., Target], monkeypatch: pytest.MonkeyPatch
) -> None:
    held(targets=True)
    _target(lab)
    _old_groups(lab)
    step, more = _check(lab, monkeypatch)
    assert step.status is Status.CONTAINMENT_LOST
    assert len(more["breach"]["checks"]) == 2
    assert "minor" not in more["breach"]


def test_registered_again_while_the_network_cannot_be_read_is_not_known(
    lab: Lab, held: Callable[..., Target]
) -> None:
    target = held(targets=True)._replace(verify_only=True)
    _target(lab)
    lab.fail("DescribeSecurityGroups", "UnauthorizedOperation")
    step, checks = ec2_instance.verify(lab.context(2), target)
    with pytest.raises(drift.NotRead, match="UnauthorizedOperation"):
        drift.recheck(lab.context(2), target, step, checks)


def test_registered_again_before_the_verdict_is_contained_and_found_later(
    lab: Lab, held: Callable[..., Target], monkeypatch: pytest.MonkeyPatch
) -> None:
    target = held(targets=True)
    _target(lab)
    step = lab.verify(target)
    assert step.status is Status.CONTAINED
    assert "deregister_targets: not deregistered" in step.detail


def test_what_could_never_be_deregistered_is_partial(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.build(targets=True)
    lab.fail("DeregisterTargets", "AccessDenied")
    target = lab.plan()
    assert lab.respond(target).status is Status.PARTIAL
    step, checks = ec2_instance.verify(lab.context(), target)
    more = drift.baseline(lab.context(), target, step, checks)
    assert more["weak"] == ["deregister_targets"]
    lab.record.set_target(INCIDENT, target.kind, target.id, **more)
    step, more = _check(lab, monkeypatch)
    assert step.status is Status.PARTIAL, "what a person has not finished is not contained"


def test_what_stands_is_contained(
    lab: Lab, held: Callable[..., Target], monkeypatch: pytest.MonkeyPatch
) -> None:
    held(
        interfaces=2,
        asg=True,
        targets=True,
        eip=True,
    )
    step, more = _check(lab, monkeypatch)
    assert step.status is Status.CONTAINED
    assert (more["weak"], sorted(more)) == ([], ["held_at", "watched", "weak"])


def test_every_name_that_a_call_undoing_it_would_give_is_kept(
    lab: Lab, held: Callable[..., Target]
) -> None:
    target = held(interfaces=2)
    [association] = lab.see("ec2").describe_iam_instance_profile_associations()[
        "IamInstanceProfileAssociations"
    ]
    addresses = [
        interface["PrivateIpAddress"]
        for interface in lab.see("ec2").describe_network_interfaces()["NetworkInterfaces"]
    ]
    wanted = {
        target.id,
        *lab.groups(),
        lab.group()["GroupId"],
        f"{PREFIX}-quarantine",
        association["AssociationId"],
        "app",
        *addresses,
    }
    assert set(lab.stored_record()["watched"]) == wanted


def test_an_interface_that_was_left_open_is_mended_when_it_is_detached(
    lab: Lab, held: Callable[..., Target], monkeypatch: pytest.MonkeyPatch
) -> None:
    held(interfaces=2)
    [_, open_interface] = lab.groups()
    check = f"interface {open_interface}"
    was = Check(check, False, "is OPEN").record()
    fields: Any = {"weak": [check], "checks": [was], "status": "PARTIAL"}
    lab.record.set_target(INCIDENT, "ec2_instance", lab.ids["instance"], **fields)
    ec2 = lab.see("ec2")
    [interface] = ec2.describe_network_interfaces(NetworkInterfaceIds=[open_interface])[
        "NetworkInterfaces"
    ]
    ec2.detach_network_interface(AttachmentId=interface["Attachment"]["AttachmentId"])
    lab.fail("DescribeNetworkInterfaces", "UnauthorizedOperation")
    _, checks = ec2_instance.verify(lab.context(), lab.plan()._replace(verify_only=True))
    assert check not in {found.name for found in checks}, "it may be attached, and not be seen"
    lab.faults.clear()
    step, more = _check(lab, monkeypatch)
    assert (step.status, more["weak"]) == (Status.CONTAINED, [])


@pytest.mark.parametrize(
    "operation",
    ["DescribeInstances", "DescribeIamInstanceProfileAssociations", "DescribeSecurityGroups"],
)
def test_what_cannot_be_read_is_no_breach(
    lab: Lab, held: Callable[..., Target], monkeypatch: pytest.MonkeyPatch, operation: str
) -> None:
    target = held()._replace(verify_only=True)
    lab.fail(operation, "UnauthorizedOperation")
    step, checks = ec2_instance.verify(lab.context(2), target)
    with pytest.raises(drift.NotRead, match="UnauthorizedOperation"):
        drift.assess(
            lab.context(2),
            target,
            step,
            checks,
        )


def test_a_terminated_instance_is_gone(lab: Lab, held: Callable[..., Target]) -> None:
    target = held()._replace(verify_only=True)
    lab.see("ec2").modify_instance_attribute(
        InstanceId=target.id, DisableApiTermination={"Value": False}
    )
    lab.see("ec2").terminate_instances(InstanceIds=[target.id])
    step, checks = ec2_instance.verify(lab.context(), target)
    assert drift.assess(
        lab.context(),
        target,
        step,
        checks,
    ) == (step, {})
    assert step.status is Status.GONE


def test_contained_again_and_restored_it_is_as_before_the_first_time(
    lab: Lab, held: Callable[..., Target]
) -> None:
    held(interfaces=2, targets=True)
    before = lab.ids["before"]
    _old_groups(lab)
    _profile(lab)
    _policy_gone(lab)
    added = lab.attach(5)
    lab.respond(ec2_instance.plan(lab.context())[0].target)
    assert set(map(tuple, lab.groups().values())) == {(f"{PREFIX}-quarantine",)}
    assert lab.stored_record()["before"][f"network/{added}"]["groups"] == [lab.ids["group"]], (
        "what was found anew is added"
    )
    assert lab.restore().not_restored == []
    after = picture(lab)
    assert after["groups"].pop(added) == ["web"]
    assert after == before
