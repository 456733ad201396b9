"""Lists the Regions where a principal may have called, looks its calls up in all of them, and finds
the Region of an instance.
"""

from __future__ import annotations

from concurrent.futures import Future, as_completed
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from guardduty_response.aws import clients
from guardduty_response.aws.errors import is_transient
from guardduty_response.cloudtrail import query
from guardduty_response.cloudtrail.actors import iam_region
from guardduty_response.cloudtrail.event import CloudTrailRecord
from guardduty_response.containment.target_context import (
    AWS_ERRORS,
    BRANCHES,
    TargetContext,
    allow,
    describe_error,
    run_all,
)
from guardduty_response.errors import ResponseError

if TYPE_CHECKING:
    from guardduty_response.aws.api import AwsAnswer

# ec2:DescribeRegions says the same, for a model a hundred times as large to parse
ACTION = "account:ListRegions"
LOOKS_UP = ("cloudtrail:LookupEvents", ACTION)

# Containment waits for it: seconds for finding an instance, and for the events of a Region.
SECONDS, LOOKUP_SECONDS = 10, 15


def lookup_session(principal: TargetContext) -> clients.Session:
    """Opens a session that may look up CloudTrail events and list the account's Regions."""
    return principal.open_session(allow(LOOKS_UP))


def enabled(principal: TargetContext, session: clients.Session) -> tuple[list[str], str]:
    """Returns the enabled Regions (the finding's and that of global services first) and a remark,
    empty unless the others could not be listed.

    ``session`` may call ACTION. The option ``lookup_regions`` replaces the listing. Raises a
    transient error of AWS.
    """
    always = [principal.target.region, iam_region(principal)]
    chosen = [str(name) for name in principal.options.get("lookup_regions") or []]
    if chosen:
        return _unique([*always, *chosen]), ""
    try:
        listed = _list_enabled(principal, session)
    except AWS_ERRORS as error:
        if is_transient(error):
            raise
        remaining = _unique(always)
        remark = (
            f"the enabled Regions could not be listed ({describe_error(error)}): only"
            f" {' and '.join(remaining)} were queried"
        )
        return remaining, remark
    return _unique([*always, *sorted(listed)]), ""


def look_up(
    session: clients.Session,
    names: list[str],
    attributes: list[tuple[str, str]],
    start: datetime,
    seconds: int = LOOKUP_SECONDS,
) -> tuple[list[CloudTrailRecord], dict[str, str]]:
    """Returns CloudTrail's records of all (attribute, value) since ``start`` in these Regions, and
    by Region why there may be more. No Region is asked for more than ``seconds``.
    """
    calls = {
        name: partial(query.records, session.client("cloudtrail", name), attributes, start, seconds)
        for name in names
    }
    records: list[CloudTrailRecord] = []
    troubles: dict[str, str] = {}
    for name, answer in run_all(calls, BRANCHES).items():
        found, trouble = ([], describe_error(answer)) if isinstance(answer, Exception) else answer
        records += found
        if trouble:
            troubles[name] = trouble
    return records, troubles


def _unique(names: list[str]) -> list[str]:
    return list(dict.fromkeys(names))


def _list_enabled(principal: TargetContext, session: clients.Session) -> list[str]:
    # The Account service has its endpoint in us-east-1; other partitions resolve their own.
    region = "us-east-1" if principal.context.config.partition == "aws" else ""
    client = session.client("account", region)
    request: AwsAnswer = {
        "RegionOptStatusContains": ["ENABLED", "ENABLED_BY_DEFAULT"],
        "MaxResults": 50,
    }
    names: list[str] = []
    while True:
        page = client.list_regions(**request)
        names += [region["RegionName"] for region in page["Regions"]]
        if not page.get("NextToken"):
            return names
        request["NextToken"] = page["NextToken"]


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
