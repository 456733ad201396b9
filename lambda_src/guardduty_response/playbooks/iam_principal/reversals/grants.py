"""Reversals of what was granted: policies, group memberships, and who may assume a role."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING
from urllib.parse import unquote

from guardduty_response.containment.aws_call import AwsCall
from guardduty_response.containment.control import Grant, ValueType
from guardduty_response.containment.role_policies import OLDER
from guardduty_response.containment.role_policy_control import ROLES
from guardduty_response.containment.session_policy import compact
from guardduty_response.decision.finding import get
from guardduty_response.playbooks.iam_principal import resource_state
from guardduty_response.playbooks.iam_principal.reversals.changes import Change
from guardduty_response.playbooks.iam_principal.reversals.identities import (
    attachment_call,
    inline_call,
)
from guardduty_response.playbooks.iam_principal.reversals.reversal import (
    GROUPS,
    MANUAL,
    FieldsType,
    NotReversed,
    Reversal,
    ReversalRecord,
    fixed,
    on,
)
from guardduty_response.playbooks.iam_principal.user_action import USERS

if TYPE_CHECKING:
    from guardduty_response.aws.api import PolicyDocument
    from guardduty_response.containment.control import Values

_POLICY_CALL = re.compile(r"(?:Attach|Put)(User|Role|Group)Policy")
ENTITIES = {"User": USERS, "Role": ROLES, "Group": GROUPS}


def each(action: str) -> tuple[Grant, ...]:
    """Returns the grants of an action that users, roles and groups each have one of."""
    return tuple(Grant((action.format(title),), on) for title, on in ENTITIES.items())


class Granted(Reversal[FieldsType, ValueType]):
    """A policy of an entity. The record has ``of`` (``user``, ``role`` or ``group``), ``name`` (the
    entity's) and ``policy``.
    """

    category = "policies"
    parameter = ""  # the name of the policy in the request

    def names(self, change: Change) -> ReversalRecord:
        of, name = _entity(change)
        return {"of": of, "name": name, "policy": change.request_text(self.parameter)}

    @classmethod
    def replaced(cls, change: Change) -> tuple[str, ...]:
        of, name = _entity(change)
        return (f"{of}/{name}",)

    @property
    def subject(self) -> tuple[str, str, str]:
        return self.record["of"], self.record["name"], self.record["policy"]


class Attached(Granted[dict[str, bool], bool]):
    """``policy`` is the ARN of the managed policy. IAM attaches one that is attached already
    without an error.
    """

    what, parameter = "attached", "policyArn"
    undoes = ("iam:AttachUserPolicy", "iam:AttachRolePolicy", "iam:AttachGroupPolicy")
    implied = fixed(attached=True)
    wants = False
    words = ("detached", "attached")
    title = "policy {policy} of {of} {name}"
    done_text = "policy {policy} is not attached to {of} {name}"
    contained_as = "policy {policy} detached from {of} {name}"
    unknown = (
        "not undone: whether it was attached before is not known (AWS Config may have it, of"
        " {item}). Detach it if it was not"
    )
    reads = (*each("iam:Get{}"), *each("iam:ListAttached{}Policies"))
    contains = each("iam:Detach{}Policy")
    restores = each("iam:Attach{}Policy")

    def read(self) -> dict[str, bool]:
        of, name, policy = self.subject
        self.identity(of, name)
        return {"attached": policy in (resource_state.attached(self.client, of, name) or [])}

    def refuse(self) -> None:
        of, name, policy = self.subject
        if policy == self.deny_all:
            text = (
                f"AWSDenyAll was attached to {of} {name}: detaching it would grant access, not take"
                " it away"
            )
            operation, named = f"list_attached_{of}_policies", {f"{of.title()}Name": name}
            raise NotReversed(MANUAL, text, self.shown(operation, **named))

    def call(self, name: str, value: bool) -> AwsCall:
        return attachment_call(*self.subject, value)


class Inline(Granted["dict[str, PolicyDocument | None]", "PolicyDocument | None"]):
    """``policy`` is the name of the inline policy. The record has ``document``, too."""

    what, parameter = "inline", "policyName"
    undoes = ("iam:PutUserPolicy", "iam:PutRolePolicy", "iam:PutGroupPolicy")
    fields = ("document",)
    wants = None
    title = "inline policy {policy} of {of} {name}"
    done_text = "{of} {name} has no inline policy {policy}"
    contained_as = "inline policy {policy} of {of} {name} recorded, then deleted"
    unknown = (
        "not undone: whether it is new or replaced an older policy is not known. Delete it if it is"
        " new; else put the older one back (AWS Config may have it, of {item})"
    )
    reads = (*each("iam:Get{}"), *each("iam:Get{}Policy"))
    contains = each("iam:Delete{}Policy")
    restores = each("iam:Put{}Policy")

    def read(self) -> dict[str, PolicyDocument | None]:
        of, name, policy = self.subject
        self.identity(of, name)
        return {"document": resource_state.inline(self.client, of, name, policy)}

    def refuse(self) -> None:
        of, name, policy = self.subject
        if policy == OLDER or policy.startswith(f"{self.target_context.prefix}-"):
            text = f"policy {policy} of {of} {name} is the denial of its sessions"
            named = {f"{of.title()}Name": name, "PolicyName": policy}
            raise NotReversed(MANUAL, text, self.shown(f"get_{of}_policy", **named))
        document = self.present["document"]
        put = _document(get(self.event.parameters, "policyDocument"))
        if document is not None and put is not None and document != put:
            text = f"policy {policy} of {of} {name} was changed since: it is left as it is"
            raise NotReversed(MANUAL, text)

    def call(self, name: str, value: PolicyDocument | None) -> AwsCall:
        return inline_call(*self.subject, value)


def _entity(change: Change) -> tuple[str, str]:
    """Returns ``user``, ``role`` or ``group`` and the name of it, whose policy the call set."""
    match = _POLICY_CALL.fullmatch(change.name)
    of = match[1].lower() if match else ""
    return of, change.request_text(f"{of}Name")


def _document(text: object) -> PolicyDocument | None:
    """Parses a policy as CloudTrail shows it: JSON, in older events URL-encoded.

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


class Member(Reversal[dict[str, bool], bool]):
    """The record has ``user`` and ``group``; ``arn`` is the group's. IAM adds a user who is in the
    group already without an error.
    """

    category, what = "policies", "member"
    undoes = ("iam:AddUserToGroup",)
    named_by = fixed(user="p.userName", group="p.groupName")
    implied = fixed(member=True)
    wants = False
    title = "user {user} in group {group}"
    done_text = "user {user} is not in group {group}"
    contained_as = "user {user} taken out of group {group}"
    unknown = (
        "not undone: whether the user was in the group before is not known (AWS Config may have it,"
        " of {item}). Take the user out if not"
    )
    reads = (*on(USERS, "iam:GetUser", "iam:ListGroupsForUser"), *on(GROUPS, "iam:GetGroup"))
    contains = on(GROUPS, "iam:RemoveUserFromGroup")
    restores = on(GROUPS, "iam:AddUserToGroup")

    @classmethod
    def replaced(cls, change: Change) -> tuple[str, ...]:
        return (
            f"user/{change.request_text('userName')}",
            f"group/{change.request_text('groupName')}",
        )

    def read(self) -> dict[str, bool]:
        user, group = self.record["user"], self.record["group"]
        user_id = self.identity("user", user)["id"]
        self.identity("group", group)
        self.unique_id = user_id  # AWS Config has the groups with the user
        groups = resource_state.pages(self.client, "list_groups_for_user", "Groups", UserName=user)
        return {"member": group in [entry["GroupName"] for entry in groups]}

    def call(self, name: str, value: bool) -> AwsCall:
        operation = "add_user_to_group" if value else "remove_user_from_group"
        request = {"UserName": self.record["user"], "GroupName": self.record["group"]}
        return AwsCall("iam", operation, request)

    def restored_text(self, name: str, before: bool) -> str:
        return f"{self.named(name)} again"


class Trust(Reversal["dict[str, PolicyDocument]", "PolicyDocument"]):
    """The trust policy gets a denial of principals of other accounts; its other statements stay.
    The record has ``role`` and ``document``.

    Only sts:AssumeRole is denied, the call that IAM principals make. Web identities and SAML make
    calls of their own, whose anonymous caller would count as another account's too. Services are
    exempted by aws:PrincipalIsAWSService.
    """

    category, what = "trust", "trust"
    undoes = ("iam:UpdateAssumeRolePolicy",)
    named_by = fixed(role="p.roleName")
    fields = ("document",)
    title = "trust policy of role {role}"
    then = ": other accounts may assume it again"
    reads = on(ROLES, "iam:GetRole")
    contains = restores = on(ROLES, "iam:UpdateAssumeRolePolicy")

    @classmethod
    def replaced(cls, change: Change) -> tuple[str, ...]:
        return (f"role/{change.request_text('roleName')}",)

    @property
    def sid(self) -> str:
        return resource_state.outside_sid(self.target_context.prefix)

    @property
    def account_id(self) -> str:
        return self.target_context.target.account_id

    @property
    def done_text(self) -> str:  # type: ignore[override]
        return f"role {{role}} cannot be assumed from other accounts ({self.sid})"

    def read(self) -> dict[str, PolicyDocument]:
        return {"document": self.identity("role", self.record["role"])["trust"] or {}}

    def refuse(self) -> None:
        document = self.present["document"]
        outsiders = resource_state.outsiders(document, self.account_id)
        if not outsiders and not resource_state.has_denial(document, self.sid):
            text = self.text(
                "the trust policy of role {role} was changed; as it is now it names this account"
                " alone"
            )
            raise NotReversed(MANUAL, text, self.shown("get_role", RoleName=self.record["role"]))

    def unknown_text(self) -> str:
        return (
            f"not undone: role {self.record['role']} lets in {self._outsiders(100)}; whom it let in"
            f" before is not known (AWS Config may have it, of {self.unique_id})"
        )

    def _outsiders(self, most: int) -> str:
        found = resource_state.outsiders(self.present["document"], self.account_id)
        return ", ".join(sorted(found))[:most]

    def wanted(self, name: str, value: PolicyDocument | None) -> PolicyDocument:
        if value is not None and resource_state.has_denial(value, self.sid):
            return value
        return resource_state.with_denial(value or {}, self.sid, self.account_id)

    def contained_text(self, pending: Values[PolicyDocument]) -> str:
        return (
            f"role {self.record['role']} can no longer be assumed from other accounts"
            f" ({self._outsiders(120)}): {self.sid} added to its trust policy; sessions it has"
            " issued stay valid"
        )

    def call(self, name: str, value: PolicyDocument) -> AwsCall:
        request = {"RoleName": self.record["role"], "PolicyDocument": compact(value)}
        return AwsCall("iam", "update_assume_role_policy", request)

    def instead(self) -> str:
        return self.shown(
            "update_assume_role_policy",
            RoleName=self.record["role"],
            PolicyDocument="file://trust.json",
        )

    def left(self, name: str, before: PolicyDocument, now: PolicyDocument | None) -> bool:
        return now is not None and resource_state.is_denied(now, before, self.sid)
