"""Finds the Region of an instance whose credentials were stolen."""

from __future__ import annotations

from concurrent.futures import Future, as_completed

from guardduty_response.aws import clients
from guardduty_response.cloudtrail.regions import ACTION, enabled
from guardduty_response.containment.target_context import (
    AWS_ERRORS,
    BRANCHES,
    TargetContext,
    allow,
    describe_error,
)
from guardduty_response.errors import ResponseError

SECONDS = 10  # for all Regions: containment waits for it


def find_instance_region(principal: TargetContext, instance_id: str) -> str:
    """Returns the Region of the instance: the finding's, or the enabled Region that knows it.

    Raises ResponseError, which names every Region that did not answer: the instance may be there.
    """
    first = principal.target.region
    session = principal.open_session(allow(("ec2:DescribeInstances", ACTION)))
    unanswered: dict[str, str] = {}
    try:
        if _has_instance(session, first, instance_id):
            return first
    except AWS_ERRORS as error:
        unanswered[first] = describe_error(error)
    try:
        names, remark = enabled(principal, session)
    except AWS_ERRORS as error:
        names = [first]
        remark = f"the enabled Regions could not be listed ({describe_error(error)})"
    others = [name for name in names if name != first]
    found = _search(session, others, instance_id, unanswered)
    if found:
        return found
    reasons = [f"not queried: {name} ({reason})" for name, reason in unanswered.items()]
    if remark:
        reasons.append(remark)
    explanation = "; ".join(reasons) or "terminated over an hour ago, or not of this account"
    raise ResponseError(
        f"instance {instance_id} is in none of the {len(names) - len(unanswered)} Regions that"
        f" answered ({explanation})"
    )


def _search(
    session: clients.Session, names: list[str], instance_id: str, unanswered: dict[str, str]
) -> str:
    """Asks all Regions at once. Returns the Region that has the instance, or an empty string;
    ``unanswered`` gets the reasons of those that did not answer.
    """
    pending: dict[Future[bool], str] = {}
    for name in names:
        pending[BRANCHES.submit(_has_instance, session, name, instance_id)] = name
        unanswered[name] = f"no answer in {SECONDS} s"
    try:
        for future in as_completed(pending, SECONDS):
            name = pending[future]
            del unanswered[name]
            try:
                if future.result():
                    return name
            except AWS_ERRORS as error:
                unanswered[name] = describe_error(error)
    except TimeoutError:
        pass
    finally:
        for future in pending:
            future.cancel()
    return ""


def _has_instance(session: clients.Session, region: str, instance_id: str) -> bool:
    # A filter, because asking for an unknown ID is an error.
    filters = [{"Name": "instance-id", "Values": [instance_id]}]
    answer = session.client("ec2", region).describe_instances(Filters=filters)
    return bool(answer["Reservations"])
