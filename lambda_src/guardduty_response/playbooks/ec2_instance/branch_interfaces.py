"""Finds the branch interfaces of trunk interfaces: their traffic passes the security groups of the
branch, and not those of the trunk. Changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from guardduty_response.containment.target_context import describe_error, run_all

if TYPE_CHECKING:
    from guardduty_response.aws.api import AwsAnswer, AwsClient, Filter

# Amazon EKS gives a pod with security groups of its own a branch interface. It is attached to the
# trunk interface of the node, and AWS shows no attachment: the tag says to which.
TRUNK_TAG = "vpcresources.k8s.aws/trunk-eni-id"
EKS_TRUNK = "aws-k8s-trunk-eni"
PAGE = 1000  # interfaces in an answer, as many as EC2 gives


class Branches(NamedTuple):
    """``own``: those of the trunks, as EC2 describes them. ``unknown``: those of which their tag
    does not tell whose they are, by ID. ``errors``: what could not be listed.
    """

    own: list[AwsAnswer]
    unknown: dict[str, AwsAnswer]
    errors: list[str]


def trunks_of(described: Iterable[AwsAnswer]) -> dict[str, str]:
    """Returns trunk interface -> its description."""
    return {
        interface["NetworkInterfaceId"]: interface.get("Description", "")
        for interface in described
        if interface.get("InterfaceType") == "trunk"
    }


def is_of_task(interface: AwsAnswer) -> bool:
    """Says whether an interface is described as Amazon ECS describes those of its tasks: by the ARN
    of their attachment. Anybody may have described it so: Amazon ECS has to confirm it.
    """
    description = interface.get("Description") or ""
    return description.startswith("arn:") and ":ecs:" in description


def find(
    ec2: AwsClient, trunks: Collection[str], subnets: Collection[str], known: Collection[str]
) -> Branches:
    """Returns the branches of trunk interfaces. They are looked for by their tag, and in the
    subnets of the instance, where one without a tag is seen too.

    ``known``: the IDs of interfaces that planning found to be the instance's.
    """
    calls = {"tagged": _filter(**{f"tag:{TRUNK_TAG}": trunks})}
    if subnets:
        calls["near"] = _filter(**{"interface-type": ["branch"], "subnet-id": subnets})
    if known:
        calls["known"] = _filter(**{"network-interface-id": known})
    got = run_all(
        {
            name: partial(
                list_interfaces,
                ec2,
                each,
            )
            for name, each in calls.items()
        }
    )
    errors = sorted({describe_error(each) for each in got.values() if isinstance(each, Exception)})
    branches = Branches(
        [],
        {},
        errors,
    )
    for id, interface in _by_id(got.values()).items():
        if interface.get("InterfaceType") != "branch":
            continue
        trunk = _tagged_trunk(interface)
        if trunk in trunks or id in known:
            branches.own.append(interface)
        elif not trunk and not is_of_task(interface):  # Amazon ECS tells whose those are
            branches.unknown[id] = interface
    return branches


def associations(ec2: AwsClient) -> dict[str, str]:
    """Returns branch interface -> trunk interface, of the whole account: EC2 has no filter for it.
    Raises the error of EC2, which may refuse that to every role that is assumed.
    """
    found = all_pages(ec2.describe_trunk_interface_associations, "InterfaceAssociations")
    return {each["BranchInterfaceId"]: each["TrunkInterfaceId"] for each in found}


def by_ids(ec2: AwsClient, ids: Collection[str]) -> list[AwsAnswer]:
    """Returns the interfaces that exist of ``ids``. Raises the error of EC2."""
    return list_interfaces(ec2, _filter(**{"network-interface-id": ids})) if ids else []


def list_interfaces(ec2: AwsClient, filters: list[Filter]) -> list[AwsAnswer]:
    """Returns the interfaces of every page. Raises the error of EC2."""
    describe = partial(
        ec2.describe_network_interfaces,
        Filters=filters,
        MaxResults=PAGE,
    )
    return all_pages(describe, "NetworkInterfaces")


def _filter(**values: Collection[str]) -> list[Filter]:
    return [{"Name": name, "Values": sorted(texts)} for name, texts in values.items()]


def _tagged_trunk(interface: AwsAnswer) -> str:
    """Returns the trunk interface that the tag names, or ''."""
    values = [tag["Value"] for tag in interface.get("TagSet") or [] if tag["Key"] == TRUNK_TAG]
    return str(values[0]) if values and str(values[0]).startswith("eni-") else ""


def _by_id(answers: Iterable[object]) -> dict[str, AwsAnswer]:
    return {
        interface["NetworkInterfaceId"]: interface
        for answer in answers
        if isinstance(answer, list)
        for interface in answer
    }


def all_pages(call: Callable[..., AwsAnswer], key: str, next_key: str = "NextToken") -> list[Any]:
    """Returns the entries of every page. ``next_key``: what names the next page, in the answer and
    in the call. Raises the error of the call.
    """
    answer = call()
    found = list(answer.get(key) or [])
    while next_page := answer.get(next_key):
        answer = call(**{next_key: next_page})
        found += answer.get(key) or []
    return found
