"""Whose credential a finding is about, by what the finding says (AWS CloudTrail User Guide,
"userIdentity element").

``userType`` alone deceives: AWS's own samples call stolen role credentials IAMUser, and
``userName`` is the role's name for a role session. The unique id says what a principal is, so its
prefix is asked first (AIDA: user, AROA: role, followed by ``:session``). What IAM then says of the
name is checked by ``playbook.plan``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from guardduty_response.containment.target_context import TargetContext
from guardduty_response.decision.finding import Finding, get, text

USER, SESSION = "iam_user", "role_session"  # what IAM can contain
# What it cannot, in this account or at all. ``out_of_reach`` says what a person does instead;
# package ``identity_center`` contains in the Identity Center account, where that is configured.
ROOT, IDENTITY_CENTER, SERVICE_LINKED = "root", "identity_center", "service_linked_role"
FEDERATED, FOREIGN, UNKNOWN = "federated_user", "foreign_principal", "unknown_principal"
INSTANCE = re.compile(r"i-(?:[0-9a-f]{8}|[0-9a-f]{17})")


@dataclass(frozen=True)
class Principal:
    """``kind``: one of the names above. Empty: ``user``, ``role``, ``session`` where there is none,
    ``key`` and ``unique_id`` (AIDA…, AROA…, without a session) where the finding names none.
    """

    kind: str
    user: str = ""
    role: str = ""
    session: str = ""
    key: str = ""
    unique_id: str = ""

    @property
    def id(self) -> str:
        """What people call it: the target's id."""
        if self.kind in (SESSION, IDENTITY_CENTER):
            return f"{self.role}/{self.session or '*'}"
        return ROOT if self.kind == ROOT else self.user or self.role or self.key or self.kind

    @property
    def instance(self) -> str:
        """The EC2 instance whose credentials these are, or empty: EC2 names the sessions of a
        role by instance.
        """
        return self.session if INSTANCE.fullmatch(self.session) else ""


def principal_in(finding: Finding) -> Principal:
    """The principal of ``resource.accessKeyDetails``; kind UNKNOWN when it names none that can
    be told.
    """
    details = get(finding.detail, "resource", "accessKeyDetails")
    kind, name, key = (
        text(get(details, field), 200) for field in ("userType", "userName", "accessKeyId")
    )
    unique_id, _, session = text(get(details, "principalId"), 200).partition(":")
    if unique_id.startswith("AROA") or (
        kind in ("AssumedRole", "Role") and not unique_id.startswith("AIDA")
    ):
        # Anybody may name a role AWSReservedSSO_… or AWSServiceRoleFor…: IAM tells whose it is, by
        # its path (playbook.plan).
        return Principal(
            SESSION if name else UNKNOWN, role=name, session=session, key=key, unique_id=unique_id
        )
    if kind == "Root" or (unique_id == finding.account_id and not session):
        return Principal(ROOT, key=key)
    if kind == "FederatedUser":
        return Principal(FEDERATED, user=session or name, key=key)
    user = unique_id.startswith("AIDA")
    if kind in ("AWSAccount", "AWSService") or (re.fullmatch("[0-9]{12}", name) and not user):
        return Principal(FOREIGN, user=name or unique_id, key=key)
    if user or kind == "IAMUser":
        return Principal(USER, user=name, key=key, unique_id=unique_id if user else "")
    return Principal(UNKNOWN, user=name, key=key, unique_id=unique_id)


def principal_of(principal: TargetContext) -> Principal:
    """The principal that a target stands for: a federated user's target is the IAM user behind it.

    A restore has the record alone, no finding.
    """
    found, target = (
        principal_in(principal.context.finding)
        if principal.context.finding
        else Principal(UNKNOWN),
        principal.target,
    )
    if target.kind == USER:
        unique_id = found.unique_id if found.kind == USER else ""
        return Principal(USER, user=target.id, key=found.key, unique_id=unique_id)
    if target.kind in (SESSION, IDENTITY_CENTER):
        role, _, session = target.id.partition("/")
        return Principal(
            target.kind,
            role=role,
            session=session.replace("*", ""),
            key=found.key,
            unique_id=found.unique_id,
        )
    return replace(
        found, kind=target.kind, user=target.id if target.kind == FOREIGN else found.user
    )
