"""Tells whether the credentials that were used are an instance's, and makes the finding about it
for playbook ec2_instance.

Whoever calls AssumeRole chooses the session's name (AWS STS API Reference, RoleSessionName), and
may choose the ID of somebody else's instance to have it isolated.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from guardduty_response.aws.errors import is_transient
from guardduty_response.containment.contract import NOTHING
from guardduty_response.containment.target_context import (
    AWS_ERRORS,
    DONE,
    Sessions,
    describe_error,
    name_of,
)
from guardduty_response.decision.finding import get, text
from guardduty_response.errors import ResponseError
from guardduty_response.playbooks.iam_principal import instance_region
from guardduty_response.playbooks.iam_principal.principal_context import (
    PrincipalContext,
    list_all,
)

if TYPE_CHECKING:
    from guardduty_response.aws.api import AwsAnswer

NAME = "hand_over_to_ec2_instance"  # as functions/hand_over.py logs it
# GuardDuty raises these about "credentials that were created exclusively for an EC2 instance
# through an instance launch role" alone (GuardDuty User Guide, "GuardDuty IAM finding types").
EXFILTRATION = "UnauthorizedAccess:IAMUser/InstanceCredentialExfiltration"
# The Region in an Availability Zone's name: us-west-2a, us-west-2-lax-1a.
REGION_OF_ZONE = re.compile(r"[a-z]{2,4}(?:-[a-z]+)+?-[0-9]{1,2}")


class Origin(NamedTuple):
    """Whether a session named after an instance is that instance's. ``is_sure``: whether nobody
    else can have got it. ``why_not``: why it is not shown to be; ``read_error``: why nobody could
    find out. ``region``: the instance's, where it was looked for. ``logged``: what the action log
    says of an earlier plan's handing over, if anything.
    """

    is_shown: bool = False
    is_sure: bool = False
    region: str = ""
    why_not: str = ""
    read_error: str = ""
    logged: Mapping[str, str] = NOTHING


def origin(principal: PrincipalContext, sessions: Sessions, role_arn: str) -> Origin:
    """Finds out whether the session is the instance's: the type of the finding says so, or the
    instance has a profile that holds this very role, by the finding or as it is now. Whoever else
    the role trusts may have got a session of that name all the same: who did is looked up then.

    What was handed over once is so still: by now another incident may have replaced the profile.
    Raises what may pass, so that the plan is repeated, and what the record's table answers.
    """
    logged = _logged(principal)
    is_exfiltration = principal.context.finding.type.startswith(EXFILTRATION)
    if is_exfiltration or logged.get("status") == DONE:
        return Origin(is_shown=True, is_sure=is_exfiltration, logged=logged)
    try:
        found = _by_profile(principal, sessions, role_arn)
    except AWS_ERRORS as error:
        if isinstance(error, instance_region.Passing):
            raise error.error from error
        if is_transient(error):
            raise
        found = Origin(read_error=describe_error(error))
    return found._replace(logged=logged)


def _by_profile(principal: PrincipalContext, sessions: Sessions, role_arn: str) -> Origin:
    """Compares the profiles that hold the role with the instance's. Raises what AWS answers."""
    instance_id, role = principal.identity.instance, name_of(role_arn)
    iam = sessions.client("iam")
    listed = list_all(iam.list_instance_profiles_for_role, "InstanceProfiles", RoleName=role)
    profiles = {profile["Arn"] for profile in listed}
    if not profiles:
        return Origin(why_not=f"no instance profile holds role {role}")
    if text(get(_details(principal), "iamInstanceProfile", "arn"), 300) in profiles:
        return Origin(is_shown=True)
    try:
        found = instance_region.find_instance(principal, instance_id)
    except instance_region.Nowhere as nowhere:
        return Origin(why_not=str(nowhere))
    profile = text(get(found.described, "IamInstanceProfile", "Arn"), 300)
    if profile in profiles:
        return Origin(is_shown=True, region=found.region)
    has = f"profile {name_of(profile)}, which does not hold" if profile else "no profile with"
    return Origin(why_not=f"the instance has {has} role {role}")


def unknown(principal: PrincipalContext, why: str) -> NoReturn:
    """Refuses to hand over. Raises ResponseError always."""
    identity = principal.identity
    raise ResponseError(
        f"whether instance {identity.instance} has role {identity.role} could not be read ({why})"
    )


def _logged(principal: PrincipalContext) -> Mapping[str, str]:
    """Returns what the incident's action log says of handing over; empty: nothing."""
    context, target = principal.context, principal.target
    try:
        known = context.record.target(context.incident_id, target.kind, target.id)
    except ResponseError:  # not planned before
        return NOTHING
    entry = known.get("actions", {}).get(NAME)
    return {name: str(entry[name]) for name in ("status", "detail")} if entry else NOTHING


def log_earlier(principal: PrincipalContext) -> None:
    """Logs what an earlier plan's handing over came to, where the log lacks it: what is planned
    before people approve is none of the containment's yet, and is not handed over again.
    """
    earlier = principal.scope("handed_over")
    if earlier and not principal.logged_action(NAME):
        principal.log_action(NAME, earlier["status"], earlier["detail"])


def manual_command(instance: str, region: str) -> str:
    """Returns what a person does so that an instance hands out no more credentials."""
    of_it = f"--filters Name=instance-id,Values={instance} --region {region}"
    return (
        f"aws ec2 describe-iam-instance-profile-associations {of_it} ; aws ec2"
        f" disassociate-iam-instance-profile --association-id ASSOCIATION --region {region} ; then"
        " isolate it by the runbook of ec2_instance"
    )


def _details(principal: PrincipalContext) -> AwsAnswer:
    """Returns what the finding says of the instance; empty where it is about another one."""
    details = get(principal.context.finding.detail, "resource", "instanceDetails")
    is_of_it = get(details, "instanceId") == principal.identity.instance
    return details if is_of_it and isinstance(details, dict) else {}


def instance_finding(principal: PrincipalContext, region: str = "") -> AwsAnswer:
    """Returns the finding as an EventBridge event about the instance, in the instance's Region,
    which need not be where its credentials were used. Everything else stays as GuardDuty said it.

    The finding has an ID of its own, and so is an incident of its own. Raises ResponseError when
    nobody can say where the instance is. ``region``: where it is, if that is known.
    """
    context = principal.context
    instance_id = principal.identity.instance
    detail = copy.deepcopy(context.finding.detail)
    details = copy.deepcopy(_details(principal))
    if zone := REGION_OF_ZONE.match(str(details.get("availabilityZone"))):
        region = zone[0]
    region = region or instance_region.find_instance(principal, instance_id).region
    title = f"Credentials of instance {instance_id} were used ({context.finding.title})"
    detail |= {
        "id": f"{context.finding.id}-{instance_id}",
        "accountId": context.finding.account_id,
        "region": region,
        "title": title[:500],
        "resource": {
            "resourceType": "Instance",
            "instanceDetails": {**details, "instanceId": instance_id},
        },
    }
    return {
        "source": "aws.guardduty",
        "detail-type": "GuardDuty Finding",
        "handedOverBy": context.incident_id,
        "detail": detail,
    }
