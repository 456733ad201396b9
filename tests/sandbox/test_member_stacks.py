"""modules/responder-stackset applied: accounts of an OU, and those that join, get what
modules/responder-role and modules/region-forwarder make elsewhere.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox import settings
from sandbox.clients import Aws
from tests.sandbox.emulator_helpers import ALLOW_ALL, SECURITY, Identity
from tests.sandbox.test_emulator_stacksets import Organization
from tests.support.patience import until
from tests.support.terraform_tools import copy_module, initialized, terraform

pytestmark = pytest.mark.terraform
MANAGEMENT, BY_TERRAFORM = "900000000002", "900000000012"  # the second is in no OU
Json = dict[str, Any]
REGIONS = ("eu-west-1", "us-east-1")
BUS = f"arn:aws:events:us-east-1:{SECURITY}:event-bus/default"
HAND_OVER = {
    "security_account_id": SECURITY,
    "organization_id": settings.ORGANIZATION_ID,
    "partition": "aws",
    "name_prefix": "msr",
    "iam_path": "/response/",
    "playbooks": ["ec2_instance", "iam_principal"],
    "restore": ["ec2_instance", "iam_principal"],
    "remediate": ["iam_principal"],
    "rotate_keys": True,
    "forensics": True,
    "terminate": ["ec2_instance"],
    "untrack_connections": True,
    "forwarder": {
        "event_bus_arn": BUS,
        "rules": {
            "changes": {"description": "Calls.", "pattern": '{"source": ["aws.ec2"]}'},
            "changes-2": {"description": "More.", "pattern": '{"source": ["aws.iam"]}'},
        },
    },
}
SHARED = {
    "for_member_accounts": "${module.hand_over.value}",
    "permissions_boundary": f"arn:aws:iam::{BY_TERRAFORM}:policy/boundary",
    "tags": {"team": "security"},
}


def _unnamed(document: Json) -> Json:
    """Return the document without the statements' names, which the template leaves out."""
    for statement in document["Statement"]:
        statement.pop("Sid", None)
    return document


def roles_in(aws: Aws, account: str) -> dict[str, Json]:
    """Return every role and instance profile there as IAM tells it, the account's id left open."""
    iam = aws.client("iam", account)
    found: dict[str, Json] = {}
    for listed in iam.list_roles(PathPrefix="/response/")["Roles"]:
        name = listed["RoleName"]
        role = iam.get_role(RoleName=name)["Role"]
        named = iam.list_role_policies(RoleName=name)["PolicyNames"]
        tags = {tag["Key"]: tag["Value"] for tag in iam.list_role_tags(RoleName=name)["Tags"]}
        found[f"role {name}"] = {
            "description": role["Description"],
            "path": role["Path"],
            "session": role["MaxSessionDuration"],
            "boundary": role["PermissionsBoundary"]["PermissionsBoundaryArn"],
            "trust": _unnamed(role["AssumeRolePolicyDocument"]),
            "policies": {
                policy: _unnamed(
                    iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]
                )
                for policy in named
            },
            "attached": iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"],
            "tags": {
                key: value
                for key, value in tags.items()
                if not key.startswith("aws:cloudformation:")
            },
        }
    for profile in iam.list_instance_profiles(PathPrefix="/response/")["InstanceProfiles"]:
        found[f"profile {profile['InstanceProfileName']}"] = {
            "roles": [role["RoleName"] for role in profile["Roles"]],
            "path": profile["Path"],
        }
    text = json.dumps(found).replace(account, "<account>")
    open_: dict[str, Json] = json.loads(text)
    return open_


def forwarder_in(aws: Aws, account: str, region: str) -> Json:
    """Return rules, targets and queue there, the account's id left open. The role is among the
    roles; the emulators' CloudFormation makes no alarm, which tests/terraform/plan compares.
    """
    events = aws.client(
        "events",
        account,
        region=region,
    )
    rules = events.list_rules(NamePrefix="msr-forward-")["Rules"]
    queues = aws.client(
        "sqs",
        account,
        region=region,
    )
    urls = queues.list_queues(QueueNamePrefix="msr-").get("QueueUrls", [])
    kept = ("Policy", "MessageRetentionPeriod", "QueueArn")
    found = {
        "rules": {
            rule["Name"]: [json.loads(rule["EventPattern"]), rule["State"], rule["Description"]]
            for rule in rules
        },
        "targets": {
            rule["Name"]: events.list_targets_by_rule(Rule=rule["Name"])["Targets"]
            for rule in rules
        },
        "queues": [
            {
                name: json.loads(value) if name == "Policy" else value
                for name, value in queues.get_queue_attributes(
                    QueueUrl=url, AttributeNames=["All"]
                )["Attributes"].items()
                if name in kept
            }
            for url in urls
        ],
    }
    open_: Json = json.loads(json.dumps(found).replace(account, "<account>"))
    return open_


