"""The customer managed policy that denies sessions of a role whose inline policies are full.

IAM keeps five versions of such a policy, of 6,144 characters each, and attaches ten policies to a
role unless the quota was raised (IAM User Guide, "IAM and AWS STS quotas").
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from guardduty_response.aws.conflicts import retry_on_conflict
from guardduty_response.aws.errors import error_code
from guardduty_response.containment.session_denials import managed_policy
from guardduty_response.containment.session_policy import compact
from guardduty_response.containment.target_context import allow, name_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from guardduty_response.aws.api import AwsAnswer, AwsClient, PolicyDocument
    from guardduty_response.containment.target_context import TargetContext

LONGEST = 6_144  # characters, white space not counted
VERSIONS = 5
ATTACHES, DETACHES = "iam:AttachRolePolicy", "iam:DetachRolePolicy"
LISTS = ("iam:ListAttachedRolePolicies",)
READS = ("iam:GetPolicy", "iam:GetPolicyVersion")
_VERSIONS = ("iam:DeletePolicyVersion", "iam:ListPolicyVersions")
CHANGES = ("iam:CreatePolicyVersion", *_VERSIONS)
WRITES = ("iam:CreatePolicy", "iam:DeletePolicy", *CHANGES)
REMOVES = ("iam:DeletePolicy", *_VERSIONS)


def size_of(policy: PolicyDocument | None) -> int:
    """Returns the characters of a policy as IAM counts them."""
    return len("".join(compact(policy).split()))


class ManagedDenial:
    """The policy of one role. Methods raise botocore ClientError."""

    def __init__(self, target_context: TargetContext, role: str) -> None:
        self.target_context, self.role = target_context, role
        self.name = managed_policy(target_context.prefix, role)
        self.arn = target_context.arn(f"policy/{self.name}", "iam")
        self._named = {"RoleName": name_of(role), "PolicyArn": self.arn}

    def _client(self, *statements: tuple[tuple[str, ...], str], attaches: str = "") -> AwsClient:
        granted = [allow(LISTS, self.role), allow(READS, self.arn)]
        granted += [allow(actions, on) for actions, on in statements]
        if attaches:
            only = {"ArnEquals": {"iam:PolicyARN": self.arn}}
            granted.append({**allow((attaches,), self.role), "Condition": only})
        return self.target_context.open_session(*granted).client("iam")

    def read(self) -> PolicyDocument | None:
        """Returns what the policy denies on the role; None: it is not attached to the role."""
        iam = self._client()
        page: AwsAnswer = {"IsTruncated": True}
        marker: dict[str, str] = {}
        while page["IsTruncated"]:
            page = iam.list_attached_role_policies(RoleName=name_of(self.role), **marker)
            if self.arn in [found["PolicyArn"] for found in page["AttachedPolicies"]]:
                return self._document(iam)
            marker = {"Marker": page.get("Marker", "")}
        return None

    def _document(self, iam: AwsClient) -> PolicyDocument:
        policy = iam.get_policy(PolicyArn=self.arn)["Policy"]
        version = iam.get_policy_version(PolicyArn=self.arn, VersionId=policy["DefaultVersionId"])
        return dict(version["PolicyVersion"]["Document"])

    def write(self, document: PolicyDocument) -> AwsAnswer:
        """Makes the policy say ``document``, and attaches it."""
        iam = self._client((WRITES, self.arn), attaches=ATTACHES)
        text = compact(document)
        create = partial(
            iam.create_policy,
            PolicyName=self.name,
            PolicyDocument=text,
        )
        new = True
        try:
            retry_on_conflict(create)
        except ClientError as error:
            if error_code(error) != "EntityAlreadyExists":
                raise
            new = False
            self._write_version(iam, text)
        try:
            return dict(retry_on_conflict(partial(iam.attach_role_policy, **self._named)))
        except ClientError:
            if new:
                _unless_missing(partial(iam.delete_policy, PolicyArn=self.arn))
            raise

    def change(self, document: PolicyDocument) -> AwsAnswer:
        """Makes the policy, which is attached, say ``document``."""
        iam = self._client((CHANGES, self.arn))
        return self._write_version(iam, compact(document))

    def _write_version(self, iam: AwsClient, text: str) -> AwsAnswer:
        versions = self._versions(iam)
        if len(versions) >= VERSIONS:
            self._delete_version(iam, versions[0])
        create = partial(
            iam.create_policy_version,
            PolicyArn=self.arn,
            PolicyDocument=text,
        )
        return dict(retry_on_conflict(partial(create, SetAsDefault=True)))

    def _versions(self, iam: AwsClient) -> list[str]:
        """Returns the versions that do not count and may be deleted, the default after them."""
        found = iam.list_policy_versions(PolicyArn=self.arn)["Versions"]
        found.sort(key=lambda version: (version["IsDefaultVersion"], version["CreateDate"]))
        return [str(version["VersionId"]) for version in found]

    def _delete_version(self, iam: AwsClient, version: str) -> None:
        delete = partial(
            iam.delete_policy_version,
            PolicyArn=self.arn,
            VersionId=version,
        )
        retry_on_conflict(delete)

    def remove(self) -> AwsAnswer:
        """Detaches the policy and deletes it; what no longer exists is left out."""
        iam = self._client((REMOVES, self.arn), attaches=DETACHES)
        answer = _unless_missing(partial(iam.detach_role_policy, **self._named))
        try:
            versions = self._versions(iam)
        except ClientError as error:
            if error_code(error) != "NoSuchEntity":
                raise
            return answer
        for version in versions[:-1]:
            self._delete_version(iam, version)
        return _unless_missing(partial(iam.delete_policy, PolicyArn=self.arn)) or answer

    def command(self, document: PolicyDocument | None) -> str:
        """Returns the command, without ``aws``, that takes the policy away, or changes it."""
        if document is None:
            named = f"--role-name {name_of(self.role)} --policy-arn {self.arn}"
            return f"iam detach-role-policy {named}"
        text = compact(document)
        return (
            f"iam create-policy-version --policy-arn {self.arn} --set-as-default"
            f" --policy-document '{text}'"
        )


def denial_names(target_context: TargetContext, role: str, item: str) -> set[str]:
    """Returns what a call that changes a role's managed policy would name, where containment has
    written it: by the prior states that begin with ``item``.
    """
    managed = ManagedDenial(target_context, role)
    found = [key for key in target_context.before_states if key.startswith(item)]
    written = any(key.endswith(managed.name) for key in found)
    return {managed.name, managed.arn} if role and written else set()


def _unless_missing(call: Callable[[], AwsAnswer]) -> AwsAnswer:
    try:
        return dict(retry_on_conflict(call))
    except ClientError as error:
        if error_code(error) != "NoSuchEntity":
            raise
        return {}
