"""Applied once, planned again, destroyed: last of all, because nothing is left afterwards."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest

from sandbox import lifecycle, settings
from sandbox.report import Progress
from sandbox.terraform import Terraform
from tests.e2e.e2e_checks import assert_contained
from tests.e2e.e2e_world import AWAY, MEMBER, MEMBER_B, PREFIX, SECURITY, Json, World

# What the emulators, not the module, make differ between two plans: {address: attributes}. Empty:
# nothing does.
EMULATOR_DRIFT: dict[str, set[str]] = {}


def test_a_second_plan_is_empty(world: World) -> None:
    """Also after every incident of this session: the response changes nothing that Terraform
    manages.
    """
    unexpected = [
        change
        for change in lifecycle.plan()
        if not set(cast(list[str], change["changed"]))
        <= EMULATOR_DRIFT.get(str(change["address"]), set())
    ]
    assert unexpected == []


def _roles(world: World, account: str) -> dict[str, Json]:
    """The response's roles in an account, each with its unique id, its trust and its policies."""
    iam, found = world.client("iam", account), {}
    for role in iam.list_roles()["Roles"]:
        if role["RoleName"].startswith(PREFIX):
            who = {"RoleName": role["RoleName"]}
            names = iam.list_role_policies(**who)["PolicyNames"]
            policies = {
                name: iam.get_role_policy(**who, PolicyName=name)["PolicyDocument"]
                for name in names
            }
            found[role["RoleName"]] = {
                "id": role["RoleId"],
                "trust": role["AssumeRolePolicyDocument"],
                "policies": policies,
            }
    return found


@pytest.mark.proof  # two more applies
def test_a_playbook_switched_off_and_on_again_breaks_no_member(
    world: World, tmp_path: Path
) -> None:
    """Its function's role comes back with another unique id: the members trust the account and its
    name, and need no apply.

    AWS keeps the unique id of a role that a trust names as principal, the emulator its ARN: so none
    may be named.
    """
    function, [file] = f"{PREFIX}-playbook-ec2-instance", world.known.var_files
    before, own = (
        {account: _roles(world, account) for account in (MEMBER, MEMBER_B)},
        _roles(world, SECURITY)[function],
    )
    for account in before:
        for statement in before[account][f"{PREFIX}-responder-ec2-instance"]["trust"]["Statement"]:
            assert statement["Principal"] == {"AWS": f"arn:aws:iam::{SECURITY}:root"}
    off = tmp_path / "off.tfvars"
    # UnauthorizedAccess:IAMUser has a type that names an instance as well, whose playbook it brings
    # along.
    acting = (":EC2/", '"UnauthorizedAccess:')
    lines = [
        line
        for line in Path(file).read_text().splitlines()
        if not any(part in line for part in acting)
    ]
    off.write_text("\n".join(lines))
    say = Progress(to_stderr=True)
    Terraform(world.known.endpoint).apply([off], say)
    assert function not in _roles(world, SECURITY)
    Terraform(world.known.endpoint).apply([Path(file)], say)
    assert _roles(world, SECURITY)[function]["id"] != own["id"]
    assert {account: _roles(world, account) for account in before} == before
    for account in before:
        victim = world.plain(account=account, region=AWAY)
        assert_contained(
            world,
            victim,
            world.respond(victim),
        )


def _detection(world: World) -> dict[str, Json]:
    """Region -> the security account's detector there, as GuardDuty describes it."""
    found = {}
    for region in settings.REGIONS:
        guardduty = world.client(
            "guardduty",
            SECURITY,
            region,
        )
        for detector in guardduty.list_detectors()["DetectorIds"]:
            answer = guardduty.get_detector(DetectorId=detector)
            found[region] = {"id": detector, "status": answer["Status"], "of": answer["Features"]}
    return found


@pytest.mark.proof
def test_destroy_leaves_nothing_but_detection(world: World) -> None:
    victim = world.plain()
    assert_contained(
        world,
        victim,
        world.respond(victim),
    )
    detectors = _detection(world)
    assert set(detectors) == set(settings.REGIONS)
    terraform = Terraform(world.known.endpoint)
    terraform.destroy([Path(name) for name in world.known.var_files], Progress(to_stderr=True))
    assert not world.client("dynamodb", SECURITY).list_tables()["TableNames"]
    assert not world.client("stepfunctions", SECURITY).list_state_machines()["stateMachines"]
    assert not [
        bucket
        for bucket in world.client("s3", SECURITY).list_buckets()["Buckets"]
        if bucket["Name"].startswith(PREFIX)
    ]
    for region in settings.REGIONS:
        for account in (SECURITY, MEMBER, MEMBER_B):
            rules = world.client(
                "events",
                account,
                region,
            ).list_rules()["Rules"]
            assert not [rule for rule in rules if rule["Name"].startswith(PREFIX)]
            queues = world.client("sqs", account, region).list_queues(QueueNamePrefix=PREFIX)
            assert not queues.get("QueueUrls")
    assert _detection(world) == detectors, "A response that goes leaves GuardDuty as it is."
    assert "Policy" not in world.client("events", SECURITY).describe_event_bus()
    for account in (SECURITY, MEMBER, MEMBER_B):
        roles = [role["RoleName"] for role in world.client("iam", account).list_roles()["Roles"]]
        assert not [name for name in roles if name.startswith(PREFIX)]
    # What contains an instance is the record of an incident, not of the module: it outlives it.
    kept = world.client("ec2").describe_security_groups(
        Filters=[{"Name": "group-name", "Values": [f"{PREFIX}-quarantine"]}]
    )
    assert kept["SecurityGroups"]
