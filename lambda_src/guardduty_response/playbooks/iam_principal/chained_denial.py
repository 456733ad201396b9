"""The denial of sessions that a principal held in another role, as a control of that role."""

from __future__ import annotations

from typing import TYPE_CHECKING

from guardduty_response.containment.control import Grant
from guardduty_response.containment.role_policy_control import ROLES, RolePolicies
from guardduty_response.containment.target_context import Sessions, allow
from guardduty_response.playbooks.iam_principal.principal_context import (
    PrincipalContext,
    PrincipalState,
)

if TYPE_CHECKING:
    from guardduty_response.aws.api import PolicyDocument
    from guardduty_response.containment.control import Values
    from guardduty_response.containment.session_denials import SessionDenial
    from guardduty_response.playbooks.iam_principal.records import DeniedSessionsBefore

NAME = "held_sessions"


class ChainedDenial(RolePolicies[PrincipalContext, PrincipalState, "DeniedSessionsBefore"]):
    """The policy on another role that denies sessions which the principal held there.

    ``wanted_denial``: what containment denies now; without it, what it has denied counts.
    """

    name = NAME
    part = "held"
    reads = (Grant(("iam:GetRolePolicy",), ROLES),)
    contains = (Grant(("iam:PutRolePolicy",), ROLES),)
    wanted_denial: SessionDenial | None = None

    def __init__(self, principal: PrincipalContext, item: str) -> None:
        before: DeniedSessionsBefore = principal.before_states[item]
        self.item, self.role, self.written = item, before["role"], before["policy"]
        sessions = Sessions(principal, [allow(("iam:GetRolePolicy",), self.role)], {})
        super().__init__(principal, sessions, PrincipalState())

    @property
    def arn(self) -> str:
        return self.role

    @property
    def policy(self) -> str:
        return self.written

    def denial(self) -> SessionDenial:
        if self.wanted_denial:
            return self.wanted_denial
        denied = (self.target_context.evidence_state(NAME).get("roles") or {}).get(self.role)
        return {"userids": denied["userids"], "before": denied["before"]} if denied else {}

    def step_key(self, name: str) -> str:
        return f"{self.item} {name}"

    def step_state(self, name: str, found: PolicyDocument | None) -> DeniedSessionsBefore:
        return {"role": self.role, "policy": name, "document": found}

    def read(self) -> DeniedSessionsBefore:
        document = self.read_policy(self.policy)
        return {"role": self.role, "policy": self.policy, "document": document}

    def values(self, stored: DeniedSessionsBefore | None) -> Values[PolicyDocument | None]:
        return {stored["policy"]: stored["document"]} if stored else {}
