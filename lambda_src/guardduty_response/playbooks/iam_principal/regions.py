"""Where a principal may have called: the account's enabled Regions. And in which of them an
instance is.
"""

from __future__ import annotations

from concurrent.futures import as_completed

from guardduty_response.aws import clients
from guardduty_response.aws.errors import is_transient
from guardduty_response.cloudtrail.actors import iam_region
from guardduty_response.containment.target_context import (
    AWS_ERRORS,
    BRANCHES,
    TargetContext,
    allow,
    describe_error,
)
from guardduty_response.errors import ResponseError

# ec2:DescribeRegions says the same, for a model a hundred times as large to parse
ACTION = "account:ListRegions"

SECONDS = 10  # for finding an instance: containment waits for it


def looking(principal: TargetContext) -> clients.Session:
    """May look up events, and which Regions there are."""
    return principal.open_session(allow(("cloudtrail:LookupEvents", ACTION)))


def enabled(principal: TargetContext, session: clients.Session) -> tuple[list[str], str]:
    """(Regions, the finding's and that of global services first; a remark where the others could
    not be listed).

    ``session`` may call ACTION. Option ``lookup_regions`` names them instead. Raises what is
    transient.
    """
    known, asked = (
        [principal.target.region, iam_region(principal)],
        [str(one) for one in principal.options.get("lookup_regions") or []],
    )
    if asked:
        return list(dict.fromkeys([*known, *asked])), ""
    found: list[str] = []
    request = {"RegionOptStatusContains": ["ENABLED", "ENABLED_BY_DEFAULT"], "MaxResults": 50}
    try:
        while True:
            got = session.client(
                "account", "us-east-1" if principal.context.config.partition == "aws" else ""
            ).list_regions(**request)
            found += [one["RegionName"] for one in got["Regions"]]
            if not got.get("NextToken"):
                break
            request["NextToken"] = got["NextToken"]
    except AWS_ERRORS as error:
        if is_transient(error):
            raise
        known = list(dict.fromkeys(known))
        return (
            known,
            (
                f"the enabled Regions could not be listed ({describe_error(error)}): only"
                f" {' and '.join(known)} were asked"
            ),
        )
    return list(dict.fromkeys([*known, *sorted(found)])), ""


def of_instance(principal: TargetContext, instance: str) -> str:
    """The Region that the instance is in: the finding's, or whichever of the enabled ones knows it.
    Raises ResponseError, which says what could not be asked; "nowhere" is not "gone".
    """
    session, first, asked = (
        principal.open_session(allow(("ec2:DescribeInstances", ACTION))),
        principal.target.region,
        [principal.target.region],
    )
    bad: dict[str, str] = {}
    try:
        if _knows(session, first, instance):
            return first
    except AWS_ERRORS as error:
        bad[first] = describe_error(error)
    try:
        asked, remark = enabled(principal, session)
    except AWS_ERRORS as error:
        remark = f"the enabled Regions could not be listed ({describe_error(error)})"
    under_way = {
        BRANCHES.submit(_knows, session, name, instance): name for name in asked if name != first
    }
    bad |= dict.fromkeys(under_way.values(), f"no answer in {SECONDS} s")
    try:
        for one in as_completed(under_way, SECONDS):
            try:
                del bad[under_way[one]]
                if one.result():
                    return under_way[one]
            except AWS_ERRORS as error:
                bad[under_way[one]] = describe_error(error)
    except TimeoutError:
        pass
    finally:
        for one in under_way:
            one.cancel()
    trouble = [f"not asked: {name} ({text})" for name, text in bad.items()] + [remark] * bool(
        remark
    )
    raise ResponseError(
        f"instance {instance} is in none of the {len(asked) - len(bad)} Regions that answered"
        f" ({'; '.join(trouble) or 'terminated over an hour ago, or not of this account'})"
    )


def _knows(session: clients.Session, region: str, instance: str) -> bool:
    # by its id alone it would be an error where it is not
    asked = [{"Name": "instance-id", "Values": [instance]}]
    return bool(session.client("ec2", region).describe_instances(Filters=asked)["Reservations"])
