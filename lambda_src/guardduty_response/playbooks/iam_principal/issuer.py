"""Finds who got the session that a finding names, by the AssumeRole event that issued its key.

The denial of a session ends with what was issued until then. Whoever got it can get another one,
under another name too: while that is not contained itself, or not known because CloudTrail could
not be read to its end, the session's containment is PARTIAL.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple, cast

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
    DONE,
    FAILED,
    SKIPPED,
    describe_error,
    name_of,
)
from guardduty_response.decision.finding import get, text
from guardduty_response.incident.statuses import Status
from guardduty_response.playbooks.iam_principal import hand_over, identify
from guardduty_response.playbooks.iam_principal.principal_context import PrincipalContext

if TYPE_CHECKING:
    from guardduty_response.cloudtrail.event import CloudTrailRecord
    from guardduty_response.incident.model import EvidenceEntry, StoredState
    from guardduty_response.playbooks.iam_principal.records import (
        IssuerSearch,
        SessionIssuer,
    )

NAME = "issued_by"
SERVICE, EC2 = "AWSService", "ec2.amazonaws.com"
ISSUING = ("AssumeRole", "AssumeRoleWithSAML", "AssumeRoleWithWebIdentity")


class _Found(NamedTuple):
    """Who got the session, if CloudTrail shows it; the rest as in ``IssuerSearch``."""

    issuer: SessionIssuer | None
    unsearched: list[str]
    whole: bool = False


def find(principal: PrincipalContext, whole: bool = False) -> None:
    """Looks up who got the session, and logs and records it. ``whole``: reads all AssumeRole
    events where CloudTrail finds none by the session, which takes long.
    """
    known = [recorded["issued"] for recorded in _recorded(principal)]
    if principal.identity.key in known or not _is_asked(principal):
        return
    found = _search(principal, whole, regions.LOOKUP_SECONDS)
    _keep(principal, found)
    _log(principal, found)


def search_again(principal: PrincipalContext, keeps: bool, seconds: float) -> None:
    """Repeats a search that was not complete, for a verification. ``keeps``: whether the record
    gets what was found. ``seconds``: for all lookups; without one, nothing is repeated.
    """
    state, whole = _state(principal), bool(_state(principal).get("whole"))
    is_open = bool(state.get("unsearched")) and bool(principal.options["user_role_sessions"])
    each = int(seconds / 2 if whole else seconds)
    if not is_open or each < 1:
        return
    found = _search(principal, whole, each)
    _keep(principal, found, keeps)
    if keeps:
        _log(principal, found)


def _keep(principal: PrincipalContext, found: _Found, keeps: bool = True) -> None:
    """Keeps what was found for this step's checks, and in the record, where it is news."""
    known, issuer = _recorded(principal), found.issuer
    is_new = issuer is not None and issuer not in known
    if not is_new and not found.unsearched and not _state(principal).get("unsearched"):
        return
    issuers = [*known, issuer] if issuer and is_new else known
    state: IssuerSearch = {
        "issuers": issuers,
        "unsearched": found.unsearched,
        "whole": found.whole,
    }
    entry: EvidenceEntry = {
        "outcome": "PARTIAL" if found.unsearched else "COMPLETE",
        "detail": _sentence(principal, issuer) if issuer else _not_known(found.unsearched),
        "objects": [],
        "task": _not_known(found.unsearched)[:1000] if found.unsearched else "",
        "state": cast("StoredState", state),
        "at": now_rounded_up(),
    }
    if keeps:
        principal.record_evidence(NAME, entry)
    elif issuer and is_new:
        entry["state"] = cast("StoredState", {**state, "late": issuer["arn"]})
    principal.stored["evidence"] = {**(principal.stored.get("evidence") or {}), NAME: entry}
    if keeps and issuer and is_new and issuer["kind"] != SERVICE:
        context = principal.context
        sentence = _sentence(principal, issuer)
        context.record.event(context.incident_id, "session issued to", sentence, principal.id)


def _log(principal: PrincipalContext, found: _Found) -> None:
    issuer, sentences = found.issuer, []
    if issuer:
        sentences.append(_sentence(principal, issuer))
    if found.unsearched or not issuer:
        sentences.append(_not_known(found.unsearched))
    is_open = found.unsearched or (issuer and issuer["kind"] != SERVICE)
    principal.log_action(NAME, FAILED if is_open else SKIPPED, "; ".join(sentences)[:1000])


def _not_known(unsearched: list[str]) -> str:
    if not unsearched:
        return "CloudTrail does not show by now who got the session"
    return f"who got the session is not known for sure: {'; '.join(unsearched)}"


