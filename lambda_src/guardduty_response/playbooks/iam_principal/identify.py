"""Reads from a finding whose credential it is about (AWS CloudTrail User Guide, "userIdentity
element").

``userType`` alone deceives: AWS's own samples call stolen role credentials IAMUser, and
``userName`` is the role's name for a role session. The prefix of the unique ID says what a
principal is, and comes first (AIDA: user, AROA: role, followed by ``:session``). ``plan`` compares
it with what IAM says of the name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from guardduty_response.containment.target_context import TargetContext
from guardduty_response.decision.finding import Finding, get, text

# What IAM can contain.
USER = "iam_user"
SESSION = "role_session"
# What IAM cannot contain, in this account or at all. ``not_containable`` says what a person does
# instead; the package ``identity_center`` contains in the Identity Center account, where that is
# configured.
ROOT = "root"
IDENTITY_CENTER = "identity_center"
SERVICE_LINKED = "service_linked_role"
FEDERATED = "federated_user"
EXTERNAL = "foreign_principal"
UNKNOWN = "unknown_principal"
INSTANCE = re.compile(r"i-(?:[0-9a-f]{8}|[0-9a-f]{17})")


@dataclass(frozen=True)
class Principal:
    """Whose credential was used. ``kind`` is a name above. ``user``, ``role`` and ``session`` are
    empty where there is none, ``key`` and ``unique_id`` where the finding names none. The
    ``unique_id`` (AIDA…, AROA…) comes without the session.
    """

    kind: str
    user: str = ""
    role: str = ""
    session: str = ""
    key: str = ""
    unique_id: str = ""

    @property
    def id(self) -> str:
        """The name for people, which is the target's ID."""
        if self.kind in (SESSION, IDENTITY_CENTER):
            return f"{self.role}/{self.session or '*'}"
        return ROOT if self.kind == ROOT else self.user or self.role or self.key or self.kind

    @property
    def instance(self) -> str:
        """The EC2 instance that the session is named after, or empty. EC2 names the sessions of a
        role by instance ID; so may whoever calls AssumeRole (AWS STS API Reference,
        RoleSessionName), so the name alone shows nothing: ``hand_over.origin`` looks further.
        """
        return self.session if INSTANCE.fullmatch(self.session) else ""


def principal_in(finding: Finding) -> Principal:
    """Returns the principal in ``resource.accessKeyDetails``, of kind UNKNOWN when the finding
    does not say whose credential it is.
    """
    details = get(finding.detail, "resource", "accessKeyDetails")
    kind, name, key = (
        text(get(details, field), 200) for field in ("userType", "userName", "accessKeyId")
    )
    unique_id, _, session = text(get(details, "principalId"), 200).partition(":")
    if unique_id.startswith("AROA") or (
        kind in ("AssumedRole", "Role") and not unique_id.startswith("AIDA")
    ):
        # Anybody may name a role AWSReservedSSO_… or AWSServiceRoleFor…: its path in IAM says
        # whose it is (plan_role_session).
        return Principal(
            SESSION if name else UNKNOWN, role=name, session=session, key=key, unique_id=unique_id
        )
    if kind == "Root" or (unique_id == finding.account_id and not session):
        return Principal(ROOT, key=key)
    if kind == "FederatedUser":
        return Principal(FEDERATED, user=session or name, key=key)
    user = unique_id.startswith("AIDA")
    if kind in ("AWSAccount", "AWSService") or (re.fullmatch("[0-9]{12}", name) and not user):
        return Principal(EXTERNAL, user=name or unique_id, key=key)
    if user or kind == "IAMUser":
        return Principal(USER, user=name, key=key, unique_id=unique_id if user else "")
    return Principal(UNKNOWN, user=name, key=key, unique_id=unique_id)


def principal_of(principal: TargetContext) -> Principal:
    """Returns the principal that a target stands for; a federated user's target is the IAM user
    behind it. A restore has the record alone, and no finding.
    """
    target = principal.target
    finding = principal.context.finding
    found = principal_in(finding) if finding else Principal(UNKNOWN)
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
    user = target.id if target.kind == EXTERNAL else found.user
    return replace(found, kind=target.kind, user=user)
