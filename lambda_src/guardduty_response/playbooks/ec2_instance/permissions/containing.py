"""Says what containing, monitoring and restoring an instance needs beside the controls' grants."""

from __future__ import annotations

from guardduty_response.containment.declared import (
    CONTAINS,
    FINDS,
    READS,
    RESTORES,
    MemberRole,
    Permission,
    changing_roles,
    never_its_own,
)
from guardduty_response.playbooks.ec2_instance.action_order import CONTROLS
from guardduty_response.playbooks.ec2_instance.instance_control import INSTANCES

RESPONDER = MemberRole(
    "responder",
    (READS, FINDS, CONTAINS),
    (
        Permission(
            "tells people what a stop would lose: instance-store volumes",
            ("ec2:DescribeInstanceTypes",),
        ),
        Permission("finds who undid a containment", ("cloudtrail:LookupEvents",)),
        Permission(
            "stops the instance after the snapshots, with finish = stop",
            ("ec2:StopInstances",),
            INSTANCES,
            sid="Stop",
        ),
        never_its_own(changing_roles(CONTROLS, CONTAINS)),
    ),
)

MONITOR = MemberRole("monitor", (READS, FINDS), ())

RESTORER = MemberRole(
    "restorer",
    (READS, RESTORES),
    (never_its_own(changing_roles(CONTROLS, RESTORES)),),
)
