"""One deployment in each Region of an account, each with a name_prefix of its own: nothing they
make has the same name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.support.one_account import OneAccountPlanner
    from tests.support.terraform_tools import Plan

pytestmark = pytest.mark.terraform
# of the account or of the world, not of a Region
SHARED = ("aws_iam_role", "aws_iam_instance_profile", "aws_s3_bucket")
SWITCHES: dict[str, Any] = {
    "remediations": {"CryptoCurrency:EC2/BitcoinTool.B!DNS": "auto", "*:IAMUser/*": "auto"},
    "organization_id": "o-sandbox001",
}
FIRST, SECOND = "gdr", "gdr-eu"  # one begins like the other


def _names(planned: Plan) -> set[tuple[str, str]]:
    """(kind, name) of what has one name in all Regions; a bucket's has the Region in it, and is
    known once applied.
    """
    found = {
        (kind, str(planned_values.get("name") or planned_values.get("bucket")))
        for kind in SHARED
        for planned_values in planned.of_type(kind).values()
    }
    return {(kind, name) for kind, name in found if name != "None"}


def test_two_deployments_share_no_name(plan: OneAccountPlanner) -> None:
    plan.prepare(*({**SWITCHES, "name_prefix": prefix} for prefix in (FIRST, SECOND)))
    first, second = (plan(**SWITCHES, name_prefix=prefix) for prefix in (FIRST, SECOND))
    assert len(_names(first)) >= 10
    assert not _names(first) & _names(second)
    assert {name.removeprefix(FIRST) for _, name in _names(first)} == {
        name.removeprefix(SECOND) for _, name in _names(second)
    }


def test_a_members_roles_trust_their_own_deployment_alone(plan: OneAccountPlanner) -> None:
    for mine, other in ((FIRST, SECOND), (SECOND, FIRST)):
        trusts = str(plan(**SWITCHES, name_prefix=mine).outputs["trust_policies"])
        assert f"role/{mine}-playbook-ec2-instance" in trusts
        assert f"role/{other}-playbook-ec2-instance" not in trusts
