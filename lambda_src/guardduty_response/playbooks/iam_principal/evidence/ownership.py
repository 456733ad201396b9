"""Which CloudTrail events are a principal's: what is asked for, and whether an answer is its own.

LookupEvents' user name is a user's name for a user and the session's name for a role session, so a
question by name also finds the events of others (AWS CloudTrail User Guide, "userIdentity
element"): every record is judged by itself.
"""

from __future__ import annotations

from dataclasses import dataclass

from guardduty_response.containment.target_context import TargetContext
from guardduty_response.decision.finding import get, text
from guardduty_response.evidence.items import Json
from guardduty_response.playbooks.iam_principal import identify
from guardduty_response.playbooks.iam_principal.identify import Principal

# calls that hand out further credentials
_ISSUING = ("AssumeRole", "AssumeRoot", "GetFederationToken")


@dataclass(frozen=True)
class Whose:
    principal: Principal
    account: str
    partition: str

    @staticmethod
    def of(principal: TargetContext) -> Whose:
        return Whose(
            identify.principal_of(principal),
            principal.target.account_id,
            principal.context.config.partition,
        )

    def __str__(self) -> str:
        return f"{self.principal.kind} {self.principal.id}"

    @property
    def follows(self) -> bool:
        """Whether sessions that it assumed count as its own: a user is contained with them, a
        session alone.
        """
        return self.principal.kind == identify.USER

    @property
    def name(self) -> str:
        """As LookupEvents' ``Username`` knows it; empty where no name tells it from others."""
        one = self.principal
        if one.kind == identify.ROOT:
            return "root"
        return (
            one.user
            if one.kind in (identify.USER, identify.FEDERATED, identify.UNKNOWN)
            else one.session
        )

    def questions(self) -> list[tuple[str, str]]:
        """(attribute, value) for LookupEvents; none where the finding names neither a key nor a
        name.
        """
        asked = (("AccessKeyId", self.principal.key), ("Username", self.name))
        return [(attribute, value) for attribute, value in asked if value]

    def columns(self) -> list[tuple[str, str]]:
        """(field of userIdentity, value) for a query over trails."""
        one, base = self.principal, f"arn:{self.partition}:sts::{self.account}"
        found = [("accesskeyid", one.key)]
        if one.kind == identify.USER:
            found.append(("username", one.user))
        elif one.kind == identify.ROOT:
            found.append(("type", "Root"))
        elif one.kind == identify.FEDERATED:
            found.append(("arn", f"{base}:federated-user/{one.user}"))
        elif one.kind == identify.UNKNOWN:
            found.append(("username", one.user))
        elif one.unique_id and one.session:
            found.append(("principalid", f"{one.unique_id}:{one.session}"))
        elif one.role and one.session:
            found.append(("arn", f"{base}:assumed-role/{one.role}/{one.session}"))
        return [(field, value) for field, value in found if value]

    def made(self, record: Json, followed: set[str]) -> bool:
        """Whether the principal made the call: by its key, a followed key, or its identity."""
        who, one = record.get("userIdentity"), self.principal
        key = get(who, "accessKeyId")
        return bool(key and (key == one.key or key in followed)) or self._is(who)

    def _is(self, who: object) -> bool:
        one, kind, name = self.principal, get(who, "type"), get(who, "userName")
        issuer, (unique_id, _, session) = (
            get(who, "sessionContext", "sessionIssuer"),
            str(get(who, "principalId")).partition(":"),
        )
        if one.kind == identify.USER:
            federated = get(issuer, "type") == "IAMUser" and get(issuer, "userName") == one.user
            own = (kind == "IAMUser" and name == one.user) or federated
            return own and get(who, "accountId") in (None, "", self.account)
        if one.kind in (identify.ROOT, identify.UNKNOWN):
            return bool(
                kind == "Root" if one.kind == identify.ROOT else one.user and name == one.user
            )
        if not session or session != self.name:
            return False
        if one.kind == identify.FEDERATED:
            return bool(kind == "FederatedUser")
        return bool(
            unique_id == one.unique_id if one.unique_id else get(issuer, "userName") == one.role
        )


def issued(record: Json) -> Json | None:
    """{key, role, session, account, at} of credentials that a successful call handed out, or
    None.
    """
    key = get(record, "responseElements", "credentials", "accessKeyId")
    if record.get("eventName") not in _ISSUING or not isinstance(key, str):
        return None
    asked = record.get("requestParameters")
    role = (
        get(asked, "roleArn")
        or get(asked, "targetPrincipal")
        or get(record, "responseElements", "federatedUser", "arn")
    )
    parts = text(role, 300).split(":")
    account = (
        parts[4]
        if len(parts) > 5
        else parts[0]
        if parts[0].isdigit()
        else str(record.get("recipientAccountId") or "")
    )
    session = get(asked, "roleSessionName") or get(asked, "name")
    return {
        "key": text(key, 128),
        "role": ":".join(parts),
        "session": text(session, 128),
        "account": account,
        "at": text(record.get("eventTime"), 40),
    }


def session_of(record: Json) -> str:
    """The session's name, or empty for a user's own call."""
    return str(get(record, "userIdentity", "principalId") or "").partition(":")[2]
