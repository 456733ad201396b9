"""Lists the Regions where a target's credentials may have been used, and looks their calls up in
all of them.
"""

from __future__ import annotations

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

if TYPE_CHECKING:
    from guardduty_response.aws.api import AwsAnswer

# ec2:DescribeRegions says the same, for a model a hundred times as large to parse
ACTION = "account:ListRegions"
LOOKS_UP = ("cloudtrail:LookupEvents", ACTION)

LOOKUP_SECONDS = 15  # for the events of a Region: containment waits for it


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
