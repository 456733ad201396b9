"""The rules of a security group, in words and as the calls of EC2 take them."""

from __future__ import annotations

from collections.abc import Callable, Container
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from guardduty_response.aws.api import AwsAnswer, IpPermission

# A rule's peers, and what names one.
PEERS = {
    "IpRanges": ("CidrIp",),
    "Ipv6Ranges": ("CidrIpv6",),
    "PrefixListIds": ("PrefixListId",),
    "UserIdGroupPairs": ("GroupId", "UserId"),
}


def prefix_lists(group: AwsAnswer) -> set[str]:
    """Returns the IDs of the prefix lists that a security group lets out to."""
    return {
        str(peer["PrefixListId"])
        for rule in group.get("IpPermissionsEgress") or []
        for peer in rule.get("PrefixListIds") or []
    }


def to_endpoints(lists: Container[str], direction: str, rule: AwsAnswer) -> bool:
    """Says whether a rule lets out HTTPS to security groups or to services of AWS, not to
    addresses. A prefix list that a customer manages may have any addresses.

    ``lists``: the IDs of the prefix lists that AWS manages.
    """
    https = rule["IpProtocol"] == "tcp" and rule.get("FromPort") == rule.get("ToPort") == 443
    addresses = rule.get("IpRanges") or rule.get("Ipv6Ranges")
    named = [str(peer.get("PrefixListId")) for peer in rule.get("PrefixListIds") or []]
    of_aws = all(each in lists for each in named)
    return direction == "egress" and https and not addresses and of_aws


def rules(
    group: AwsAnswer, but: Callable[[str, AwsAnswer], bool] | None = None
) -> dict[str, IpPermission]:
    """Returns every rule of a security group, IPv4 and IPv6, both directions: in words, and with
    its single peer as the calls of EC2 take it.

    Rules for which ``but`` returns True are left out.
    """
    out = {}
    for direction, key in (("ingress", "IpPermissions"), ("egress", "IpPermissionsEgress")):
        for rule in group.get(key) or []:
            if but and but(direction, rule):
                continue
            what = (
                f"{direction} {rule['IpProtocol'].replace('-1', 'all')}"
                f" {rule.get('FromPort', '')}-{rule.get('ToPort', '')}"
            )
            ports = {
                name: rule[name] for name in ("IpProtocol", "FromPort", "ToPort") if name in rule
            }
            for peers, names in PEERS.items():
                for peer in rule.get(peers) or []:
                    named = {name: peer[name] for name in names if name in peer}
                    out[f"{what} {peer.get(names[0])}"] = {**ports, peers: [named]}
    return out
