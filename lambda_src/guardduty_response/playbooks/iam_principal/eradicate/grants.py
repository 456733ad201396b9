"""Reversals of what was granted: policies, group memberships, and who may assume a role."""

from __future__ import annotations

import json
import re
from typing import TypedDict, TypeVar
from urllib.parse import unquote

from guardduty_response.containment.role_policies import OLDER
from guardduty_response.containment.target_context import ALREADY
from guardduty_response.decision.finding import get
from guardduty_response.playbooks.iam_principal import resource_state, resource_types
from guardduty_response.playbooks.iam_principal.eradicate.changes import Change
from guardduty_response.playbooks.iam_principal.eradicate.eradication_context import (
    EradicationContext,
)
from guardduty_response.playbooks.iam_principal.eradicate.reversal import (
    MANUAL,
    NotReversed,
    Reversal,
)
from guardduty_response.playbooks.iam_principal.records import AwsAnswer, PolicyDocument
from guardduty_response.playbooks.iam_principal.reversal_records import (
    AttachedPolicyRecord,
    InlinePolicyRecord,
    MemberRecord,
    TrustRecord,
)

_POLICY_CALL = re.compile(r"(?:Attach|Put)(User|Role|Group)Policy")


class AttachedState(resource_types.Identity):
    """``attached``: whether the policy is still attached."""

    attached: bool


class InlineState(resource_types.Identity):
    """``document``: the inline policy as it is now, None when it is gone."""

    document: PolicyDocument | None


class MemberState(TypedDict):
    """``arn``: of the group; ``user``: the user's ARN; ``member``: whether it is in the group."""

    arn: str
    user: str
    member: bool


GrantedState = TypeVar("GrantedState", AttachedState, InlineState)


class Granted(Reversal[GrantedState]):
    """A policy of an entity (``user``, ``role`` or ``group``); ``name``: the entity's name."""

    category = "policies"

    def __init__(self, eradication: EradicationContext, change: Change) -> None:
        super().__init__(eradication, change)
        match = _POLICY_CALL.fullmatch(change.name)
        self.entity = match[1].lower() if match else ""
        self.title = self.entity.title()
        self.name = change.request_text(f"{self.entity}Name")

    def _identity(self) -> resource_types.Identity:
        found = (
            resource_state.identity(self.client(), self.entity, self.name) if self.name else None
        )
        if not found:
            raise NotReversed(ALREADY, f"{self.entity} {self.name} no longer exists")
        return found

    def touched_names(self, current: GrantedState) -> list[str]:
        return [current["arn"], self.name]


class Attached(Granted[AttachedState]):
    record_type = "attached"

    def __init__(self, eradication: EradicationContext, change: Change) -> None:
        super().__init__(eradication, change)
        self.policy = change.request_text("policyArn")
        self.done_text = f"policy {self.policy} is not attached to {self.entity} {self.name}"

    def read(self) -> AttachedState:
        if self.policy == self.eradication.deny_all:
            raise NotReversed(
                MANUAL,
                f"AWSDenyAll was attached to {self.entity} {self.name}: detaching it would grant"
                " access, not take it away",
                self.command(
                    f"iam list-attached-{self.entity}-policies --{self.entity}-name", self.name
                ),
            )
        found = self._identity()
        return {
            **found,
            "attached": self.policy
            in (resource_state.attached(self.client(), self.entity, self.name) or []),
        }

    def pending_change(self, current: AttachedState) -> str:
        return (
            f"policy {self.policy} detached from {self.entity} {self.name}"
            if current["attached"]
            else ""
        )

    def before_state(self, current: AttachedState) -> AttachedPolicyRecord:
        return {"of": self.entity, "name": self.name, "arn": current["arn"], "policy": self.policy}

    def undo(self, current: AttachedState) -> list[AwsAnswer]:
        iam = self.changing((f"iam:Detach{self.title}Policy",), current["arn"])
        call = getattr(iam, f"detach_{self.entity}_policy")
        return [call(**{f"{self.title}Name": self.name, "PolicyArn": self.policy})]

    def manual_command(self) -> str:
        return self.command(
            f"iam detach-{self.entity}-policy",
            f"--{self.entity}-name",
            self.name,
            "--policy-arn",
            self.policy,
        )


class Inline(Granted[InlineState]):
    record_type = "inline"

    def __init__(self, eradication: EradicationContext, change: Change) -> None:
        super().__init__(eradication, change)
        self.policy = change.request_text("policyName")
        self.done_text = f"{self.entity} {self.name} has no inline policy {self.policy}"

    def read(self) -> InlineState:
        if self.policy == OLDER or self.policy.startswith(f"{self.target_context.prefix}-"):
            show = self.command(
                f"iam get-{self.entity}-policy",
                f"--{self.entity}-name",
                self.name,
                "--policy-name",
                self.policy,
            )
            raise NotReversed(
                MANUAL,
                f"policy {self.policy} of {self.entity} {self.name} is the denial of its sessions",
                show,
            )
        found = self._identity()
        document = resource_state.inline(self.client(), self.entity, self.name, self.policy)
        put = _document(get(self.change.parameters, "policyDocument"))
        if document is not None and put is not None and document != put:
            raise NotReversed(
                MANUAL,
                f"policy {self.policy} of {self.entity} {self.name} was changed since:"
                " it is left as it is",
            )
        return {**found, "document": document}

    def pending_change(self, current: InlineState) -> str:
        if current["document"] is None:
            return ""
        return (
            f"inline policy {self.policy} of {self.entity} {self.name} recorded, then deleted;"
            " whether it replaced an older policy is not known"
        )

    def before_state(self, current: InlineState) -> InlinePolicyRecord:
        return {
            "of": self.entity,
            "name": self.name,
            "arn": current["arn"],
            "policy": self.policy,
            "document": current["document"],
        }

    def undo(self, current: InlineState) -> list[AwsAnswer]:
        iam = self.changing((f"iam:Delete{self.title}Policy",), current["arn"])
        call = getattr(iam, f"delete_{self.entity}_policy")
        return [call(**{f"{self.title}Name": self.name, "PolicyName": self.policy})]

    def manual_command(self) -> str:
        return self.command(
            f"iam delete-{self.entity}-policy",
            f"--{self.entity}-name",
            self.name,
            "--policy-name",
            self.policy,
        )


