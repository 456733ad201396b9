"""What the tests of the first change share: an instance with two interfaces, and its log."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from guardduty_response.containment.contract import Target

from tests.unit.playbooks.ec2_instance.ec2_lab import PREFIX, Lab
from tests.unit.playbooks.ec2_instance.quarantine_lab import make_group

QUARANTINE = [f"{PREFIX}-quarantine"]
MODIFY = "ModifyNetworkInterfaceAttribute"


def prepare(lab: Lab) -> None:
    """Builds an instance with two interfaces, in a VPC that has the quarantine group."""
    lab.build(interfaces=2)
    make_group(lab)


def logged(lab: Lab) -> dict[str, str]:
    """The network's line in the action log."""
    return dict(lab.stored_record()["actions"]["quarantine_network"])


def all_closed(lab: Lab) -> bool:
    return set(
        map(
            tuple,
            lab.groups().values(),
        )
    ) == {tuple(QUARANTINE)}


def close_first(lab: Lab, then: Callable[[], object] = lambda: None) -> None:
    """Lets DescribeInstances wait until the plan's interfaces are closed and ``then`` is done."""

    def wait() -> None:
        until = time.monotonic() + 20
        while not all_closed(lab):
            assert time.monotonic() < until, "the plan's interfaces were not closed"
            time.sleep(0.01)
        then()

    lab.hooks.append(("DescribeInstances", wait))


def detach_second(lab: Lab) -> str:
    """Detaches the second interface; returns its ID."""
    ec2 = lab.see("ec2")
    described = ec2.describe_network_interfaces(
        Filters=[{"Name": "attachment.instance-id", "Values": [lab.ids["instance"]]}]
    )["NetworkInterfaces"]
    [left] = [each for each in described if each["Attachment"]["DeviceIndex"] == 1]
    ec2.detach_network_interface(AttachmentId=left["Attachment"]["AttachmentId"])
    return str(left["NetworkInterfaceId"])


def groups_of(lab: Lab, id: str) -> list[str]:
    [now] = lab.see("ec2").describe_network_interfaces(NetworkInterfaceIds=[id])[
        "NetworkInterfaces"
    ]
    return [group["GroupId"] for group in now["Groups"]]


def older(target: Target, seconds: float) -> Target:
    """The target as a plan made so many seconds ago has it."""
    read_at = datetime.now(UTC) - timedelta(seconds=seconds)
    return target._replace(scope={**target.scope, "read_at": read_at.isoformat()})
