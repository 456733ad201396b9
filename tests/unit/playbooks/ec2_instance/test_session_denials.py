"""Instances of one role: their sessions are denied by one policy, which each containment changes in
turn and the last restore deletes.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from guardduty_response.containment.managed_denial import ManagedDenial
from guardduty_response.containment.role_policies import OLDER
from guardduty_response.incident.statuses import Status
from guardduty_response.playbooks.ec2_instance.instance_context import InstanceContext

from sandbox.emulator.policy_sizes import INLINE
from tests.unit.playbooks.ec2_instance.ec2_lab import (
    INCIDENT,
    MEMBER,
    PREFIX,
    REGION,
    Lab,
    deny_document,
)
from tests.unit.playbooks.ec2_instance.lab_resources import AMI

pytestmark = pytest.mark.usefixtures("full_models")  # their functions have no trimmed EC2 model
ROLE = f"arn:aws:iam::{MEMBER}:role/app"


def another_instance(lab: Lab) -> str:
    """Starts another instance of the role, which the next finding is about."""
    made = lab.see("ec2").run_instances(
        ImageId=AMI,
        MinCount=1,
        MaxCount=1,
        NetworkInterfaces=[
            {"DeviceIndex": 0, "SubnetId": lab.ids["subnet"], "Groups": [lab.ids["group"]]}
        ],
        IamInstanceProfile={"Name": "app"},
    )
    lab.ids["instance"] = made["Instances"][0]["InstanceId"]
    return str(lab.ids["instance"])


def denied(lab: Lab, *instances: str) -> bool:
    return lab.role_policies() == {lab.deny_name(): deny_document(*instances)}


def test_instances_of_a_role_share_a_policy_until_the_last_restore(lab: Lab) -> None:
    lab.build()
    first = lab.ids["instance"]
    assert lab.respond().status is Status.CONTAINED
    second = another_instance(lab)
    assert lab.respond().status is Status.CONTAINED
    assert denied(
        lab,
        first,
        second,
    )
    lab.ids["instance"] = first
    assert lab.restore().status is Status.RESTORED
    assert denied(lab, second)
    lab.ids["instance"] = second
    assert lab.restore().status is Status.RESTORED
    assert lab.role_policies() == {}


def other_containments(lab: Lab, count: int) -> list[tuple[str, int]]:
    """Enters containments of further instances of the role, as their own steps did."""
    shared = lab.record.shared
    places = []
    with shared.hold(
        ROLE,
        OLDER,
        "tests",
    ) as held:
        for number in range(count):
            id = f"i-{number:017x}"
            arn = f"arn:aws:ec2:{REGION}:{MEMBER}:instance/{id}"
            reference: Any = {"arn": arn, "kind": "ec2_instance", "id": id}
            reference |= {"account_id": MEMBER, "region": REGION}
            joined = lab.record.containments.join(
                reference,
                INCIDENT,
                "ec2_instance",
                id,
            )
            places.append((arn, joined.generation))
            held.change_entry(places[-1], {"denials": {"own": {"instance": id}}})
    return places


def test_a_role_has_room_for_hundreds_of_instances(lab: Lab) -> None:
    lab.build()
    places = other_containments(lab, 80)
    assert lab.respond().status is Status.CONTAINED
    others = [arn.rpartition("/")[2] for arn, _ in places]
    assert denied(
        lab,
        lab.ids["instance"],
        *others,
    )
    assert len(json.dumps(lab.role_policies()[lab.deny_name()])) < INLINE["role"] / 4


def test_what_an_instance_needed_leaves_when_its_containment_has_ended(lab: Lab) -> None:
    lab.build()
    ended, gone, stands = other_containments(lab, 3)
    lab.record.containments.set(*ended, status=Status.RESTORED)
    lab.record.containments.set(*gone, status=Status.GONE)
    assert lab.respond().status is Status.CONTAINED
    instances = [arn.rpartition("/")[2] for arn, _ in (gone, stands)]
    assert denied(
        lab,
        lab.ids["instance"],
        *instances,
    ), "sessions of what is gone may still live"


def test_a_full_role_gets_a_managed_policy_until_it_is_restored(lab: Lab) -> None:
    lab.build()
    action = "s3:Get" + "x" * (INLINE["role"] - 120)
    own = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": action, "Resource": "*"}],
    }
    iam = lab.see("iam")
    iam.put_role_policy(
        RoleName="app",
        PolicyName="own",
        PolicyDocument=json.dumps(own),
    )
    target = lab.plan()
    managed = ManagedDenial(InstanceContext(lab.context(), target), ROLE)
    assert lab.respond(target).status is Status.CONTAINED
    assert set(lab.role_policies()) == {"own"}
    [attached] = iam.list_attached_role_policies(RoleName="app")["AttachedPolicies"]
    assert attached["PolicyArn"] == managed.arn
    version = iam.get_policy_version(PolicyArn=managed.arn, VersionId="v1")["PolicyVersion"]
    assert version["Document"] == deny_document(lab.ids["instance"])
    detail = lab.stored_record()["actions"]["revoke_sessions"]["detail"]
    assert f"managed policy {managed.name} (the role's inline policies are full" in detail
    assert lab.restore().status is Status.RESTORED
    assert iam.list_attached_role_policies(RoleName="app")["AttachedPolicies"] == []
    assert set(lab.role_policies()) == {"own"}


# -- what an earlier release contained -------------------------------------------------------------


@pytest.fixture
def old(lab: Lab) -> Lab:
    """An instance whose sessions an earlier release denied, in a policy of its own."""
    lab.build()
    target = lab.plan()
    assert lab.respond(target).status is Status.CONTAINED
    lab.forget_entries()
    lab.ids |= {"target": target, "old": f"{PREFIX}-deny-{lab.ids['instance']}"}
    condition = {"StringLike": {"aws:userid": f"*:{lab.ids['instance']}"}}
    statement = {"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": condition}
    text = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam = lab.see("iam")
    iam.delete_role_policy(RoleName="app", PolicyName=lab.deny_name())
    iam.put_role_policy(
        RoleName="app",
        PolicyName=lab.ids["old"],
        PolicyDocument=text,
    )
    table, at = lab.own("dynamodb"), {"pk": {"S": f"CONTAINMENT#{target.arn}"}}
    at["sk"] = {"S": "0001#BEFORE#sessions"}
    stored = json.dumps(table.get_item(TableName="incidents", Key=at)["Item"])
    changed = json.loads(stored.replace(lab.deny_name(), lab.ids["old"]))
    table.put_item(TableName="incidents", Item=changed)
    return lab


def test_what_an_earlier_release_denied_is_checked_under_its_name(old: Lab) -> None:
    target = old.ids["target"]
    check = target._replace(verify_only=True)
    assert old.verify(check).status is Status.CONTAINED
    old.see("iam").delete_role_policy(RoleName="app", PolicyName=old.ids["old"])
    assert old.verify(check).status is Status.PARTIAL
    assert old.respond(target).status is Status.CONTAINED
    assert set(old.role_policies()) == {old.ids["old"]}


def test_what_an_earlier_release_denied_is_restored(old: Lab) -> None:
    assert old.restore().status is Status.RESTORED
    assert old.role_policies() == {}
