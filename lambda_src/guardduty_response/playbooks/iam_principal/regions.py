"""Where a principal may have called: the account's enabled Regions."""

from __future__ import annotations

from guardduty_response import aws
from guardduty_response.playbooks.common.culprits import iam_region
from guardduty_response.playbooks.common.work import AWS_ERRORS, Work, allow, why

ACTION = "account:ListRegions"  # ec2:DescribeRegions says the same, for a model a hundred times as large to parse


def looking(work: Work) -> aws.Session:
    """May look up events, and which Regions there are."""
    return work.open(allow(("cloudtrail:LookupEvents", ACTION)))


def enabled(work: Work, session: aws.Session) -> tuple[list[str], str]:
    """(Regions, the finding's and that of global services first; a remark where the others could not be listed).

    ``session`` may call ACTION. Option ``lookup_regions`` names them instead. Raises what is transient.
    """
    known, asked = [work.target.region, iam_region(work)], [str(one) for one in work.options.get("lookup_regions") or []]
    if asked:
        return list(dict.fromkeys([*known, *asked])), ""
    found: list[str] = []
    request = {"RegionOptStatusContains": ["ENABLED", "ENABLED_BY_DEFAULT"], "MaxResults": 50}
    try:
        while True:
            got = session.client("account", "us-east-1" if work.ctx.config.partition == "aws" else "").list_regions(**request)
            found += [one["RegionName"] for one in got["Regions"]]
            if not got.get("NextToken"):
                break
            request["NextToken"] = got["NextToken"]
    except AWS_ERRORS as error:
        if aws.transient(error):
            raise
        known = list(dict.fromkeys(known))
        return known, f"the enabled Regions could not be listed ({why(error)}): only {' and '.join(known)} were asked"
    return list(dict.fromkeys([*known, *sorted(found)])), ""
