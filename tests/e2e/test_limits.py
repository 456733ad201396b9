"""IAM really limits: what each part of the response cannot do, tried with its own credentials
against an enforcing AWS.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError
from guardduty_response.containment.contract import Target
from guardduty_response.playbooks.ec2_instance import action_order, network
from guardduty_response.playbooks.ec2_instance.instance_context import InstanceContext

from sandbox import seed_iam
from sandbox.seed import Victim
from tests.e2e.e2e_world import MEMBER, PREFIX, SECURITY, Json, World
from tests.e2e.function_credentials import Keys, refused, session_keys

NOTHING = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}],
}
RESPONDER = f"arn:aws:iam::{MEMBER}:role/{PREFIX}-responder-ec2-instance"


def _assume(world: World, keys: Keys, role: str = RESPONDER, policy: Json | None = None) -> Keys:
    extra = {"Policy": json.dumps(policy)} if policy else {}
    got = world.aws.client("sts", **keys).assume_role(
        RoleArn=role, RoleSessionName="limits", **extra
    )["Credentials"]
    return session_keys(got["AccessKeyId"], got["SecretAccessKey"], got["SessionToken"])


class _Context:
    """A playbook's context that keeps the session policies it is asked for."""

    def __init__(self, world: World) -> None:
        document = json.loads(world.document()["document"]["S"])
        self.config = SimpleNamespace(**document)
        self.options = document["playbooks"]["ec2_instance"]
        self.finding = SimpleNamespace(type="CryptoCurrency:EC2/BitcoinTool.B!DNS")
        self.policies: list[Json] = []

    def assume(self, _account: str, _region: str, policy: Json) -> Any:
        self.policies.append(policy)


def _session_policies(world: World, victim: Victim, which: str) -> list[Json]:
    """The session policies that ``contain`` narrows its sessions to for this victim: of its
    network, or of everything else.
    """
    arn = f"arn:aws:ec2:us-east-1:{MEMBER}:instance/{victim.instance}"
    scope = {
        "role": f"arn:aws:iam::{MEMBER}:role/{victim.role}",
        "auto_scaling_group": victim.auto_scaling_group,
        "target_groups": [{"arn": victim.target_group}],
    }
    context = _Context(world)
    target = Target("ec2_instance", victim.instance, arn, MEMBER, "us-east-1", scope)
    instance = InstanceContext(context, target)  # type: ignore[arg-type]
    if which == "network":
        network.sessions(instance, victim.interfaces, [victim.vpc], {})
    else:
        action_order.changing(instance)
    return context.policies


PLAYBOOK, INCIDENT, WATCHDOG = (
    f"{PREFIX}-{name}" for name in ("playbook-ec2-instance", "incident", "watchdog")
)
EXPIRY = f"arn:aws:lambda:us-east-1:{SECURITY}:function:{PLAYBOOK}:expire"  # an alias


def test_the_playbook_function_assumes_its_own_responder_role_and_no_other(
    world: World, as_function: Callable[[str], Keys]
) -> None:
    keys = as_function(PLAYBOOK)
    who = world.aws.client("sts", **_assume(world, keys)).get_caller_identity()
    assert who["Arn"].startswith(
        f"arn:aws:sts::{MEMBER}:assumed-role/{PREFIX}-responder-ec2-instance/"
    )
    sts = world.aws.client("sts", **keys)
    trusting = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": "sts:AssumeRole",
                "Principal": {"AWS": f"arn:aws:iam::{SECURITY}:root"},
            }
        ],
    }
    name = f"trusting-{secrets.token_hex(4)}"
    other = world.client("iam").create_role(
        RoleName=name, AssumeRolePolicyDocument=json.dumps(trusting)
    )["Role"]["Arn"]
    elsewhere = RESPONDER.replace("ec2-instance", "iam-principal")
    for role in (other, elsewhere, f"arn:aws:iam::{MEMBER}:role/{PREFIX}-quarantine"):
        refused(sts.assume_role, RoleArn=role, RoleSessionName="limits")


