"""Patches of moto's EC2: names of security groups, their rules, and how many an interface has.

The unit tests of the playbook use it too, so it imports no other module that patches.
"""

from __future__ import annotations

import importlib
import re
from collections import Counter
from collections.abc import Iterable
from typing import Any

from .patching import Original, patch

_groups: Any = importlib.import_module("moto.ec2.models.security_groups")
_interfaces: Any = importlib.import_module("moto.ec2.responses.elastic_network_interfaces")
_errors: Any = importlib.import_module("moto.ec2.exceptions")

# Amazon VPC User Guide, "Amazon VPC quotas" (security groups).
RULES = 60  # in each direction, for IPv4 and IPv6 each
GROUPS_OF_AN_INTERFACE = 5
# EC2 API Reference, CreateSecurityGroup: GroupName of a group in a VPC.
_NAME = re.compile(r"[a-zA-Z0-9 ._\-:/()#,@\[\]+=&;{}!$*]{1,255}")


def _invalid(name: str, why: str) -> Exception:
    message = f"Value ({name}) for parameter GroupName is invalid. {why}"
    raised: Exception = _errors.EC2ClientError("InvalidParameterValue", message)
    return raised


@patch(
    _groups.SecurityGroupBackend,
    "create_security_group",
    restores=(
        "names of security groups: unique in a VPC whatever their case, not sg-..., at most 255 of"
        " certain characters"
    ),
)
def create_security_group(
    original: Original,
    backend: Any,
    name: str,
    description: str,
    vpc_id: str | None = None,
    *args: object,
    **kwargs: object,
) -> object:
    if kwargs.get("is_default"):
        return original(backend, name, description, vpc_id, *args, **kwargs)
    if not _NAME.fullmatch(name):
        raise _invalid(name, "Character sets beyond ASCII are not supported.")
    if name.lower().startswith("sg-"):
        raise _invalid(name, "Group names may not be in the format sg-*.")
    vpc = vpc_id or backend.default_vpc.id
    # Each account has names of its own in a VPC that accounts share.
    own = [group for group in backend.groups[vpc].values() if group.owner_id == backend.account_id]
    taken = {group.name.lower() for group in own}
    if name.lower() in taken:
        message = f"The security group '{name}' already exists for VPC '{vpc}'"
        raise _errors.EC2ClientError("InvalidGroup.Duplicate", message)
    return original(backend, name, description, vpc_id, *args, **kwargs)


def _families(ranges: Iterable[dict[str, Any]], of_both: int) -> Counter[str]:
    """Count rules for each family: one that names a group or a prefix list is one of both."""
    found = Counter("IPv6" if "CidrIpv6" in item else "IPv4" for item in ranges)
    return found + Counter({"IPv4": of_both, "IPv6": of_both})


@patch(
    _groups.SecurityGroupBackend,
    "_verify_group_will_respect_rule_count_limit",
    restores="60 rules of a group in each direction, counted for IPv4 and IPv6 apart",
)
def count_rules(
    _original: Original,
    _backend: object,
    group: Any,
    _count: int,
    ip_ranges: list[dict[str, Any]],
    source_groups: list[dict[str, str]] | None = None,
    egress: bool = False,
) -> None:
    present = group.egress_rules if egress else group.ingress_rules
    ranges = [rule.ip_range for rule in present if rule.ip_range]
    total = _families(ranges, len(present) - len(ranges))
    total += _families(ip_ranges or [], len(source_groups or []))
    if any(count > RULES for count in total.values()):
        raise _errors.RulesPerSecurityGroupLimitExceededError


def _refuse_many(response: Any) -> None:
    if len(response._get_param("Groups", [])) > GROUPS_OF_AN_INTERFACE:
        raise _errors.EC2ClientError(
            "SecurityGroupsPerInterfaceLimitExceeded",
            "The maximum number of security groups per interface has been reached.",
        )


def _limited(call: str) -> None:
    @patch(
        _interfaces.ElasticNetworkInterfaces,
        call,
        restores="an interface is in five security groups at most",
    )
    def limited(original: Original, response: Any) -> object:
        _refuse_many(response)
        return original(response)


for _call in ("create_network_interface", "modify_network_interface_attribute"):
    _limited(_call)
