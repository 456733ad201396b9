"""Begins reads of a plan that need no answer of another one: they run beside DescribeInstances.

What the finding names may have changed since, so each control takes an answer only where it is
about what DescribeInstances names now.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from guardduty_response.aws import clients
from guardduty_response.playbooks.ec2_instance.instance_context import InstanceContext
from guardduty_response.playbooks.ec2_instance.state import filters

if TYPE_CHECKING:
    from guardduty_response.aws.api import AwsAnswer, AwsClient
    from guardduty_response.containment.target_context import Sessions

ASSOCIATIONS, SCALING, GROUPS = "associations", "scaling", "target groups"


def begin(instance: InstanceContext, sessions: Sessions) -> None:
    """Begins what the controls that are switched on will read, for ``taken``."""
    options = instance.options
    calls = {ASSOCIATIONS: associations(sessions, instance.id)}
    if name := instance.named_profile:
        calls[profile_key(name)] = instance_profile(sessions, name)
    if options["auto_scaling"] != "none":
        calls[SCALING] = places(sessions.client("autoscaling"), instance.id)
    if options["deregister_targets"]:
        calls[GROUPS] = partial(all_target_groups, sessions.client("elbv2"))
    instance.ahead = {name: clients.POOL.submit(call) for name, call in calls.items()}


def end(instance: InstanceContext) -> None:
    """Waits for what nobody took: no call goes on when the step has ended."""
    for reading in instance.ahead.values():
        if not reading.cancel():
            reading.exception()


def taken(
    instance: InstanceContext, name: str, call: Callable[[], AwsAnswer]
) -> Callable[[], AwsAnswer]:
    """Returns what waits for the read of that name, or else ``call``. A read serves once: who reads
    again wants what is true then.
    """
    reading = instance.ahead.pop(name, None)
    return reading.result if reading else call


# -- the reads, which are made here or by who takes none -------------------------------------------


def associations(sessions: Sessions, id: str) -> Callable[[], AwsAnswer]:
    """Returns the read of the instance profiles that are associated with an instance."""
    read = sessions.client("ec2").describe_iam_instance_profile_associations
    return partial(read, Filters=filters(**{"instance-id": id}))


def instance_profile(sessions: Sessions, name: str) -> Callable[[], AwsAnswer]:
    """Returns the read of an instance profile."""
    return partial(sessions.client("iam").get_instance_profile, InstanceProfileName=name)


def places(autoscaling: AwsClient, id: str) -> Callable[[], AwsAnswer]:
    """Returns the read of an instance's place in an Auto Scaling group."""
    return partial(autoscaling.describe_auto_scaling_instances, InstanceIds=[id])


def profile_key(name: str) -> str:
    """Returns the name of the read of an instance profile."""
    return f"instance profile {name}"


def all_target_groups(elb: AwsClient) -> AwsAnswer:
    """Returns every target group, as DescribeTargetGroups has them."""
    pages = elb.get_paginator("describe_target_groups").paginate()
    return {"TargetGroups": [group for page in pages for group in page["TargetGroups"]]}