@pytest.mark.parametrize("role", [INCIDENT, WATCHDOG])
def test_who_tells_people_can_act_on_nothing(
    world: World, as_function: Callable[[str], Keys], role: str
) -> None:
    """Neither the role's own policy nor the responder role's trust lets it: each would suffice."""
    keys = as_function(role)
    refused(
        world.aws.client("sts", **keys).assume_role, RoleArn=RESPONDER, RoleSessionName="limits"
    )
    iam = world.client("iam", SECURITY)
    allow = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "*"}],
    }
    iam.put_role_policy(RoleName=role, PolicyName="too-much", PolicyDocument=json.dumps(allow))
    try:
        refused(
            world.aws.client("sts", **keys).assume_role, RoleArn=RESPONDER, RoleSessionName="limits"
        )
    finally:
        iam.delete_role_policy(RoleName=role, PolicyName="too-much")
    machine = world.outputs["incident_state_machine_arn"]
    functions = world.aws.client("lambda", **keys)
    refused(functions.invoke, FunctionName=PLAYBOOK, Payload=b"{}")
    if role == INCIDENT:
        refused(functions.invoke, FunctionName=EXPIRY, Payload=b"{}")
        refused(
            world.aws.client("stepfunctions", **keys).start_execution,
            stateMachineArn=machine,
            input="{}",
        )


def test_the_watchdog_may_have_denials_taken_out_and_nothing_else_done(
    world: World, as_function: Callable[[str], Keys]
) -> None:
    functions = world.aws.client("lambda", **as_function(WATCHDOG))
    for verb in ("plan", "contain", "finish"):
        answer = functions.invoke(FunctionName=EXPIRY, Payload=json.dumps({"verb": verb}).encode())
        said = json.load(answer["Payload"])
        assert answer["FunctionError"] and f"runs no step '{verb}'" in said["errorMessage"], said


def test_the_responder_deletes_inline_policies_of_tagged_roles_alone(
    world: World, as_function: Callable[[str], Keys]
) -> None:
    """IAM knows neither the name of an inline policy nor what it says: the tag is what there is."""
    seen, role = world.client("iam"), seed_iam.role(world.aws)
    own = {"RoleName": role.name, "PolicyName": f"{PREFIX}-sessions"}
    seen.put_role_policy(**own, PolicyDocument=json.dumps(NOTHING))
    iam = world.aws.client("iam", **_assume(world, as_function(PLAYBOOK)))
    refused(iam.delete_role_policy, **own)
    seen.tag_role(RoleName=role.name, Tags=[{"Key": f"{PREFIX}-sessions", "Value": "denied"}])
    iam.delete_role_policy(**own)
    assert own["PolicyName"] not in seen.list_role_policies(RoleName=role.name)["PolicyNames"]


def test_who_acts_can_tell_nobody(world: World, as_function: Callable[[str], Keys]) -> None:
    keys = as_function(PLAYBOOK)
    refused(
        world.aws.client("sns", **keys).publish,
        TopicArn=world.outputs["notifications_topic_arn"],
        Message="x",
    )
    refused(
        world.aws.client("stepfunctions", **keys).start_execution,
        stateMachineArn=world.outputs["incident_state_machine_arn"],
        input="{}",
    )
    refused(
        world.aws.client("dynamodb", **keys).delete_item,
        TableName=world.outputs["table_name"],
        Key={name: world.document()[name] for name in ("pk", "sk")},
    )
    refused(
        world.aws.client("s3", **keys).put_object,
        Bucket=world.outputs["evidence_bucket"],
        Key="elsewhere",
        Body=b"",
    )


def test_the_members_root_and_other_roles_cannot_use_the_responder(world: World) -> None:
    """The trust names one function role of one account, not the account."""
    for account in (SECURITY, MEMBER, "333333333333"):
        refused(
            world.client("sts", account).assume_role, RoleArn=RESPONDER, RoleSessionName="limits"
        )


