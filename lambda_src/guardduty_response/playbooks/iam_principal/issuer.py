"""Finds who got the session that a finding names, by the AssumeRole event that issued its key.

The denial of a session ends with what was issued until then. Whoever got it can get another one,
under another name too: while that is not contained itself, the session's containment is PARTIAL.
"""

from __future__ import annotations

import shlex
from datetime import timedelta
from typing import TYPE_CHECKING, cast

from guardduty_response.cloudtrail import query, regions
from guardduty_response.cloudtrail.session_search import ASSUME_ROLE
from guardduty_response.containment.contract import Check
from guardduty_response.containment.session_denials import (
    deny_sessions,
    now_rounded_up,
    policy_name,
)
from guardduty_response.containment.session_holder import HOURS
from guardduty_response.containment.session_policy import compact
from guardduty_response.containment.target_context import (
    FAILED,
    SKIPPED,
    describe_error,
    name_of,
)
from guardduty_response.decision.finding import get, text
from guardduty_response.incident.statuses import Status
from guardduty_response.playbooks.iam_principal import identify
from guardduty_response.playbooks.iam_principal.principal_context import PrincipalContext

if TYPE_CHECKING:
    from guardduty_response.cloudtrail.event import CloudTrailRecord
    from guardduty_response.incident.model import EvidenceEntry, StoredState
    from guardduty_response.playbooks.iam_principal.records import SessionIssuer

NAME = "issued_by"
ISSUING = ("AssumeRole", "AssumeRoleWithSAML", "AssumeRoleWithWebIdentity")


def find(principal: PrincipalContext, whole: bool = False) -> None:
    """Looks up who got the session, and logs and records it. ``whole``: reads all AssumeRole
    events where CloudTrail finds none by the session, which takes long.
    """
    known = [recorded["issued"] for recorded in _recorded(principal)]
    if principal.identity.key in known or not _is_asked(principal):
        return
    try:
        issuer, troubles = _look_up(principal, whole)
    except Exception as error:  # the denial stands without it
        issuer, troubles = None, {principal.target.region: describe_error(error)}
    if issuer:
        if issuer not in _recorded(principal):
            _record(principal, issuer)
        return
    status, sentence = SKIPPED, "CloudTrail does not show by now who got the session"
    if troubles:
        status = FAILED
        commands = [_lookup_command(principal, name) for name in list(troubles)[:3]]
        reasons = "; ".join(f"{name}: {why}" for name, why in troubles.items())
        sentence = f"who got the session is not known ({reasons}). By hand: {'; '.join(commands)}"
    principal.log_action(NAME, status, sentence[:1000])


def checks(principal: PrincipalContext) -> list[Check]:
    """Returns the check that whoever got the session is contained too; none where nobody is known,
    or it is an AWS service, whose workload has the session.
    """
    by_arn = {
        issuer["arn"]: issuer for issuer in _recorded(principal) if issuer["kind"] != "AWSService"
    }
    if not by_arn:
        return []
    free = [
        _sentence(principal, by_arn[arn]) for arn in by_arn if not _is_contained(principal, arn)
    ]
    if free:
        return [Check(NAME, False, "; ".join(free))]
    return [Check(NAME, True, f"{', '.join(by_arn)}, who got the session, is contained")]


def _is_contained(principal: PrincipalContext, arn: str) -> bool:
    """PARTIAL counts: everything is denied to it."""
    state = principal.context.record.containments.present(arn).state
    return state is not None and state["status"] in (Status.CONTAINED, Status.PARTIAL)


def _recorded(principal: PrincipalContext) -> list[SessionIssuer]:
    return list(principal.evidence_state(NAME).get("issuers") or [])


def _is_asked(principal: PrincipalContext) -> bool:
    """An instance's session is got by EC2 for it, and the instance is handed over."""
    identity = principal.identity
    is_session = principal.target.kind == identify.SESSION and not identity.instance
    named = bool(identity.session or identity.key)
    return is_session and named and bool(principal.options["user_role_sessions"])


def _look_up(
    principal: PrincipalContext, whole: bool
) -> tuple[SessionIssuer | None, dict[str, str]]:
    """Returns who got the session, and by Region why it may be another one."""
    session = regions.lookup_session(principal)
    names, _ = regions.enabled(principal, session)
    start = principal.since - timedelta(hours=HOURS)
    attributes = [
        ("ResourceName", value) for value in (_key(principal), _userid(principal)) if value
    ]
    records, troubles = regions.look_up(session, names, attributes, start)
    issuer = _issuer(principal, records)
    if whole and (issuer is None or issuer["issued"] != principal.identity.key):
        records, _ = regions.look_up(session, names, [ASSUME_ROLE], start)
        issuer = _issuer(principal, records) or issuer
    return issuer, troubles


