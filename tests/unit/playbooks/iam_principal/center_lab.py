"""An Identity Center account beside the member account: people, groups, permission sets, and what
provisioning does of them.

moto answers what it has: permission sets and their inline policies, assignments, users and groups.
It has no provisioning that takes time or fails, no roles in the accounts, no accounts that lag
behind, and no limit of an inline policy: ``extend`` gives these to moto itself, so that every
request reaches them after botocore has validated and serialized it, and every answer is parsed by
botocore's model. Other clients than the response's look at the outcome.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, field

import pytest
from botocore.exceptions import ClientError
from guardduty_response.aws.api import AwsAnswer, AwsClient, PolicyDocument
from guardduty_response.playbooks.iam_principal.identity_center.center import INLINE
from moto.core.exceptions import JsonRESTError
from moto.ssoadmin.models import PermissionSet, SSOAdminBackend, ssoadmin_backends
from moto.ssoadmin.responses import SSOAdminResponse

from tests.unit.deployment import onlooker
from tests.unit.playbooks.iam_principal.iam_lab import IamLab
from tests.unit.playbooks.iam_principal.iam_moto import MEMBER

CENTER, WHERE, OTHER = "999999999999", "eu-west-1", "333333333333"
INSTANCE, STORE = "arn:aws:sso:::instance/ssoins-0123456789abcdef", "d-0123456789"
OPTION = {
    "account_id": CENTER,
    "region": WHERE,
    "instance_arn": INSTANCE,
    "identity_store_id": STORE,
}
WORK: PolicyDocument = {
    "Sid": "Work",
    "Effect": "Allow",
    "Action": "*",
    "Resource": "*",
}
POLICY = json.dumps({"Version": "2012-10-17", "Statement": [WORK]}, indent=2)


@dataclass
class Request:
    permission_set: str
    polls: int
    failure: str


@dataclass
class CenterLab:
    iam: IamLab
    sets: dict[str, str] = field(default_factory=dict)  # name -> ARN
    people: dict[str, str] = field(default_factory=dict)  # name -> id
    groups: dict[str, str] = field(default_factory=dict)
    # (permission set, account) -> inline policy
    provisioned: dict[tuple[str, str], str] = field(default_factory=dict)
    requests: dict[str, Request] = field(default_factory=dict)
    polls: int = 0  # how often a provisioning is still IN_PROGRESS when asked
    # of the next provisionings; empty: it succeeds
    failures: list[str] = field(default_factory=list)
    observers: dict[tuple[str, str], AwsClient] = field(default_factory=dict)

    # -- state, as others see it -------------------------------------------------------------------

    def see(self, service: str, account: str = CENTER) -> AwsClient:
        if (service, account) not in self.observers:
            self.observers[service, account] = onlooker(
                service,
                WHERE,
                account,
            )
        return self.observers[service, account]

    def policy(self, name: str) -> str:
        named = {"InstanceArn": INSTANCE, "PermissionSetArn": self.sets[name]}
        answer = self.see("sso-admin").get_inline_policy_for_permission_set(**named)
        return str(answer.get("InlinePolicy") or "")

    def statements(self, name: str) -> list[PolicyDocument]:
        return list(json.loads(self.policy(name) or '{"Statement": []}')["Statement"])

    def role(self, name: str, account: str = MEMBER) -> list[PolicyDocument]:
        """The statements of the permission set's inline policy that the account's role has."""
        iam = self.see("iam", account)
        try:
            answer = iam.get_role_policy(RoleName=role_name(name), PolicyName=INLINE)
        except ClientError:
            return []
        return list(answer["PolicyDocument"]["Statement"])

    def denied(self, statements: list[PolicyDocument]) -> list[str]:
        """User ids to which the statements deny everything."""
        return [
            statement["Condition"]["StringEquals"]["identitystore:userId"]
            for statement in statements
            if (statement["Effect"], statement["Action"], statement["Resource"])
            == ("Deny", "*", "*")
        ]

    # -- building ----------------------------------------------------------------------------------

    def put(self, name: str, text: str) -> None:
        named = {"InstanceArn": INSTANCE, "PermissionSetArn": self.sets[name]}
        self.see("sso-admin").put_inline_policy_to_permission_set(**named, InlinePolicy=text)

    def permission_set(self, name: str, policy: str = POLICY) -> CenterLab:
        created = self.see("sso-admin").create_permission_set(InstanceArn=INSTANCE, Name=name)
        self.sets[name] = created["PermissionSet"]["PermissionSetArn"]
        if policy:
            self.put(name, policy)
        return self

    def person(self, name: str, *groups: str) -> CenterLab:
        store = self.see("identitystore")
        full = {"FamilyName": name, "GivenName": name}
        created = store.create_user(
            IdentityStoreId=STORE, UserName=name, Name=full, DisplayName=name
        )
        self.people[name] = created["UserId"]
        for group in groups:
            if group not in self.groups:
                answer = store.create_group(IdentityStoreId=STORE, DisplayName=group)
                self.groups[group] = answer["GroupId"]
            store.create_group_membership(
                IdentityStoreId=STORE,
                GroupId=self.groups[group],
                MemberId={"UserId": created["UserId"]},
            )
        return self

    def assign(self, name: str, holder: str, account: str = MEMBER) -> CenterLab:
        kind = "USER" if holder in self.people else "GROUP"
        id = self.people.get(holder) or self.groups[holder]
        self.see("sso-admin").create_account_assignment(
            InstanceArn=INSTANCE,
            PermissionSetArn=self.sets[name],
            TargetId=account,
            TargetType="AWS_ACCOUNT",
            PrincipalType=kind,
            PrincipalId=id,
        )
        if (self.sets[name], account) not in self.provisioned:
            self.see("iam", account).create_role(
                RoleName=role_name(name),
                Path=f"/aws-reserved/sso.amazonaws.com/{WHERE}/",
                AssumeRolePolicyDocument="{}",
            )
            self.apply(self.sets[name], [account])
        return self

    def signed_in(self, holder: str, name: str) -> CenterLab:
        """The finding: a session of the person in the permission set's role."""
        role = self.see("iam", MEMBER).get_role(RoleName=role_name(name))["Role"]
        self.iam.details = {
            "accessKeyId": "ASIAFINDING000000001",
            "principalId": f"{role['RoleId']}:{holder}",
            "userType": "AssumedRole",
            "userName": role_name(name),
        }
        return self

    # -- what provisioning does --------------------------------------------------------------------

    def accounts(self, permission_set: str) -> list[str]:
        return [account for known, account in self.provisioned if known == permission_set]

    def apply(self, permission_set: str, accounts: list[str]) -> None:
        name = next(name for name, arn in self.sets.items() if arn == permission_set)
        text = self.policy(name)
        for account in accounts:
            iam = self.see("iam", account)
            if text:
                iam.put_role_policy(
                    RoleName=role_name(name), PolicyName=INLINE, PolicyDocument=text
                )
            elif self.provisioned.get((permission_set, account)):
                iam.delete_role_policy(RoleName=role_name(name), PolicyName=INLINE)
            self.provisioned[permission_set, account] = text

    def status(self, id: str, advance: bool) -> AwsAnswer:
        request = self.requests[id]
        if request.polls > 0:
            request.polls -= advance
            return {
                "Status": "IN_PROGRESS",
                "RequestId": id,
                "PermissionSetArn": request.permission_set,
            }
        if request.failure:
            return {
                "Status": "FAILED",
                "RequestId": id,
                "FailureReason": request.failure,
            }
        self.apply(request.permission_set, self.accounts(request.permission_set))
        return {
            "Status": "SUCCEEDED",
            "RequestId": id,
            "PermissionSetArn": request.permission_set,
        }


