"""StackSets with service-managed permissions answer as AWS does, and make real stacks in the
organization's accounts.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.clients import Aws
from tests.sandbox.emulator_helpers import ALLOW_ALL
from tests.support.patience import until, within

MANAGEMENT, OUTSIDE = "900000000001", "900000000009"  # an organization of these tests' own
DELEGATION = "member.org.stacksets.cloudformation.amazonaws.com"
ROOT = {"AWS": {"Fn::Sub": "arn:aws:iam::${AWS::AccountId}:root"}}
TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": ROOT,
            "Action": "sts:AssumeRole",
        }
    ],
}
OWN = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"AWS": "*"},
            "Action": "sts:AssumeRole",
        }
    ],
}


def template(role: str, **more: Any) -> str:
    made = {
        "Type": "AWS::IAM::Role",
        "Properties": {
            "RoleName": role,
            "AssumeRolePolicyDocument": TRUST,
            **more,
        },
    }
    return json.dumps({"Resources": {"Role": made}})


class Organization:
    """OUs ``outer`` and below it ``inner``, each with one account, and one account in the root."""

    def __init__(self, aws: Aws, management: str = MANAGEMENT) -> None:
        self.aws, self.api = aws, aws.client("organizations", management)
        self.api.create_organization(FeatureSet="ALL")
        self.root = self.api.list_roots()["Roots"][0]["Id"]
        self.outer, self.inner = self.unit(self.root), ""
        self.inner = self.unit(self.outer)
        self.in_root, self.in_outer, self.in_inner = (
            self.account(),
            self.account(self.outer),
            self.account(self.inner),
        )

    def unit(self, parent: str) -> str:
        made = self.api.create_organizational_unit(
            ParentId=parent, Name=f"u-{secrets.token_hex(4)}"
        )
        return str(made["OrganizationalUnit"]["Id"])

    def account(self, unit: str = "") -> str:
        name = f"a-{secrets.token_hex(4)}"
        made = self.api.create_account(Email=f"{name}@example.com", AccountName=name)[
            "CreateAccountStatus"
        ]["AccountId"]
        if unit:
            self.move(made, self.root, unit)
        return str(made)

    def move(self, account: str, source: str, target: str) -> None:
        self.api.move_account(
            AccountId=account,
            SourceParentId=source,
            DestinationParentId=target,
        )


@pytest.fixture(scope="module")
def organization(aws: Aws) -> Organization:
    return Organization(aws)


@pytest.fixture(scope="module")
def stacksets(aws: Aws, organization: Organization) -> Any:
    client = aws.client("cloudformation", MANAGEMENT)
    # before any test activates it
    with pytest.raises(ClientError, match="You must enable organizations access"):
        client.create_stack_set(
            StackSetName="early", PermissionModel="SERVICE_MANAGED", TemplateBody=template("r")
        )
    assert client.describe_organizations_access()["Status"] == "DISABLED"
    client.activate_organizations_access()
    assert client.describe_organizations_access()["Status"] == "ENABLED"
    return client


class Set:
    """A StackSet of one role, and its operations to their end."""

    def __init__(self, client: Any, name: str, **options: object) -> None:
        self.client, self.name, self.role = client, name, f"role-{name}"
        self.capabilities = {"Capabilities": ["CAPABILITY_NAMED_IAM"]}
        options = {
            "AutoDeployment": {"Enabled": False},
            "ManagedExecution": {"Active": True},
            **options,
        }
        client.create_stack_set(
            StackSetName=name,
            PermissionModel="SERVICE_MANAGED",
            TemplateBody=template(self.role),
            **self.capabilities,
            **options,
        )

    def run(self, call: str, **request: Any) -> str:
        made = getattr(self.client, call)(StackSetName=self.name, **request)["OperationId"]

        def done() -> str:
            notified = self.client.describe_stack_set_operation(
                StackSetName=self.name, OperationId=made
            )["StackSetOperation"]
            return "" if notified["Status"] in ("QUEUED", "RUNNING") else str(notified["Status"])

        return str(until(done, f"{call} ends"))

    def create(self, unit: str, **targets: Any) -> str:
        more = (
            {"OperationPreferences": targets.pop("preferences")} if "preferences" in targets else {}
        )
        return self.run(
            "create_stack_instances",
            DeploymentTargets={"OrganizationalUnitIds": [unit], **targets},
            Regions=["us-east-1"],
            **more,
        )

    def delete(self, unit: str, retain: bool = False) -> str:
        where = {"OrganizationalUnitIds": [unit]}
        return self.run(
            "delete_stack_instances",
            DeploymentTargets=where,
            Regions=["us-east-1"],
            RetainStacks=retain,
        )

    def instances(self) -> dict[str, str]:
        found = self.client.list_stack_instances(StackSetName=self.name)["Summaries"]
        return {instance["Account"]: instance["Status"] for instance in found}


@pytest.fixture
def make(stacksets: Any) -> Iterator[Callable[..., Set]]:
    made: list[Set] = []

    def new_set(**options: object) -> Set:
        made.append(Set(stacksets, f"s-{secrets.token_hex(4)}", **options))
        return made[-1]

    yield new_set
    for each in made:
        for unit in stacksets.describe_stack_set(StackSetName=each.name)["StackSet"][
            "OrganizationalUnitIds"
        ]:
            each.delete(unit)
        stacksets.delete_stack_set(StackSetName=each.name)


@pytest.fixture(scope="module")
def role(aws: Aws) -> Callable[[str, str], Any]:
    """(account, name) -> that role, or None."""

    def find(account: str, name: str) -> Any:
        try:
            return aws.client("iam", account).get_role(RoleName=name)["Role"]
        except ClientError as error:
            assert error.response["Error"]["Code"] == "NoSuchEntity"
            return None

    return find


def refusal(call: Callable[..., Any], **request: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**request)
    return f"{caught.value.response['Error']['Code']}: {caught.value.response['Error']['Message']}"


@pytest.mark.smoke
def test_who_may(aws: Aws, organization: Organization, stacksets: Any) -> None:
    """The management account, a delegated administrator that says so, and nobody else."""
    request = {
        "StackSetName": "mine",
        "PermissionModel": "SERVICE_MANAGED",
        "TemplateBody": template("r"),
    }
    for account in (OUTSIDE, organization.in_root):
        foreign = aws.client("cloudformation", account)
        assert "must be the management account or delegated admin" in refusal(
            foreign.create_stack_set, **request
        )
    member = aws.client("cloudformation", organization.in_root)
    assert "not a delegated administrator" in refusal(
        member.create_stack_set, CallAs="DELEGATED_ADMIN", **request
    )
    organization.api.enable_aws_service_access(ServicePrincipal=DELEGATION)
    organization.api.register_delegated_administrator(
        AccountId=organization.in_root, ServicePrincipal=DELEGATION
    )
    member.create_stack_set(CallAs="DELEGATED_ADMIN", **request)
    assert (
        stacksets.describe_stack_set(StackSetName="mine")["StackSet"]["StackSetARN"].split(":")[4]
        == MANAGEMENT
    )
    member.delete_stack_set(StackSetName="mine", CallAs="DELEGATED_ADMIN")
    assert "StackSetNotFoundException" in refusal(stacksets.describe_stack_set, StackSetName="mine")


def test_child_units_count_and_the_management_account_does_not(
    organization: Organization, make: Callable[..., Set], role: Callable[[str, str], Any]
) -> None:
    stack_set = make()
    assert stack_set.create(organization.root) == "SUCCEEDED"
    assert {
        organization.in_root,
        organization.in_outer,
        organization.in_inner,
    } <= stack_set.instances().keys()
    assert MANAGEMENT not in stack_set.instances()
    assert role(MANAGEMENT, stack_set.role) is None
    made = role(organization.in_inner, stack_set.role)
    assert made["AssumeRolePolicyDocument"]["Statement"][0]["Principal"] == {
        "AWS": f"arn:aws:iam::{organization.in_inner}:root"
    }
    assert "StackSetNotEmptyException" in refusal(
        stack_set.client.delete_stack_set, StackSetName=stack_set.name
    )
    assert stack_set.delete(organization.root) == "SUCCEEDED"
    assert stack_set.instances() == {}
    assert role(organization.in_inner, stack_set.role) is None


def test_filters(organization: Organization, make: Callable[..., Set]) -> None:
    accounts = [organization.in_inner, organization.in_root]
    only = make()
    without = make()
    only.create(organization.outer, Accounts=accounts, AccountFilterType="INTERSECTION")
    assert set(only.instances()) == {organization.in_inner}
    without.create(organization.outer, Accounts=accounts, AccountFilterType="DIFFERENCE")
    assert set(without.instances()) == {organization.in_outer}
    targets = {"OrganizationalUnitIds": [organization.outer], "Accounts": accounts}
    call = only.client.create_stack_instances
    common = {"StackSetName": only.name, "Regions": ["us-east-1"]}
    assert "AccountFilterType must be specified" in refusal(
        call, DeploymentTargets=targets, **common
    )
    assert "UNION is not supported" in refusal(
        call, DeploymentTargets={**targets, "AccountFilterType": "UNION"}, **common
    )
    assert "can only have OrganizationalUnit" in refusal(call, Accounts=accounts, **common)


@pytest.mark.parametrize("retain", [False, True])
def test_automatic_deployment_follows_accounts_and_knows_no_filter(
    organization: Organization,
    make: Callable[..., Set],
    role: Callable[[str, str], Any],
    retain: bool,
) -> None:
    stack_set = make(AutoDeployment={"Enabled": True, "RetainStacksOnAccountRemoval": retain})
    unit = organization.unit(organization.root)
    first = organization.account(unit)
    stack_set.create(unit, Accounts=[first], AccountFilterType="INTERSECTION")
    second = organization.account(unit)
    until(lambda: stack_set.instances().get(second) == "CURRENT", "the account that joined has it")
    assert role(second, stack_set.role)
    organization.move(second, unit, organization.root)
    until(lambda: second not in stack_set.instances(), "the account that left is out of it")
    assert bool(role(second, stack_set.role)) == retain
    assert stack_set.instances() == {first: "CURRENT"}


def test_no_automatic_deployment(organization: Organization, make: Callable[..., Set]) -> None:
    stack_set = make()
    unit = organization.unit(organization.root)
    organization.account(unit)
    stack_set.create(unit)
    later = organization.account(unit)
    assert not within(lambda: later in stack_set.instances(), 1)
    assert "RetainStacksOnAccountRemoval" in refusal(
        make, AutoDeployment={"Enabled": False, "RetainStacksOnAccountRemoval": True}
    )


def test_an_account_that_fails_and_the_tolerance(
    aws: Aws, organization: Organization, make: Callable[..., Set]
) -> None:
    """A role of that name exists already: that account is OUTDATED and says why, its role
    untouched; the other has its own.
    """
    strict = make()
    lax = make()
    unit = organization.unit(organization.root)
    taken = organization.account(unit)
    free = organization.account(unit)
    for stack_set in (strict, lax):
        aws.client("iam", taken).create_role(
            RoleName=stack_set.role, Description="mine", AssumeRolePolicyDocument=json.dumps(OWN)
        )
    assert strict.create(unit) == "FAILED"
    assert lax.create(unit, preferences={"FailureTolerancePercentage": 50}) == "SUCCEEDED"
    assert lax.instances() == {taken: "OUTDATED", free: "CURRENT"}
    notified = lax.client.describe_stack_instance(
        StackSetName=lax.name, StackInstanceAccount=taken, StackInstanceRegion="us-east-1"
    )
    assert "already exists" in notified["StackInstance"]["StatusReason"]
    assert aws.client("iam", taken).get_role(RoleName=lax.role)["Role"]["Description"] == "mine"


def test_an_update_reaches_every_account(
    aws: Aws, organization: Organization, make: Callable[..., Set], role: Callable[[str, str], Any]
) -> None:
    stack_set = make()
    stack_set.create(organization.outer)
    for account in stack_set.instances():
        aws.client("iam", account).create_policy(
            PolicyName="boundary", PolicyDocument=json.dumps(ALLOW_ALL)
        )
    changed = template(
        stack_set.role,
        Description="new",
        PermissionsBoundary={"Fn::Sub": "arn:aws:iam::${AWS::AccountId}:policy/boundary"},
    )
    assert (
        stack_set.run("update_stack_set", TemplateBody=changed, **stack_set.capabilities)
        == "SUCCEEDED"
    )
    for account in (organization.in_outer, organization.in_inner):
        made = role(account, stack_set.role)
        assert made["Description"] == "new"
        assert (
            made["PermissionsBoundary"]["PermissionsBoundaryArn"]
            == f"arn:aws:iam::{account}:policy/boundary"
        )
    assert stack_set.delete(organization.outer, retain=True) == "SUCCEEDED"
    assert role(organization.in_inner, stack_set.role)
    assert stack_set.instances() == {}


def test_without_managed_execution_a_second_operation_is_refused(
    organization: Organization, make: Callable[..., Set]
) -> None:
    stack_set = make(ManagedExecution={"Active": False})
    stack_set.client.create_stack_instances(
        StackSetName=stack_set.name,
        DeploymentTargets={"OrganizationalUnitIds": [organization.outer]},
        Regions=["us-east-1"],
    )
    assert "OperationInProgressException" in refusal(
        stack_set.client.update_stack_set,
        StackSetName=stack_set.name,
        TemplateBody=template(stack_set.role),
        **stack_set.capabilities,
    )
    until(lambda: set(stack_set.instances().values()) == {"CURRENT"}, "all instances are current")