def _key(principal: PrincipalContext) -> str:
    key = principal.identity.key
    return key if key.startswith("ASIA") else ""


def _userid(principal: PrincipalContext) -> str:
    session, unique_id = principal.identity.session, principal.unique_id
    return f"{unique_id}:{session}" if session and unique_id else ""


def _issuer(principal: PrincipalContext, records: list[CloudTrailRecord]) -> SessionIssuer | None:
    """Returns who got the finding's key, else who got a session of its name last. A session that
    got itself anew is denied itself.
    """
    own = _userid(principal)
    issued = [
        record
        for record in records
        if record.get("eventName") in ISSUING
        and not record.get("errorCode")
        and (not own or get(record.get("userIdentity"), "principalId") != own)
    ]
    issued.sort(key=lambda record: str(record.get("eventTime")), reverse=True)
    for field, wanted in (
        (("credentials", "accessKeyId"), _key(principal)),
        (("assumedRoleUser", "assumedRoleId"), _userid(principal)),
    ):
        for record in issued:
            if wanted and get(record.get("responseElements"), *field) == wanted:
                return _described(record)
    return None


def _described(record: CloudTrailRecord) -> SessionIssuer:
    caller = record.get("userIdentity")
    kind = text(get(caller, "type"), 40)
    name = get(caller, "invokedBy") or get(caller, "userName") or get(caller, "principalId")
    return {
        "issued": text(get(record.get("responseElements"), "credentials", "accessKeyId"), 40),
        "kind": kind,
        "name": text(name, 200),
        "arn": text(get(caller, "arn"), 400) or text(name, 200) or kind,
        "unique_id": text(get(caller, "principalId"), 200),
        "role": text(get(caller, "sessionContext", "sessionIssuer", "arn"), 300),
        "account": text(get(caller, "accountId"), 12),
        "key": text(get(caller, "accessKeyId"), 40),
        "source": text(record.get("sourceIPAddress"), 100),
        "at": text(record.get("eventTime"), 40),
        "event": text(record.get("eventID"), 60),
        "region": text(record.get("awsRegion"), 40),
    }


def _record(principal: PrincipalContext, issuer: SessionIssuer) -> None:
    sentence = _sentence(principal, issuer)
    is_service = issuer["kind"] == "AWSService"
    entry: EvidenceEntry = {
        "outcome": "COMPLETE",
        "detail": sentence,
        "objects": [],
        "task": "",
        "state": cast("StoredState", {"issuers": [*_recorded(principal), issuer]}),
        "at": now_rounded_up(),
    }
    principal.record_evidence(NAME, entry)
    principal.stored["evidence"] = {**(principal.stored.get("evidence") or {}), NAME: entry}
    principal.log_action(NAME, SKIPPED if is_service else FAILED, sentence)
    if not is_service:
        context = principal.context
        context.record.event(context.incident_id, "session issued to", sentence, principal.id)


def _sentence(principal: PrincipalContext, issuer: SessionIssuer) -> str:
    identity = principal.identity
    got = (
        f"session {identity.session or identity.key} of role {identity.role} was got by"
        f" {issuer['kind']} {issuer['arn']} at {issuer['at']} from {issuer['source']} (CloudTrail"
        f" event {issuer['event']}, {issuer['region']})"
    )
    if issuer["kind"] == "AWSService":
        return f"{got}, for a workload of the role"
    key = f" with access key {issuer['key']}" if issuer["key"] else ""
    return (
        f"{got}{key}, and can get another one under any name. If that was not its owner, contain"
        f" it: {_manual_command(principal, issuer)}"
    )


def _manual_command(principal: PrincipalContext, issuer: SessionIssuer) -> str:
    """Returns what a person does about who got the session."""
    role = principal.identity.role
    if issuer["account"] not in ("", principal.target.account_id):
        return f"it is of account {issuer['account']}: take it out of the trust policy of {role}"
    if issuer["kind"] == "IAMUser":
        user = shlex.quote(issuer["name"])
        return f"aws iam attach-user-policy --user-name {user} --policy-arn {principal.deny_all}"
    if issuer["kind"] == "AssumedRole":
        denial = deny_sessions([issuer["unique_id"]], now_rounded_up())
        document = shlex.quote(compact(denial))
        policy = policy_name(principal.prefix, f"{principal.id} {issuer['role']}")
        return (
            f"aws iam put-role-policy --role-name {shlex.quote(name_of(issuer['role']))}"
            f" --policy-name {policy} --policy-document {document}"
        )
    return f"take it out of the trust policy of {role}, or end it at its identity provider"


def _lookup_command(principal: PrincipalContext, region: str) -> str:
    value = _key(principal) or _userid(principal)
    return query.lookup_command(("ResourceName", value), region)
