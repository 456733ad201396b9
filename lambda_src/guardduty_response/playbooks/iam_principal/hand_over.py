"""Makes the finding about the instance whose credentials were used, for playbook ec2_instance."""

from __future__ import annotations

import copy
import re
from typing import TYPE_CHECKING

from guardduty_response.playbooks.iam_principal import instance_region
from guardduty_response.playbooks.iam_principal.principal_context import PrincipalContext

if TYPE_CHECKING:
    from guardduty_response.aws.api import AwsAnswer

# The Region in an Availability Zone's name: us-west-2a, us-west-2-lax-1a.
REGION_OF_ZONE = re.compile(r"[a-z]{2,4}(?:-[a-z]+)+?-[0-9]{1,2}")


def instance_finding(principal: PrincipalContext) -> AwsAnswer:
    """Returns the finding as an EventBridge event about the instance, in the instance's Region,
    which need not be where its credentials were used. Everything else stays as GuardDuty said it.

    The finding has an ID of its own, and so is an incident of its own. Raises ResponseError when
    nobody can say where the instance is.
    """
    context = principal.context
    instance_id = principal.identity.instance
    detail = copy.deepcopy(context.finding.detail)
    details = (detail.get("resource") or {}).get("instanceDetails") or {}
    if details.get("instanceId") != instance_id:
        details = {}
    zone = REGION_OF_ZONE.match(str(details.get("availabilityZone")))
    region = zone[0] if zone else instance_region.find_instance_region(principal, instance_id)
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
