"""Takes the credentials away: first the profile, so that no new sessions come, then the sessions that exist."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from botocore.exceptions import ClientError

from guardduty_response import aws
from guardduty_response.playbooks.ec2_instance import intents, state
from guardduty_response.playbooks.ec2_instance.common import (
    ALREADY,
    FAILED,
    PLANNED,
    REVOKE_OLDER,
    Json,
    Work,
    gather,
    value,
    why,
)
from guardduty_response.playbooks.ec2_instance.instance import Changes, attempt
from guardduty_response.playbooks.ec2_instance.state import Facts

ISSUED = "aws:TokenIssueTime"
_NOT_RUNNING = ("IncorrectState", "IncorrectInstanceState", "UnsupportedOperation")


def contain(work: Work, changes: Changes, facts: Facts) -> None:
    if any(work.options[option] not in (False, "none") for option in ("replace_instance_profile", "revoke_sessions")):
        try:
            facts.profile = state.profile(changes.client("ec2"), changes.client("iam"), work.id, work.scope)
        except Exception as error:
            facts.unread["profile"] = why(error)
    if facts.profile and facts.profile["name"] != work.profile_name:
        work.before("profile", facts.profile)
    intent = intents.replace_instance_profile(work, facts)
    attempt(work, "replace_instance_profile", intent, partial(_replace, work, changes, facts),
            intents.replace_command(work))  # fmt: skip
    _revoke(work, changes, facts)


def _replace(work: Work, changes: Changes, facts: Facts) -> list[Json]:
    ec2, new, association = changes.client("ec2"), {"Name": work.profile_name}, facts.profile.get("association")
    answers = []
    if association and facts.running:
        try:
            call = ec2.replace_iam_instance_profile_association
            return [call(AssociationId=association, IamInstanceProfile=new)]
        except ClientError as error:
            if aws.code(error) not in _NOT_RUNNING:
                raise
    if association:  # replacing works on running instances alone
        answers.append(ec2.disassociate_iam_instance_profile(AssociationId=association))
    answers.append(ec2.associate_iam_instance_profile(InstanceId=work.id, IamInstanceProfile=new))
    return answers


def deny_document(instance_id: str) -> Json:
    """Denies everything to this instance's sessions of a role: EC2 names them by instance id."""
    return {"Version": "2012-10-17", "Statement": [
        {"Sid": "DenyInstance", "Effect": "Deny", "Action": "*", "Resource": "*",
         "Condition": {"StringLike": {"aws:userid": f"*:{instance_id}"}}}]}  # fmt: skip


def revoke_document(old: Json | None, before: str) -> Json:
    """Denies everything to sessions issued before ``before`` (ISO 8601, UTC); keeps a later date and other statements."""
    others = []
    for statement in statements(old):
        found = revoked_before({"Statement": [statement]})
        if found:
            before = max(before, found)
        else:
            others.append(statement)
    deny = {"Effect": "Deny", "Action": ["*"], "Resource": ["*"], "Condition": {"DateLessThan": {ISSUED: before}}}
    return {"Version": "2012-10-17", "Statement": [*others, deny]}


def statements(document: Json | None) -> list[Json]:
    found = (document or {}).get("Statement", [])
    return [found] if isinstance(found, dict) else list(found)


def revoked_before(document: Json | None) -> str:
    """The date before which ``document`` denies everything to all sessions, or empty."""
    dates = [
        str(date[0] if isinstance(date, list) else date)
        for one in statements(document)
        if one.get("Effect") == "Deny" and one.get("Action") in ("*", ["*"]) and one.get("Resource") in ("*", ["*"])
        and list(one.get("Condition", {})) == ["DateLessThan"]
        and (date := one["Condition"]["DateLessThan"].get(ISSUED))
    ]  # fmt: skip
    return max(dates, default="")


def read_policy(iam: Any, role: str, name: str) -> Json | None:
    try:
        return dict(iam.get_role_policy(RoleName=state.name_of(role), PolicyName=name)["PolicyDocument"])
    except ClientError as error:
        if aws.code(error) != "NoSuchEntity":
            raise
        return None


def _revoke(work: Work, changes: Changes, facts: Facts) -> None:
    intent, role = intents.revoke_sessions(work, facts), intents.role_of(work, facts)
    by_hand = f"aws iam put-role-policy --role-name {state.name_of(role)} --policy-name {work.deny_name} --policy-document " \
              f"with Deny * where aws:userid is like *:{work.id} (runbook, 'Sessions')"  # fmt: skip
    owned = ":role/aws-service-role/" in role or ":role/aws-reserved/" in role
    if intent.status == PLANNED and owned:
        text = f"role {role} belongs to AWS and takes no policy (UnmodifiableEntity). By hand: deny aws:userid *:{work.id} " \
               "in a service control policy, or change its Identity Center permission set"  # fmt: skip
        intent = intents.Intent(FAILED, text)

    def change() -> list[Json]:
        iam = changes.client("iam", role=role)
        names = [work.deny_name, *([REVOKE_OLDER] if work.role_wide else [])]
        got = gather({name: partial(read_policy, iam, role, name) for name in names})
        old = {name: value(one) for name, one in got.items()}
        first = work.had("sessions")
        # Rounded up: a session issued within this second is older too.
        now = (datetime.now(UTC) + timedelta(seconds=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
        work.before("sessions", {"role": role, "policies": old, "revoked_before": now})
        new = {work.deny_name: deny_document(work.id)}
        if work.role_wide and revoked_before(old[REVOKE_OLDER]) < (first.get("revoked_before") or now):
            new[REVOKE_OLDER] = revoke_document(old[REVOKE_OLDER], now)
        new = {name: document for name, document in new.items() if document != old[name]}
        if not new:
            raise _Already
        put = gather({name: partial(_put, iam, role, name, document) for name, document in new.items()})
        return [value(one) for one in put.values()]

    def once() -> list[Json]:
        try:
            return change()
        except _Already:
            nonlocal_status.append(ALREADY)
            return []

    nonlocal_status: list[str] = []
    attempt(work, "revoke_sessions", intent, once, by_hand)