class World:
    """The organization, and Terraform in a copy of the module."""

    def __init__(self, aws: Aws, scratch: Path) -> None:
        self.aws, self.scratch = aws, scratch
        self.organization = Organization(aws, MANAGEMENT)
        aws.client("cloudformation", MANAGEMENT).activate_organizations_access()
        self.unit = self.organization.outer
        self.members = [self.organization.in_outer, self.organization.in_inner]
        self.newcomer = self.organization.in_root
        for account in (BY_TERRAFORM, self.newcomer, *self.members):
            aws.client("iam", account).create_policy(
                PolicyName="boundary", PolicyDocument=json.dumps(ALLOW_ALL)
            )
        root = copy_module(scratch / "module") / "tests" / "members"
        root.mkdir(parents=True)
        options = {
            "region": "us-east-1",
            "secret_key": "test",
            "skip_metadata_api_check": True,
            "skip_credentials_validation": True,
        }
        providers = [
            {"access_key": MANAGEMENT, **options},
            *(
                {
                    "alias": f"member-{region}",
                    "access_key": BY_TERRAFORM,
                    **options,
                    "region": region,
                }
                for region in REGIONS
            ),
        ]
        forwarders = {
            f"forwarder-{region}": {
                "source": "../../modules/region-forwarder",
                "providers": {"aws": f"aws.member-{region}"},
                **SHARED,
            }
            for region in REGIONS
        }
        targets = {"organizational_units": {"workloads": self.unit}}
        (root / "main.tf.json").write_text(
            json.dumps(
                {
                    "provider": {"aws": providers},
                    "module": {
                        "hand_over": {
                            "source": "../../modules/member-hand-over",
                            **HAND_OVER,
                        },
                        "stackset": {
                            "source": "../../modules/responder-stackset",
                            "forwarder_regions": REGIONS,
                            **targets,
                            **SHARED,
                        },
                        "role": {
                            "source": "../../modules/responder-role",
                            "providers": {"aws": "aws.member-us-east-1"},
                            **SHARED,
                        },
                        **forwarders,
                    },
                    "output": {
                        "accounts": {"value": "${module.stackset.account_ids}"},
                        "template": {"value": "${module.stackset.template_body}"},
                    },
                }
            )
        )
        self.root = initialized(root, scratch)

    def terraform(self, *arguments: str, code: int = 0) -> str:
        done = terraform(
            self.root, self.scratch, *arguments, "-no-color", endpoint=self.aws.endpoint
        )
        assert done.returncode == code, done.stdout[-4000:]
        return str(done.stdout)


