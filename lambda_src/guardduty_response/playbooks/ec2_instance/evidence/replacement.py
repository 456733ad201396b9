"""Checks that the Auto Scaling group that lost the instance is whole again: the replacement is in
service, healthy, and healthy in its target groups.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, cast

from guardduty_response.aws import clients
from guardduty_response.containment.target_context import AWS_ERRORS, allow, describe_error
from guardduty_response.evidence.items import EvidenceItem, Outcome
from guardduty_response.playbooks.ec2_instance.instance_context import InstanceContext

if TYPE_CHECKING:
    from typing import TypedDict

    from guardduty_response.incident.model import EvidenceEntry

    class ReplacementState(TypedDict):
        """What the evidence item ``replacement`` keeps between calls: how long it waits, in seconds
        since 1970.
        """

        until: int


NAME = "replacement"
READ = (
    "autoscaling:DescribeAutoScalingGroups",
    "autoscaling:DescribeScalingActivities",
    "elasticloadbalancing:DescribeTargetHealth",
)


def run(instance: InstanceContext, before: EvidenceEntry) -> EvidenceItem:
    """Waits, at most ``replacement_wait_minutes``, for as many healthy instances as the group wants
    without the contained one, and for them to be healthy in the target groups it has left.
    """
    was = instance.before_state("auto_scaling")
    if not was:
        return EvidenceItem(Outcome.SKIPPED, "in no Auto Scaling group: nothing replaces it")
    group, limit = str(was["group"]), int(instance.options.get("replacement_wait_minutes", 10))
    kept = cast("ReplacementState", before.get("state") or {})
    state: ReplacementState = kept or {"until": int(time.time()) + limit * 60}
    session = instance.open_session(allow(READ))
    wanted, ids = _healthy(session, instance, group)
    lacks = _lacks(session, instance, wanted, ids)
    if not lacks:
        healthy = (
            f"{len(ids)} of {wanted} wanted instances in service and healthy ({', '.join(ids)})"
        )
        whole = healthy if wanted else "it wants none"
        return EvidenceItem(
            Outcome.COMPLETE, f"Auto Scaling group {group} is whole: {whole}", state=state
        )
    if time.time() < state["until"]:
        return EvidenceItem(
            Outcome.RUNNING, f"Auto Scaling group {group}: {lacks}", 15, state=state
        )
    reason = _last_activity(session, group)
    text = (
        f"Auto Scaling group {group} has no healthy replacement after {limit} minutes:"
        f" {lacks}{reason}"
    )
    look = (
        f"aws autoscaling describe-scaling-activities --auto-scaling-group-name {group} --region"
        f" {instance.target.region}"
    )
    return EvidenceItem(Outcome.PARTIAL, text, task=f"{text}. Look: {look}", state=state)


def _healthy(
    session: clients.Session, instance: InstanceContext, group: str
) -> tuple[int, list[str]]:
    """(how many the group wants, ids of its healthy instances other than the contained one)."""
    found = session.client("autoscaling").describe_auto_scaling_groups(
        AutoScalingGroupNames=[group]
    )["AutoScalingGroups"]
    if not found:
        return 0, []
    ids = [
        member["InstanceId"]
        for member in found[0]["Instances"]
        if (member["LifecycleState"], member["HealthStatus"].lower()) == ("InService", "healthy")
        and member["InstanceId"] != instance.id
    ]
    return int(found[0]["DesiredCapacity"]), ids


def _lacks(session: clients.Session, instance: InstanceContext, wanted: int, ids: list[str]) -> str:
    """What is missing, in words; empty when the group is whole."""
    if len(ids) < wanted:
        return f"{len(ids)} of {wanted} instances are in service and healthy"
    elb = session.client("elbv2")
    for arn in sorted(
        {
            target["arn"]
            for target in instance.before_state("target_groups") or []
            if target["id"] == instance.id
        }
    ):
        health = elb.describe_target_health(TargetGroupArn=arn)["TargetHealthDescriptions"]
        good = {
            target["Target"]["Id"]
            for target in health
            if target["TargetHealth"]["State"] == "healthy"
        }
        if missing := [id for id in ids if id not in good]:
            return f"{', '.join(missing)} not healthy in target group {arn.split('/')[1]}"
    return ""


def _last_activity(session: clients.Session, group: str) -> str:
    """Why Auto Scaling did not launch one, in its own words: above all a lack of capacity."""
    try:
        got = session.client("autoscaling").describe_scaling_activities(
            AutoScalingGroupName=group, MaxRecords=5
        )["Activities"]
    except AWS_ERRORS as error:
        return f"; why could not be read ({describe_error(error)})"
    failed = [activity for activity in got if activity["StatusCode"] in ("Failed", "Cancelled")]
    return (
        f"; Auto Scaling says: {failed[0].get('StatusMessage', failed[0]['StatusCode'])[:300]}"
        if failed
        else ""
    )
