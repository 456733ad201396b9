"""Applied once, planned again, destroyed: last of all, because nothing is left afterwards."""

from __future__ import annotations

from pathlib import Path

from e2e_world import MEMBER, PREFIX, SECURITY, World

from sandbox import lifecycle
from sandbox.report import Progress
from sandbox.terraform import Terraform

# What the emulators, not the module, make differ between two plans: {address: attributes}. Empty: nothing does.
EMULATOR_DRIFT: dict[str, set[str]] = {}


def test_a_second_plan_is_empty(world: World) -> None:
    """Also after every incident of this session: the response changes nothing that Terraform manages."""
    unexpected = [
        change for change in lifecycle.plan()
        if not set(change["changed"]) <= EMULATOR_DRIFT.get(str(change["address"]), set())  # type: ignore[call-overload]
    ]  # fmt: skip
    assert unexpected == []


def test_destroy_leaves_nothing(world: World) -> None:
    terraform = Terraform(world.known.endpoint)
    terraform.destroy([Path(name) for name in world.known.var_files], Progress(to_stderr=True))
    assert not world.client("dynamodb", SECURITY).list_tables()["TableNames"]
    assert not world.client("stepfunctions", SECURITY).list_state_machines()["stateMachines"]
    assert not [
        one for one in world.client("s3", SECURITY).list_buckets()["Buckets"] if one["Name"].startswith(PREFIX)
    ]  # fmt: skip
    assert not [one for one in world.client("events", SECURITY).list_rules()["Rules"] if one["Name"].startswith(PREFIX)]
    assert not world.client("guardduty", SECURITY).list_detectors()["DetectorIds"]
    for account in (SECURITY, MEMBER):
        roles = [one["RoleName"] for one in world.client("iam", account).list_roles()["Roles"]]
        assert not [name for name in roles if name.startswith(PREFIX)]
    # What contains an instance is the record of an incident, not of the module: it outlives it.
    kept = world.client("ec2").describe_security_groups(Filters=[{"Name": "group-name", "Values": [f"{PREFIX}-quarantine"]}])
    assert kept["SecurityGroups"]
