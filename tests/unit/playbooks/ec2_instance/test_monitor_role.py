"""The role that monitors instances reads what verification reads, and nothing else; a check takes
no more calls than docs/costs.md counts.
"""

from __future__ import annotations

import math

from guardduty_response.cloudtrail import regions
from guardduty_response.containment import managed_denial
from guardduty_response.incident.statuses import Status
from guardduty_response.playbooks.ec2_instance import attribution, local_interfaces
from guardduty_response.playbooks.ec2_instance import playbook as ec2_instance

from benchmarks.measure import round_trips
from benchmarks.monitoring_cost import CHECKS
from tests.support.member_policies import (
    READS,
    action_of,
    granted,
    in_members,
    member_policy,
    refused,
)
from tests.unit.playbooks.ec2_instance.ec2_lab import MEMBER, Lab
from tests.unit.playbooks.ec2_instance.shared_network_lab import (
    add_branch,
    attach_trunk,
    show_associations,
)
from tests.unit.playbooks.ec2_instance.tasks_lab import Cluster

SECONDS_A_CALL = 0.08  # as in the other benchmarks
POLICY = member_policy("ec2_instance", "monitor", MEMBER)


def test_it_may_make_every_call_of_a_verification_and_no_other(lab: Lab) -> None:
    """An instance that has everything, of which nothing is known from planning, and that is gone
    later: what none of this reads, no instance's check reads.
    """
    lab.options["disassociate_elastic_ip"] = True
    lab.build(
        interfaces=2,
        asg=True,
        targets=True,
        eip=True,
    )
    target = lab.plan()
    assert lab.respond(target).status is Status.CONTAINED
    lab.calls.clear()
    lab.latency = 0.02
    as_stored = target._replace(verify_only=True, scope={})
    step, checks = ec2_instance.verify(lab.context(), as_stored)
    assert step.status is Status.CONTAINED, [check for check in checks if not check.ok]
    calls = in_members(lab.calls)
    lab.fail("DescribeInstances", "InvalidInstanceID.NotFound")
    step, _ = ec2_instance.verify(lab.context(), as_stored)
    assert step.status is Status.GONE
    every_call = in_members(lab.calls)
    assert refused(every_call, POLICY, MEMBER) == []
    elsewhere = {*managed_denial.LISTS, *managed_denial.READS, *attribution.READ}
    elsewhere |= {*regions.LOOKS_UP}  # only where a search was not complete: test_late_look.py
    elsewhere |= {"ec2:DescribeManagedPrefixLists"}  # only with groups that name one
    assert {action_of(call) for call in every_call} == granted(POLICY) - elsewhere
    figures = CHECKS["ec2_instance"]
    assert len(calls) <= figures.member_calls
    assert round_trips(calls, math.inf) * SECONDS_A_CALL <= figures.seconds


def test_of_an_instance_with_a_trunk_it_reads_whose_interfaces_there_are(lab: Lab) -> None:
    lab.build()
    branch, trunk = add_branch(lab, ""), attach_trunk(lab, description="")
    show_associations(lab, {branch: trunk})
    cluster = Cluster(lab)
    cluster.run(cluster.branch())
    target = lab.plan()
    assert lab.respond(target).status is Status.PARTIAL
    lab.calls.clear()
    step, _ = ec2_instance.verify(lab.context(), target._replace(verify_only=True, scope={}))
    assert step.status is Status.PARTIAL and "aws ecs stop-task" in step.detail
    calls = in_members(lab.calls)
    assert refused(calls, POLICY, MEMBER) == []
    only_on_outposts = set(local_interfaces.READ)  # test_local_interfaces.py
    assert set(attribution.READ) - only_on_outposts <= {action_of(call) for call in calls}


def test_it_may_only_read() -> None:
    assert granted(POLICY) - READS == set()