def _document(text: object) -> PolicyDocument | None:
    """Parse a policy as CloudTrail shows it: JSON, in older events URL-encoded.

    None where it was truncated or is not a policy.
    """
    if not isinstance(text, str):
        return None
    for candidate in (text, unquote(text)):
        try:
            found = json.loads(candidate)
        except ValueError:
            continue
        if isinstance(found, dict):
            return found
    return None


class Member(Reversal[MemberState]):
    category, record_type = "policies", "member"

    def __init__(self, eradication: EradicationContext, change: Change) -> None:
        super().__init__(eradication, change)
        self.user, self.group = change.request_text("userName"), change.request_text("groupName")
        self.done_text = f"user {self.user} is not in group {self.group}"

    def read(self) -> MemberState:
        iam = self.client()
        group = resource_state.identity(iam, "group", self.group) if self.group else None
        user = resource_state.identity(iam, "user", self.user) if self.user else None
        if not group or not user:
            raise NotReversed(ALREADY, f"user {self.user} or group {self.group} no longer exists")
        return {
            "arn": group["arn"],
            "user": user["arn"],
            "member": self.group in (resource_state.groups(iam, self.user) or []),
        }

    def touched_names(self, current: MemberState) -> list[str]:
        return [current["arn"], current["user"], self.group, self.user]

    def pending_change(self, current: MemberState) -> str:
        return f"user {self.user} taken out of group {self.group}" if current["member"] else ""

    def before_state(self, current: MemberState) -> MemberRecord:
        return {"user": self.user, "group": self.group, "arn": current["arn"]}

    def undo(self, current: MemberState) -> list[AwsAnswer]:
        iam = self.changing(("iam:RemoveUserFromGroup",), current["arn"])
        return [iam.remove_user_from_group(UserName=self.user, GroupName=self.group)]

    def manual_command(self) -> str:
        return self.command(
            "iam remove-user-from-group", "--user-name", self.user, "--group-name", self.group
        )


class Trust(Reversal[resource_types.Identity]):
    """The trust policy gets a denial of principals of other accounts; its other statements stay.

    Only sts:AssumeRole is denied, the call that IAM principals make. Web identities and SAML make
    calls of their own, whose anonymous caller would count as another account's too. Services are
    exempted by aws:PrincipalIsAWSService.
    """

    category, record_type = "trust", "trust"

    def __init__(self, eradication: EradicationContext, change: Change) -> None:
        super().__init__(eradication, change)
        self.role = change.request_text("roleName")
        self.sid = resource_state.outside_sid(self.target_context.prefix)
        self.done_text = f"role {self.role} cannot be assumed from other accounts ({self.sid})"

    def read(self) -> resource_types.Identity:
        found = resource_state.identity(self.client(), "role", self.role) if self.role else None
        if not found:
            raise NotReversed(ALREADY, f"role {self.role} no longer exists")
        document, account = found["trust"] or {}, self.target_context.target.account_id
        if not resource_state.outsiders(document, account) and not resource_state.has_denial(
            document, self.sid
        ):
            raise NotReversed(
                MANUAL,
                f"the trust policy of role {self.role} was changed; as it is now it names this"
                " account alone",
                self.command("iam get-role --role-name", self.role),
            )
        return found

    def touched_names(self, current: resource_types.Identity) -> list[str]:
        return [current["arn"], self.role]

    def pending_change(self, current: resource_types.Identity) -> str:
        if resource_state.has_denial(current["trust"] or {}, self.sid):
            return ""
        account_id = self.target_context.target.account_id
        outsiders = sorted(resource_state.outsiders(current["trust"] or {}, account_id))
        return (
            f"role {self.role} can no longer be assumed from other accounts"
            f" ({', '.join(outsiders)[:120]}): {self.sid}"
            " added to its trust policy; sessions it has issued stay valid"
        )

    def before_state(self, current: resource_types.Identity) -> TrustRecord:
        return {"role": self.role, "arn": current["arn"], "document": current["trust"]}

    def undo(self, current: resource_types.Identity) -> list[AwsAnswer]:
        iam = self.changing(("iam:UpdateAssumeRolePolicy",), current["arn"])
        document = resource_state.with_denial(
            current["trust"] or {}, self.sid, self.target_context.target.account_id
        )
        return [
            iam.update_assume_role_policy(RoleName=self.role, PolicyDocument=json.dumps(document))
        ]

    def manual_command(self) -> str:
        return self.command(
            "iam update-assume-role-policy --policy-document file://trust.json",
            "--role-name",
            self.role,
        )
