"""Which CloudTrail events are a principal's: what is queried, and whether an answer is its own.

LookupEvents' user name is a user's name for a user and the session's name for a role session, so a
query by name also finds the events of others (AWS CloudTrail User Guide, "userIdentity element"):
every record is judged by itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from guardduty_response.containment.target_context import TargetContext
from guardduty_response.decision.finding import get, text
from guardduty_response.playbooks.iam_principal import identify
from guardduty_response.playbooks.iam_principal.identify import Principal

if TYPE_CHECKING:
    from guardduty_response.cloudtrail.event import CloudTrailRecord
    from guardduty_response.playbooks.iam_principal.call_records import IssuedSession
    from guardduty_response.playbooks.iam_principal.records import HandedOut

# The calls that hand out further credentials.
_ISSUING_CALLS = ("AssumeRole", "AssumeRoot", "GetFederationToken")


@dataclass(frozen=True)
class Ownership:
    """Decides which records are the principal's."""

    principal: Principal
    account: str
    partition: str

    @staticmethod
    def of(principal: TargetContext) -> Ownership:
        return Ownership(
            identify.principal_of(principal),
            principal.target.account_id,
            principal.context.config.partition,
        )

    def __str__(self) -> str:
        return f"{self.principal.kind} {self.principal.id}"

    @property
    def follows(self) -> bool:
        """Whether sessions that it assumed count as its own: a user is contained together with
        them, a session alone.
        """
        return self.principal.kind == identify.USER

    @property
    def name(self) -> str:
        """The name that LookupEvents knows as ``Username``; empty where no name identifies it."""
        if self.principal.kind == identify.ROOT:
            return "root"
        if self.principal.kind in (identify.USER, identify.FEDERATED, identify.UNKNOWN):
            return self.principal.user
        return self.principal.session

    def lookup_attributes(self) -> list[tuple[str, str]]:
        """Return (attribute, value) for LookupEvents; none where the finding names neither a key
        nor a name.
        """
        attributes = (("AccessKeyId", self.principal.key), ("Username", self.name))
        return [(attribute, value) for attribute, value in attributes if value]

    def columns(self) -> list[tuple[str, str]]:
        """Return (field of userIdentity, value) for a query over trails."""
        columns = [("accesskeyid", self.principal.key), self._identity_column()]
        return [(field, value) for field, value in columns if value]

    def _identity_column(self) -> tuple[str, str]:
        principal = self.principal
        base = f"arn:{self.partition}:sts::{self.account}"
        if principal.kind in (identify.USER, identify.UNKNOWN):
            return "username", principal.user
        if principal.kind == identify.ROOT:
            return "type", "Root"
        if principal.kind == identify.FEDERATED:
            return "arn", f"{base}:federated-user/{principal.user}"
        if principal.unique_id and principal.session:
            return "principalid", f"{principal.unique_id}:{principal.session}"
        if principal.role and principal.session:
            return "arn", f"{base}:assumed-role/{principal.role}/{principal.session}"
        return "arn", ""

    def made(self, record: CloudTrailRecord, followed: set[str]) -> bool:
        """Tell whether the principal made the call: by its key, a followed key, or its identity."""
        identity = record.get("userIdentity")
        key = get(identity, "accessKeyId")
        if key and (key == self.principal.key or key in followed):
            return True
        return self._is(identity)

    def _is(self, identity: object) -> bool:
        kind = self.principal.kind
        if kind == identify.USER:
            return self._is_user(identity)
        if kind == identify.ROOT:
            return bool(get(identity, "type") == "Root")
        if kind == identify.UNKNOWN:
            user = self.principal.user
            return bool(user) and bool(get(identity, "userName") == user)
        return self._is_session(identity)

    def _is_user(self, identity: object) -> bool:
        """Tell whether it is the user, or a session that the user's own keys created."""
        user = self.principal.user
        issuer = get(identity, "sessionContext", "sessionIssuer")
        federated = get(issuer, "type") == "IAMUser" and get(issuer, "userName") == user
        own = get(identity, "type") == "IAMUser" and get(identity, "userName") == user
        in_account = get(identity, "accountId") in (None, "", self.account)
        return (own or federated) and in_account

    def _is_session(self, identity: object) -> bool:
        unique_id, _, session = str(get(identity, "principalId")).partition(":")
        if not session or session != self.name:
            return False
        if self.principal.kind == identify.FEDERATED:
            return bool(get(identity, "type") == "FederatedUser")
        if self.principal.unique_id:
            return unique_id == self.principal.unique_id
        role = get(
            identity,
            "sessionContext",
            "sessionIssuer",
            "userName",
        )
        return bool(role == self.principal.role)


def issued(record: CloudTrailRecord) -> IssuedSession | None:
    """Return the credentials that a successful call handed out, or None."""
    key = get(
        record,
        "responseElements",
        "credentials",
        "accessKeyId",
    )
    if record.get("eventName") not in _ISSUING_CALLS or not isinstance(key, str):
        return None
    request = record.get("requestParameters")
    federated_user = get(
        record,
        "responseElements",
        "federatedUser",
        "arn",
    )
    role = get(request, "roleArn") or get(request, "targetPrincipal") or federated_user
    parts = text(role, 300).split(":")
    if len(parts) > 5:
        account = parts[4]
    elif parts[0].isdigit():
        account = parts[0]
    else:
        account = str(record.get("recipientAccountId") or "")
    session = get(request, "roleSessionName") or get(request, "name")
    return {
        "key": text(key, 128),
        "role": ":".join(parts),
        "session": text(session, 128),
        "account": account,
        "at": text(record.get("eventTime"), 40),
    }


def handed_out(record: CloudTrailRecord) -> HandedOut | None:
    """Return the temporary key that a successful call handed out, and who asked for it; or None.

    Also one of GetSessionToken, which is the caller's own in another form.
    """
    key = get(
        record,
        "responseElements",
        "credentials",
        "accessKeyId",
    )
    if record.get("eventSource") != "sts.amazonaws.com" or not isinstance(key, str):
        return None
    return {
        "key": text(key, 128),
        "by": text(get(record, "userIdentity", "accessKeyId"), 128),
        "at": text(record.get("eventTime"), 40),
        "origin": text(record.get("sourceIPAddress"), 128),
    }


def session_of(record: CloudTrailRecord) -> str:
    """Return the session's name, or empty for a user's own call."""
    return str(get(record, "userIdentity", "principalId") or "").partition(":")[2]