def role_name(name: str) -> str:
    return f"AWSReservedSSO_{name}_0123456789abcdef"


def extend(lab: CenterLab, monkeypatch: pytest.MonkeyPatch) -> CenterLab:
    """Adds to moto what this module's text says it lacks, until the test has ended."""
    instance = ssoadmin_backends[CENTER][WHERE].instances[0]
    instance.instance_arn, instance.identity_store_id = INSTANCE, STORE

    def arn(_: str) -> str:  # moto's has another form
        return (
            f"arn:aws:sso:::permissionSet/{INSTANCE.rsplit('/', 1)[-1]}/ps-{uuid.uuid4().hex[:16]}"
        )

    def provision(self: SSOAdminResponse) -> str:
        permission_set = self.ssoadmin_backend._find_permission_set(
            self._get_param("InstanceArn"), self._get_param("PermissionSetArn")
        )
        assert self._get_param("TargetType") == "ALL_PROVISIONED_ACCOUNTS"
        id = str(uuid.uuid4())
        failure = lab.failures.pop(0) if lab.failures else ""
        lab.requests[id] = Request(
            permission_set.permission_set_arn,
            lab.polls,
            failure,
        )
        return json.dumps({"PermissionSetProvisioningStatus": lab.status(id, False)})

    def describe(self: SSOAdminResponse) -> str:
        id = self._get_param("ProvisionPermissionSetRequestId")
        return json.dumps({"PermissionSetProvisioningStatus": lab.status(id, True)})

    def accounts(self: SSOAdminResponse) -> str:
        permission_set = self._get_param("PermissionSetArn")
        wanted = self._get_param("ProvisioningStatus")
        found = self.ssoadmin_backend._find_permission_set(
            self._get_param("InstanceArn"), permission_set
        )
        text = found.inline_policy
        behind = [
            account
            for account in lab.accounts(permission_set)
            if lab.provisioned[permission_set, account] != text
        ]
        latest = [account for account in lab.accounts(permission_set) if account not in behind]
        by_status = {
            "LATEST_PERMISSION_SET_NOT_PROVISIONED": behind,
            "LATEST_PERMISSION_SET_PROVISIONED": latest,
        }
        return json.dumps({"AccountIds": by_status.get(wanted, behind + latest)})

    def sets(self: SSOAdminResponse) -> str:
        account = self._get_param("AccountId")
        known = {
            permission_set.permission_set_arn
            for permission_set in self.ssoadmin_backend.permission_sets
        }
        here = [arn for arn, where in lab.provisioned if where == account and arn in known]
        return json.dumps({"PermissionSets": here})

    put = SSOAdminBackend.put_inline_policy_to_permission_set

    def limited(
        self: SSOAdminBackend, instance_arn: str, permission_set_arn: str, inline_policy: str
    ) -> None:
        if (size := len("".join(inline_policy.split()).encode())) > 10240:
            raise JsonRESTError(
                "ValidationException",
                f"{size} bytes which has exceeded the maximum limit of 10240 bytes",
            )
        put(self, instance_arn, permission_set_arn, inline_policy)

    assert not hasattr(SSOAdminResponse, "describe_permission_set_provisioning_status"), (
        "moto has it by now: let it answer"
    )
    for name, method in {
        "provision_permission_set": provision,
        "describe_permission_set_provisioning_status": describe,
        "list_accounts_for_provisioned_permission_set": accounts,
        "list_permission_sets_provisioned_to_account": sets,
    }.items():
        monkeypatch.setattr(SSOAdminResponse, name, method, raising=False)
    monkeypatch.setattr(SSOAdminBackend, "put_inline_policy_to_permission_set", limited)
    monkeypatch.setattr(PermissionSet, "generate_id", staticmethod(arn))
    lab.iam.options["identity_center"] = dict(OPTION)
    return lab