def test_a_session_reaches_the_discovered_resources_only(
    world: World, as_function: Callable[[str], Keys]
) -> None:
    """Two instances, one session policy: the other's interface, instance, role and groups are
    out of reach.
    """
    victim, other = world.victim(), world.victim()
    keys = as_function(PLAYBOOK)
    ec2 = world.client("ec2")
    tags = [{"ResourceType": "security-group", "Tags": [{"Key": PREFIX, "Value": "quarantine"}]}]
    groups = {
        instance.vpc: ec2.create_security_group(
            GroupName=f"{PREFIX}-quarantine",
            Description="x",
            VpcId=instance.vpc,
            TagSpecifications=tags,
        )["GroupId"]
        for instance in (victim, other)
    }
    [policy] = _session_policies(world, victim, "network")
    narrowed = world.aws.client("ec2", **_assume(world, keys, policy=policy))
    move = narrowed.modify_network_interface_attribute
    move(NetworkInterfaceId=victim.interfaces[0], Groups=[groups[victim.vpc]])
    refused(move, NetworkInterfaceId=other.interfaces[0], Groups=[groups[other.vpc]])
    # Nor may it put the interface into any group but a quarantine group: it cannot open what it
    # closed.
    refused(move, NetworkInterfaceId=victim.interfaces[0], Groups=[victim.security_group])
    refused(
        narrowed.revoke_security_group_ingress,
        GroupId=victim.security_group,
        IpPermissions=[
            {
                "IpProtocol": "tcp",
                "FromPort": 443,
                "ToPort": 443,
                "IpRanges": [{"CidrIp": "0.0.0.0/0"}],
            }
        ],
    )
    refused(
        narrowed.authorize_security_group_ingress,
        GroupId=groups[victim.vpc],
        IpPermissions=[{"IpProtocol": "-1"}],
    )
    refused(
        narrowed.create_security_group,
        GroupName="x",
        Description="x",
        VpcId=other.vpc,
        TagSpecifications=tags,
    )
    # The role alone, without a session policy, could reach the other: it is the session that is
    # narrowed.
    wide = world.aws.client("ec2", **_assume(world, keys))
    wide.modify_network_interface_attribute(
        NetworkInterfaceId=other.interfaces[0], Groups=[groups[other.vpc]]
    )


def test_what_is_done_beside_the_network_is_narrowed_too(
    world: World, as_function: Callable[[str], Keys]
) -> None:
    victim, other = world.victim(), world.victim()
    function = as_function(PLAYBOOK)
    sessions = [
        _assume(world, function, policy=policy)
        for policy in _session_policies(world, victim, "beside")
    ]
    document = json.dumps(NOTHING)
    may_protect, may_deny = [], []
    for keys in sessions:
        ec2, iam = world.aws.client("ec2", **keys), world.aws.client("iam", **keys)
        may_protect.append(
            _permitted(
                ec2.modify_instance_attribute,
                InstanceId=victim.instance,
                DisableApiTermination={"Value": True},
            )
        )
        may_deny.append(
            _permitted(
                iam.put_role_policy,
                RoleName=victim.role,
                PolicyName="x",
                PolicyDocument=document,
            )
        )
        _refused_elsewhere(world, keys, victim, other)
    assert any(may_protect) and any(may_deny)


def _permitted(call: Callable[..., object], **parameters: object) -> bool:
    """Tells whether AWS permits a call."""
    try:
        call(**parameters)
    except ClientError as error:
        assert error.response["Error"]["Code"] in ("AccessDenied", "UnauthorizedOperation")
        return False
    return True