@pytest.fixture(scope="module")
def world(aws: Aws, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(aws, tmp_path_factory.mktemp("members"))
    made.terraform(
        "apply",
        "-auto-approve",
        "-input=false",
    )
    try:
        yield made
    finally:
        if made.terraform("state", "list").strip():
            made.terraform(
                "destroy",
                "-auto-approve",
                "-input=false",
            )


def test_the_second_plan_is_empty(world: World) -> None:
    assert "No changes" in world.terraform("plan", "-input=false", "-detailed-exitcode")


def test_the_same_roles_by_stackset_and_by_terraform(world: World) -> None:
    wanted = roles_in(world.aws, BY_TERRAFORM)
    assert len([name for name in wanted if name.startswith("role")]) == 14
    assert "profile msr-quarantine-ssm" in wanted
    for account in world.members:
        assert roles_in(world.aws, account) == wanted
    assert json.loads(world.terraform("output", "-json", "accounts")) == sorted(world.members)
    assert roles_in(world.aws, MANAGEMENT) == {}


@pytest.mark.parametrize("region", REGIONS)
def test_the_same_forwarder_by_stackset_and_by_terraform(world: World, region: str) -> None:
    wanted = forwarder_in(
        world.aws,
        BY_TERRAFORM,
        region,
    )
    assert list(wanted["rules"]) == ["msr-forward-changes", "msr-forward-changes-2"]
    [target] = wanted["targets"]["msr-forward-changes"]
    assert target["Arn"] == BUS
    assert target["RoleArn"] == f"arn:aws:iam::<account>:role/response/msr-forwarder-{region}"
    assert target["DeadLetterConfig"] == {"Arn": f"arn:aws:sqs:{region}:<account>:msr-undelivered"}
    for account in world.members:
        assert forwarder_in(world.aws, account, region) == wanted
    nothing: Json = {"rules": {}, "targets": {}, "queues": []}
    assert forwarder_in(world.aws, MANAGEMENT, region) == nothing


def test_a_stack_of_the_template_by_hand(world: World) -> None:
    """For a roll-out with other tools: the template stands alone."""
    account = "900000000022"
    world.aws.client("iam", account).create_policy(
        PolicyName="boundary", PolicyDocument=json.dumps(ALLOW_ALL)
    )
    template = json.loads(world.terraform("output", "-json", "template"))
    stacks = world.aws.client("cloudformation", account)
    stacks.create_stack(
        StackName="roles", TemplateBody=template, Capabilities=["CAPABILITY_NAMED_IAM"]
    )

    def status() -> str:
        return str(stacks.describe_stacks(StackName="roles")["Stacks"][0]["StackStatus"])

    until(lambda: status() == "CREATE_COMPLETE", "the stack is created")
    assert roles_in(world.aws, account) == {
        name: role
        for name, role in roles_in(world.aws, BY_TERRAFORM).items()
        if "forwarder" not in name
    }


def test_an_account_that_joins_has_them_by_itself(world: World) -> None:
    assert roles_in(world.aws, world.newcomer) == {}
    world.organization.move(
        world.newcomer,
        world.organization.root,
        world.unit,
    )
    wanted = roles_in(world.aws, BY_TERRAFORM)
    until(
        lambda: roles_in(world.aws, world.newcomer) == wanted,
        "the account that joined has the roles",
    )
    for region in REGIONS:
        there = forwarder_in(
            world.aws,
            BY_TERRAFORM,
            region,
        )
        assert forwarder_in(world.aws, world.newcomer, region) == there
    notified = world.terraform(
        "plan",
        "-input=false",
        "-detailed-exitcode",
        code=2,
    )
    # the output lists one account more; nothing is to be done
    assert "without changing any real infrastructure" in notified


def test_a_function_that_is_switched_off_and_on_is_trusted_again(
    world: World, identity: Identity
) -> None:
    """Its role is made again, with another id; the roles of the members stay as they are. (That
    they name no id: tests/plan.)
    """
    name = "msr-playbook-ec2-instance"
    path = "/response/"
    iam = world.aws.client("iam", SECURITY)
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"AWS": f"arn:aws:iam::{SECURITY}:root"},
                "Action": "sts:AssumeRole",
            }
        ],
    }
    before = roles_in(world.aws, world.members[0])
    ids = []
    for _ in range(2):
        made = iam.create_role(
            RoleName=name, Path=path, AssumeRolePolicyDocument=json.dumps(trust)
        )["Role"]
        iam.put_role_policy(
            RoleName=name,
            PolicyName="p",
            PolicyDocument=json.dumps(ALLOW_ALL),
        )
        ids.append(made["RoleId"])
        function = identity.session(made["Arn"])
        for account in world.members:
            theirs = identity.session(
                f"arn:aws:iam::{account}:role/response/msr-responder-ec2-instance", by=function
            )
            assert (
                world.aws.client("ec2", account, **theirs).describe_instances()["Reservations"]
                == []
            )
            with pytest.raises(Exception, match="AccessDenied"):
                identity.session(
                    f"arn:aws:iam::{account}:role/response/msr-responder-iam-principal", by=function
                )
        iam.delete_role_policy(RoleName=name, PolicyName="p")
        iam.delete_role(RoleName=name)
    assert ids[0] != ids[1]
    assert roles_in(world.aws, world.members[0]) == before


def test_destroyed_nothing_is_left(world: World) -> None:
    world.terraform(
        "destroy",
        "-auto-approve",
        "-input=false",
    )
    for account in (*world.members, world.newcomer, BY_TERRAFORM):
        assert roles_in(world.aws, account) == {}
        for region in REGIONS:
            assert forwarder_in(world.aws, account, region)["queues"] == []
