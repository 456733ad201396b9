"""Keeps what AWS Config recorded of the user or role itself: its inline policies, the ARNs of its
managed ones, its groups, its trust policy and tags.

IAM is global, and recorded only in Regions whose recorder includes its types. Every enabled Region
is asked whether it does; the history is read in one of them, because all have the same. The managed
policies and groups have histories of their own, which are left where they are.
"""

from __future__ import annotations

from copy import deepcopy
from functools import partial
from typing import TYPE_CHECKING, cast

from botocore.exceptions import ClientError

from guardduty_response.aws.errors import error_code, is_transient
from guardduty_response.cloudtrail import regions
from guardduty_response.cloudtrail.actors import iam_region
from guardduty_response.containment.target_context import (
    TargetContext,
    allow,
    describe_error,
    run_all,
)
from guardduty_response.errors import ResponseError
from guardduty_response.evidence import config_history, config_recorders
from guardduty_response.evidence.config_history import History
from guardduty_response.evidence.config_history_records import ConfigHistoryState
from guardduty_response.evidence.config_recorders import Recording
from guardduty_response.evidence.items import EvidenceItem, Outcome
from guardduty_response.playbooks.iam_principal import identify
from guardduty_response.playbooks.iam_principal.identify import Principal

if TYPE_CHECKING:
    from guardduty_response.aws import clients
    from guardduty_response.incident.model import EvidenceEntry

NAME = "config_history"
USER, ROLE = "AWS::IAM::User", "AWS::IAM::Role"
READ_ID_USER, READ_ID_ROLE = ("iam:GetUser",), ("iam:GetRole",)
MOST_REGIONS = 5  # that are asked for the history
ASKED_AGAIN = 2  # times, where a Region did not answer
_OF_A_USER = (identify.USER, identify.FEDERATED, identify.UNKNOWN)


def run(principal: TargetContext, before: EvidenceEntry) -> EvidenceItem:
    """Does one call's share: ``config-history/items-NNN.jsonl.gz``, at the end ``summary.json``."""
    if not config_history.days(principal):
        return config_history.switched_off()
    state = cast("ConfigHistoryState", deepcopy(before.get("state") or {}))
    session = principal.open_session(
        config_history.statement(),
        allow((regions.ACTION,)),
        allow(READ_ID_USER, principal.arn("user/*", "iam")),
        allow(READ_ID_ROLE, principal.arn("role/*", "iam")),
    )
    if "resources" not in state:
        found = _begin(principal, session, state, int(before.get("tries", 0)))
        if found:
            return found
    return History(principal, session, state, list(before.get("objects") or [])).advance()


def _begin(
    principal: TargetContext, session: clients.Session, state: ConfigHistoryState, tries: int
) -> EvidenceItem | None:
    """Finds the principal's id, and where AWS Config records it; returns the finished item where
    there is nothing to ask for.
    """
    identity = identify.principal_of(principal)
    name = identity.user if identity.kind in _OF_A_USER else ""
    if not (name or identity.role):
        text = (
            f"{identity.kind} {identity.id} is no IAM user or role of this account: AWS Config"
            " records nothing of it"
        )
        return EvidenceItem(Outcome.NOT_POSSIBLE, text)
    type = USER if name else ROLE
    id = _id(session, identity, name)
    if not id:
        return _unknown_id(principal, type, name or identity.role)
    names, remark = regions.enabled(principal, session)
    recordings = _recordings(session, names, type, tries)
    asked = _ranked(recordings, type) or list(
        dict.fromkeys([principal.target.region, iam_region(principal)])
    )
    asked = asked[:MOST_REGIONS]
    state["resources"] = [config_history.resource(type, id, asked)]
    state["recordings"] = {
        region: recording
        for region, recording in recordings.items()
        if region in asked or recording.get("read_error")
    }
    state |= {"unknown": [], "remark": remark}
    recorded = _ranked(recordings, type)
    where = f"recorded in {', '.join(recorded)}" if recorded else "recorded in none of them now"
    state["scope"] = (
        f"{len(names)} Regions were asked whether they record {type}: {where}. Its managed policies"
        " and groups have histories of their own, which are not read"
    )
    return None


def _id(session: clients.Session, identity: Principal, user: str) -> str:
    """Returns the unique id, by which AWS Config knows users and roles; empty: IAM has no such
    principal any more, and the finding does not say its id.
    """
    prefix = "AIDA" if user else "AROA"
    if identity.unique_id.startswith(prefix):
        return identity.unique_id
    iam = session.client("iam")
    try:
        if user:
            return str(iam.get_user(UserName=user)["User"]["UserId"])
        return str(iam.get_role(RoleName=identity.role)["Role"]["RoleId"])
    except ClientError as error:
        if error_code(error) == "NoSuchEntity":
            return ""
        raise


def _unknown_id(principal: TargetContext, type: str, name: str) -> EvidenceItem:
    text = f"IAM has no {name} any more, and the finding does not say its id: AWS Config needs it"
    finding = principal.context.finding
    if finding and finding.sample:
        return EvidenceItem(Outcome.NOT_POSSIBLE, text)
    task = (
        f"find the id of {name} in a Region that records IAM, then read its history: aws"
        f" configservice list-discovered-resources --resource-type {type} --resource-name {name}"
        f" --include-deleted-resources --region {iam_region(principal)}"
    )
    return EvidenceItem(Outcome.NOT_POSSIBLE, text, task=task)


def _recordings(
    session: clients.Session, names: list[str], type: str, tries: int
) -> dict[str, Recording]:
    """Returns what the recorder of each Region does. A Region that does not answer is asked again
    with all the others, and then named.
    """
    calls = {
        region: partial(config_recorders.read_or_say, session, region, (type,)) for region in names
    }
    found: dict[str, Recording] = {}
    for region, answer in run_all(calls).items():
        if not isinstance(answer, Exception):
            found[region] = answer
        elif isinstance(answer, ResponseError) or (is_transient(answer) and tries < ASKED_AGAIN):
            raise answer
        else:
            found[region] = {"read_error": describe_error(answer)}
    return found


def _ranked(recordings: dict[str, Recording], type: str) -> list[str]:
    """Returns the Regions that record the type, those whose recorder runs first, and of these the
    one that has run the longest.
    """
    recorded = [name for name, found in recordings.items() if type in found.get("types", [])]

    def order(region: str) -> tuple[bool, int]:
        found = recordings[region]
        return not found["recording"], found.get("started", 0) if found["recording"] else 0

    return sorted(recorded, key=order)