def _refused_elsewhere(world: World, keys: Keys, victim: Victim, other: Victim) -> None:
    ec2, iam = world.aws.client("ec2", **keys), world.aws.client("iam", **keys)
    document = json.dumps(NOTHING)
    refused(
        ec2.modify_instance_attribute,
        InstanceId=other.instance,
        DisableApiTermination={"Value": True},
    )
    refused(ec2.create_tags, Resources=[other.instance], Tags=[{"Key": "a", "Value": "b"}])
    refused(iam.put_role_policy, RoleName=other.role, PolicyName="x", PolicyDocument=document)
    refused(ec2.terminate_instances, InstanceIds=[victim.instance])
    refused(
        ec2.associate_iam_instance_profile,
        InstanceId=victim.instance,
        IamInstanceProfile={"Name": other.instance_profile},
    )
    scaling, balancing = world.aws.client("autoscaling", **keys), world.aws.client("elbv2", **keys)
    refused(
        scaling.detach_instances,
        InstanceIds=[other.instance],
        AutoScalingGroupName=other.auto_scaling_group,
        ShouldDecrementDesiredCapacity=False,
    )
    refused(
        balancing.deregister_targets,
        TargetGroupArn=other.target_group,
        Targets=[{"Id": other.instance}],
    )


def test_the_responder_cannot_touch_the_response(
    world: World, as_function: Callable[[str], Keys]
) -> None:
    """Not even without a session policy: its own role and the quarantine role stay as Terraform
    made them.
    """
    iam = world.aws.client("iam", **_assume(world, as_function(PLAYBOOK)))
    document = json.dumps(NOTHING)
    for role in (f"{PREFIX}-responder-ec2-instance", f"{PREFIX}-quarantine"):
        refused(iam.put_role_policy, RoleName=role, PolicyName="x", PolicyDocument=document)
        refused(iam.delete_role_policy, RoleName=role, PolicyName="responder")


def test_a_quarantined_role_may_do_nothing(world: World) -> None:
    """What an instance is left with: its sessions are refused even what needs no permission
    elsewhere.
    """
    iam = world.client("iam")
    shown = iam.get_instance_profile(InstanceProfileName=f"{PREFIX}-quarantine")["InstanceProfile"]
    assert [role["RoleName"] for role in shown["Roles"]] == [f"{PREFIX}-quarantine"]
    names = iam.list_role_policies(RoleName=f"{PREFIX}-quarantine")["PolicyNames"]
    [document] = [
        iam.get_role_policy(RoleName=f"{PREFIX}-quarantine", PolicyName=name)["PolicyDocument"]
        for name in names
    ]
    assert document["Statement"] == [
        {"Sid": "Nothing", "Effect": "Deny", "Action": "*", "Resource": "*"}
    ]


def test_the_instances_sessions_are_denied_and_others_of_the_role_go_on(world: World) -> None:
    """EC2 names an instance's sessions by its id; another instance of the same role keeps
    working.
    """
    victim = world.victim(interfaces=1, in_asg=False, target_group=False, elastic_ip=False)
    iam = world.client("iam")
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": "sts:AssumeRole",
                "Principal": {"AWS": f"arn:aws:iam::{MEMBER}:root"},
            },
            {
                "Effect": "Allow",
                "Action": "sts:AssumeRole",
                "Principal": {"Service": "ec2.amazonaws.com"},
            },
        ],
    }
    iam.update_assume_role_policy(RoleName=victim.role, PolicyDocument=json.dumps(trust))
    bucket = f"data-{secrets.token_hex(6)}"
    world.client("s3").create_bucket(Bucket=bucket)
    clients = {}
    for session in (victim.instance, "i-0a0a0a0a0a0a0a0a0"):
        got = world.client("sts").assume_role(
            RoleArn=f"arn:aws:iam::{MEMBER}:role/{victim.role}", RoleSessionName=session
        )
        keys = got["Credentials"]
        clients[session] = world.aws.client(
            "s3", **session_keys(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"])
        )
        clients[session].list_objects_v2(Bucket=bucket)
    assert world.respond(victim)["status"] == "CONTAINED"
    refused(clients[victim.instance].list_objects_v2, Bucket=bucket)
    clients["i-0a0a0a0a0a0a0a0a0"].list_objects_v2(Bucket=bucket)