def checks(principal: PrincipalContext, gone: bool = False) -> list[Check]:
    """Returns the check that whoever got the session is contained too, and that all of the search
    was made; none where nothing was open at the verdict and nobody is known, or it is an AWS
    service, whose workload has the session. ``gone``: whether the role is, with all its sessions.
    """
    state = _state(principal)
    known = {issuer["arn"]: issuer for issuer in state.get("issuers") or []}
    owners = {arn: each for arn, each in known.items() if each["kind"] != SERVICE}
    free = {
        arn: _sentence(principal, each)
        for arn, each in owners.items()
        if not _is_contained(principal, arn)
    }
    found = []
    if late := free.pop(state.get("late") or "", ""):
        # a name of its own, so that it is news to the verification, and recorded
        found.append(Check(f"{NAME} {state['late']}", False, late))
    texts = [*free.values(), *([] if gone else _open_instance(principal, known))]
    if unsearched := state.get("unsearched"):
        texts.append(_not_known(unsearched))
    if texts:
        return [*found, Check(NAME, False, "; ".join(texts))]
    if owners:
        text = f"{', '.join(owners)}, who got the session, is contained"
    elif NAME in (principal.stored.get("weak") or []):
        text = "CloudTrail was read to its end, and shows nobody else who got the session"
    else:
        return found
    return [*found, Check(NAME, True, text)]


def _open_instance(principal: PrincipalContext, known: Mapping[str, SessionIssuer]) -> list[str]:
    """Returns a sentence where EC2 got the session for an instance that was not handed over, and
    no incident contains: it may hand out the next credentials.
    """
    instance = principal.identity.instance
    by_ec2 = [each for each in known.values() if (each["kind"], each["name"]) == (SERVICE, EC2)]
    if not instance or not by_ec2 or principal.logged_action(hand_over.NAME).get("status") == DONE:
        return []
    region, account = by_ec2[-1]["region"], principal.target.account_id
    partition = principal.context.config.partition
    if _is_contained(principal, f"arn:{partition}:ec2:{region}:{account}:instance/{instance}"):
        return []
    return [
        f"{_sentence(principal, by_ec2[-1])}: instance {instance} was not handed over to playbook"
        f" ec2_instance, and may get the next credentials. By hand:"
        f" {hand_over.manual_command(instance, region)}"
    ]


def _is_contained(principal: PrincipalContext, arn: str) -> bool:
    """PARTIAL counts: everything is denied to it."""
    state = principal.context.record.containments.present(arn).state
    return state is not None and state["status"] in (Status.CONTAINED, Status.PARTIAL)


def _state(principal: PrincipalContext) -> IssuerSearch:
    return cast("IssuerSearch", principal.evidence_state(NAME))


def _recorded(principal: PrincipalContext) -> list[SessionIssuer]:
    return list(_state(principal).get("issuers") or [])


def _is_asked(principal: PrincipalContext) -> bool:
    """A session that is for sure an instance's is got by EC2 for it, and the instance is handed
    over; a name in the form of an instance's ID shows nothing.
    """
    identity = principal.identity
    is_session = principal.target.kind == identify.SESSION and not principal.scope("instance")
    named = bool(identity.session or identity.key)
    return is_session and named and bool(principal.options["user_role_sessions"])


def _search(principal: PrincipalContext, whole: bool, seconds: int) -> _Found:
    """Returns who got the session, and what could not be looked at, with the commands.
    ``seconds``: for the lookups by the session, and for reading all events.
    """
    try:
        return _look_up(principal, whole, seconds)
    except Exception as error:  # the denial stands without it, and the verdict says it
        command = _lookup_command(principal, principal.target.region)
        reason = f"CloudTrail could not be queried ({describe_error(error)}). By hand: {command}"
        return _Found(None, [reason], whole)


def _look_up(principal: PrincipalContext, whole: bool, seconds: int) -> _Found:
    session = regions.lookup_session(principal)
    names, remark = regions.enabled(principal, session)
    start = principal.since - timedelta(hours=HOURS)
    attributes = [
        ("ResourceName", value) for value in (_key(principal), _userid(principal)) if value
    ]
    records, troubles = regions.look_up(session, names, attributes, start, seconds)
    issuer = _issuer(principal, records)
    unsearched = [remark] if remark else []
    unsearched += [
        f"{name} not looked at ({why}): {_lookup_command(principal, name)}"
        for name, why in troubles.items()
    ]
    cut: list[str] = []
    if whole and not _got_the_key(principal, issuer):
        records, troubles = regions.look_up(session, names, [ASSUME_ROLE], start, seconds)
        cut = [
            f"not all AssumeRole events of {name} were read ({why}):"
            f" {query.lookup_command(ASSUME_ROLE, name)}"
            for name, why in troubles.items()
        ]
        issuer = _issuer(principal, records) or issuer
    if _got_the_key(principal, issuer):
        return _Found(issuer, [])
    # Where the lookups by the session name somebody, the rest of all events adds nothing.
    if not issuer or unsearched:
        unsearched += cut
    return _Found(issuer, unsearched, bool(cut))


def _got_the_key(principal: PrincipalContext, issuer: SessionIssuer | None) -> bool:
    return issuer is not None and issuer["issued"] == principal.identity.key


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


def _sentence(principal: PrincipalContext, issuer: SessionIssuer) -> str:
    identity = principal.identity
    got = (
        f"session {identity.session or identity.key} of role {identity.role} was got by"
        f" {issuer['kind']} {issuer['arn']} at {issuer['at']} from {issuer['source']} (CloudTrail"
        f" event {issuer['event']}, {issuer['region']})"
    )
    if issuer["kind"] == SERVICE:
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
