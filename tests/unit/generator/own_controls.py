"""Provides controls that no playbook has."""

from __future__ import annotations

from typing import ClassVar

from guardduty_response.containment.control import AnyControl, Grant

INSTANCES = "arn:${partition}:ec2:*:${account_id}:instance/*"
VOLUMES = "arn:${partition}:ec2:*:${account_id}:volume/*"
OWN = "arn:${partition}:ec2:*:${account_id}:security-group/*"
TAGGED = {"StringEquals": {"aws:ResourceTag/${name_prefix}": "quarantine"}}
Grants = tuple[Grant, ...]


class Stop(AnyControl):
    name = "stop"
    service = "ec2"
    reads: ClassVar[Grants] = (Grant(("ec2:DescribeInstances",), "*"),)
    contains: ClassVar[Grants] = (Grant(("ec2:StopInstances",), INSTANCES),)
    restores: ClassVar[Grants] = (Grant(("ec2:StartInstances",), INSTANCES),)
    undone_by = ("StartInstances",)


class KeepVolumes(AnyControl):
    name = "keep_volumes"
    service = "ec2"
    reads: ClassVar[Grants] = (Grant(("ec2:DescribeInstances", "ec2:DescribeVolumes"), "*"),)
    contains: ClassVar[Grants] = (
        Grant(("ec2:ModifyInstanceAttribute",), INSTANCES),
        Grant(("ec2:ModifyInstanceAttribute",), VOLUMES),
        Grant(("ec2:RevokeSecurityGroupEgress",), OWN, TAGGED),
    )
    undone_by = ("ModifyInstanceAttribute",)


class OutOfLoadBalancers(AnyControl):
    name = "deregister"
    service = "elbv2"
    undone_by = ("RegisterTargets",)


class Label(AnyControl):
    name = "tag"
    label = True
    undone_by = ("UntagUser",)
