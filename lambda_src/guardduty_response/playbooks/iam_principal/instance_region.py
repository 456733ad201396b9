"""Finds an instance whose credentials were stolen, and the Region where it is."""

from __future__ import annotations

from concurrent.futures import Future, as_completed
from typing import TYPE_CHECKING, NamedTuple

from guardduty_response.aws import clients
from guardduty_response.aws.errors import is_transient
from guardduty_response.cloudtrail.regions import ACTION, enabled
from guardduty_response.containment.target_context import (
    AWS_ERRORS,
    BRANCHES,
    TargetContext,
    allow,
    describe_error,
)
from guardduty_response.errors import ResponseError

if TYPE_CHECKING:
    from guardduty_response.aws.api import AwsAnswer

SECONDS = 10  # for all Regions: containment waits for it


class Nowhere(ResponseError):
    """Every enabled Region answered, and none has the instance."""


class Passing(ResponseError):
    """A Region did not answer because of ``error``, which may pass; no other has the instance."""

    def __init__(self, message: str, error: Exception) -> None:
        super().__init__(message)
        self.error = error


class FoundInstance(NamedTuple):
    """An instance, as DescribeInstances has it, and its Region."""

    region: str
    described: AwsAnswer


def find_instance(principal: TargetContext, instance_id: str) -> FoundInstance:
    """Finds the instance in the finding's Region, or in the enabled Region that knows it.

    Raises Nowhere, or ResponseError, which names every Region that did not answer: the instance
    may be there. It is Passing where asking again may help.
    """
    first = principal.target.region
    session = principal.open_session(allow(("ec2:DescribeInstances", ACTION)))
    unanswered: dict[str, str] = {}
    errors: list[Exception] = []
    try:
        if described := _describe(session, first, instance_id):
            return FoundInstance(first, described)
    except AWS_ERRORS as error:
        unanswered[first] = describe_error(error)
        errors.append(error)
    try:
        names, remark = enabled(principal, session)
    except AWS_ERRORS as error:
        names = [first]
        remark = f"the enabled Regions could not be listed ({describe_error(error)})"
        errors.append(error)
    others = [name for name in names if name != first]
    found = _search(session, others, instance_id, unanswered, errors)
    if found:
        return found
    reasons = [f"not queried: {name} ({reason})" for name, reason in unanswered.items()]
    if remark:
        reasons.append(remark)
    explanation = "; ".join(reasons) or "terminated over an hour ago, or not of this account"
    message = (
        f"instance {instance_id} is in none of the {len(names) - len(unanswered)} Regions that"
        f" answered ({explanation})"
    )
    if passing := next(filter(is_transient, errors), None):
        raise Passing(message, passing)
    raise (ResponseError if reasons else Nowhere)(message)


def _search(
    session: clients.Session,
    names: list[str],
    instance_id: str,
    unanswered: dict[str, str],
    errors: list[Exception],
) -> FoundInstance | None:
    """Asks all Regions at once. Returns the instance, or None; ``unanswered`` gets the reasons of
    those that did not answer, and ``errors`` what they answered instead.
    """
    pending: dict[Future[AwsAnswer | None], str] = {}
    for name in names:
        pending[BRANCHES.submit(_describe, session, name, instance_id)] = name
        unanswered[name] = f"no answer in {SECONDS} s"
    try:
        for future in as_completed(pending, SECONDS):
            name = pending[future]
            del unanswered[name]
            try:
                if described := future.result():
                    return FoundInstance(name, described)
            except AWS_ERRORS as error:
                unanswered[name] = describe_error(error)
                errors.append(error)
    except TimeoutError:
        pass
    finally:
        for future in pending:
            future.cancel()
    return None


def _describe(session: clients.Session, region: str, instance_id: str) -> AwsAnswer | None:
    # A filter, because asking for an unknown ID is an error.
    filters = [{"Name": "instance-id", "Values": [instance_id]}]
    answer = session.client("ec2", region).describe_instances(Filters=filters)
    found = [each for reserved in answer["Reservations"] for each in reserved["Instances"]]
    return found[0] if found else None
