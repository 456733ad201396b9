"""Reverts of what was granted: policies, group memberships, and who may assume a role."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import unquote

from guardduty_response.containment.role_policies import OLDER
from guardduty_response.containment.target_context import ALREADY, Json
from guardduty_response.decision.finding import get
from guardduty_response.playbooks.iam_principal import resource_state
from guardduty_response.playbooks.iam_principal.eradicate.changes import Change
from guardduty_response.playbooks.iam_principal.eradicate.reversal import (
    MANUAL,
    Job,
    Revert,
    Settled,
)

OF = re.compile(r"(?:Attach|Put)(User|Role|Group)Policy")


class Granted(Revert):
    """A policy of a user, role or group: ``of`` is which, ``name`` its name."""

    kind = "policies"

    def __init__(self, job: Job, change: Change) -> None:
        super().__init__(job, change)
        found = OF.fullmatch(change.name)
        self.of = found[1].lower() if found else ""
        self.title = self.of.title()
        self.name = change.asked(f"{self.of}Name")

    def _found(self) -> Json:
        found = resource_state.identity(self.client(), self.of, self.name) if self.name else None
        if not found:
            raise Settled(ALREADY, f"{self.of} {self.name} is gone")
        return found

    def names(self, now: Any) -> list[str]:
        return [now["arn"], self.name]


class Attached(Granted):
    what = "attached"

    def __init__(self, job: Job, change: Change) -> None:
        super().__init__(job, change)
        self.policy = change.asked("policyArn")
        self.good = f"policy {self.policy} is not attached to {self.of} {self.name}"

    def read(self) -> Any:
        if self.policy == self.job.deny_all:
            raise Settled(
                MANUAL,
                f"AWSDenyAll was attached to {self.of} {self.name}: taking it away would open, not"
                " close",
                self.command(f"iam list-attached-{self.of}-policies --{self.of}-name", self.name),
            )
        found = self._found()
        return {
            **found,
            "attached": self.policy
            in (resource_state.attached(self.client(), self.of, self.name) or []),
        }

    def todo(self, now: Any) -> str:
        return (
            f"policy {self.policy} detached from {self.of} {self.name}" if now["attached"] else ""
        )

    def before(self, now: Any) -> Json:
        return {"of": self.of, "name": self.name, "arn": now["arn"], "policy": self.policy}

    def undo(self, now: Any) -> list[Json]:
        iam = self.changing((f"iam:Detach{self.title}Policy",), now["arn"])
        call = getattr(iam, f"detach_{self.of}_policy")
        return [call(**{f"{self.title}Name": self.name, "PolicyArn": self.policy})]

    def by_hand(self) -> str:
        return self.command(
            f"iam detach-{self.of}-policy",
            f"--{self.of}-name",
            self.name,
            "--policy-arn",
            self.policy,
        )


class Inline(Granted):
    what = "inline"

    def __init__(self, job: Job, change: Change) -> None:
        super().__init__(job, change)
        self.policy = change.asked("policyName")
        self.good = f"{self.of} {self.name} has no inline policy {self.policy}"

    def read(self) -> Any:
        if self.policy == OLDER or self.policy.startswith(f"{self.target_context.prefix}-"):
            look = self.command(
                f"iam get-{self.of}-policy",
                f"--{self.of}-name",
                self.name,
                "--policy-name",
                self.policy,
            )
            raise Settled(
                MANUAL,
                f"policy {self.policy} of {self.of} {self.name} is what denies its sessions",
                look,
            )
        found = self._found()
        document = resource_state.inline(self.client(), self.of, self.name, self.policy)
        put = _document(get(self.change.parameters, "policyDocument"))
        if document is not None and put is not None and document != put:
            raise Settled(
                MANUAL,
                f"policy {self.policy} of {self.of} {self.name} is not what was put: changed since,"
                " left as it is",
            )
        return {**found, "document": document}

    def todo(self, now: Any) -> str:
        if now["document"] is None:
            return ""
        return (
            f"inline policy {self.policy} of {self.of} {self.name} recorded, then deleted; whether"
            " it took an older one's place is not known"
        )

    def before(self, now: Any) -> Json:
        return {
            "of": self.of,
            "name": self.name,
            "arn": now["arn"],
            "policy": self.policy,
            "document": now["document"],
        }

    def undo(self, now: Any) -> list[Json]:
        iam = self.changing((f"iam:Delete{self.title}Policy",), now["arn"])
        call = getattr(iam, f"delete_{self.of}_policy")
        return [call(**{f"{self.title}Name": self.name, "PolicyName": self.policy})]

    def by_hand(self) -> str:
        return self.command(
            f"iam delete-{self.of}-policy",
            f"--{self.of}-name",
            self.name,
            "--policy-name",
            self.policy,
        )


def _document(text: Any) -> Json | None:
    """A policy as CloudTrail shows it: JSON, in older events URL-encoded; None where it was cut
    or is none.
    """
    for one in (text, unquote(text)) if isinstance(text, str) else ():
        try:
            found = json.loads(one)
        except ValueError:
            continue
        if isinstance(found, dict):
            return found
    return None


class Member(Revert):
    kind, what = "policies", "member"

    def __init__(self, job: Job, change: Change) -> None:
        super().__init__(job, change)
        self.user, self.group = change.asked("userName"), change.asked("groupName")
        self.good = f"user {self.user} is not in group {self.group}"

    def read(self) -> Any:
        iam = self.client()
        group = resource_state.identity(iam, "group", self.group) if self.group else None
        user = resource_state.identity(iam, "user", self.user) if self.user else None
        if not group or not user:
            raise Settled(ALREADY, f"user {self.user} or group {self.group} is gone")
        return {
            "arn": group["arn"],
            "user": user["arn"],
            "member": self.group in (resource_state.groups(iam, self.user) or []),
        }

    def names(self, now: Any) -> list[str]:
        return [now["arn"], now["user"], self.group, self.user]

    def todo(self, now: Any) -> str:
        return f"user {self.user} taken out of group {self.group}" if now["member"] else ""

    def before(self, now: Any) -> Json:
        return {"user": self.user, "group": self.group, "arn": now["arn"]}

    def undo(self, now: Any) -> list[Json]:
        iam = self.changing(("iam:RemoveUserFromGroup",), now["arn"])
        return [iam.remove_user_from_group(UserName=self.user, GroupName=self.group)]

    def by_hand(self) -> str:
        return self.command(
            "iam remove-user-from-group", "--user-name", self.user, "--group-name", self.group
        )


class Trust(Revert):
    """The trust policy gets a denial of principals of other accounts; the rest of it stays as it
    is.

    Only sts:AssumeRole is denied: it is the one call that IAM principals make, while web identities
    and SAML make their own (whose caller is anonymous, and would be of another account too).
    Services are left out by aws:PrincipalIsAWSService.
    """

    kind, what = "trust", "trust"

    def __init__(self, job: Job, change: Change) -> None:
        super().__init__(job, change)
        self.role = change.asked("roleName")
        self.sid = resource_state.outside_sid(self.target_context.prefix)
        self.good = f"role {self.role} cannot be assumed from other accounts ({self.sid})"

    def read(self) -> Any:
        found = resource_state.identity(self.client(), "role", self.role) if self.role else None
        if not found:
            raise Settled(ALREADY, f"role {self.role} is gone")
        document, account = found["trust"] or {}, self.target_context.target.account_id
        if not resource_state.outsiders(document, account) and not resource_state.has_denial(
            document, self.sid
        ):
            raise Settled(
                MANUAL,
                f"the trust policy of role {self.role} was changed; as it is now it names this"
                " account alone",
                self.command("iam get-role --role-name", self.role),
            )
        return found

    def names(self, now: Any) -> list[str]:
        return [now["arn"], self.role]

    def todo(self, now: Any) -> str:
        if resource_state.has_denial(now["trust"], self.sid):
            return ""
        who = ", ".join(
            sorted(resource_state.outsiders(now["trust"], self.target_context.target.account_id))
        )[:120]
        return (
            f"role {self.role} can no longer be assumed from other accounts ({who}): {self.sid}"
            " added to its trust policy; sessions it has issued live on"
        )

    def before(self, now: Any) -> Json:
        return {"role": self.role, "arn": now["arn"], "document": now["trust"]}

    def undo(self, now: Any) -> list[Json]:
        iam = self.changing(("iam:UpdateAssumeRolePolicy",), now["arn"])
        document = resource_state.with_denial(
            now["trust"], self.sid, self.target_context.target.account_id
        )
        return [
            iam.update_assume_role_policy(RoleName=self.role, PolicyDocument=json.dumps(document))
        ]

    def by_hand(self) -> str:
        return self.command(
            "iam update-assume-role-policy --policy-document file://trust.json",
            "--role-name",
            self.role,
        )
