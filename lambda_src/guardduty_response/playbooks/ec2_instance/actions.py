"""The controls of the instance itself: its protection, its metadata endpoint, its Elastic IPs, its
tags.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, cast

from botocore.exceptions import ClientError

from guardduty_response.containment.aws_call import AwsCall
from guardduty_response.containment.contract import Check
from guardduty_response.containment.control import Grant, actions_of
from guardduty_response.containment.tag_control import OWN_TAGS, Tags
from guardduty_response.containment.target_context import allow, result_or_raise, run_all
from guardduty_response.playbooks.ec2_instance.instance_context import InstanceContext
from guardduty_response.playbooks.ec2_instance.instance_control import (
    ADDRESSES,
    INSTANCES,
    INTERFACES,
    VOLUMES,
    Ec2Control,
)
from guardduty_response.playbooks.ec2_instance.state import InstanceState, filters

if TYPE_CHECKING:
    from guardduty_response.aws.api import AwsAnswer, Filter, PolicyStatement
    from guardduty_response.containment.control import Values
    from guardduty_response.playbooks.ec2_instance.records import (
        AssociatedAddress,
        Attribute,
        MetadataOptions,
        Protection,
    )

MODIFY = ("ec2:ModifyInstanceAttribute",)
MODIFY_METADATA = ("ec2:ModifyInstanceMetadataOptions",)


class Protect(Ec2Control["Protection", "Attribute"]):
    """Attributes of the instance, and of each volume whether it goes with the instance.

    A Spot instance cannot be protected; its volumes can be kept all the same.
    """

    name = option = "protect_instance"
    item = "protection"
    title = "{name}"
    placeholder = "DisableApiTermination"
    done_text = "protected against termination as far as it can be, and its volumes are kept"
    ATTRIBUTES: Mapping[str, Attribute] = {
        "DisableApiTermination": True,
        "InstanceInitiatedShutdownBehavior": "stop",
    }
    ON_TERMINATION = "DeleteOnTermination"
    reads = (Grant(("ec2:DescribeInstanceAttribute",), "*"),)
    # The call may also be checked on the volume it touches: the instance pins which.
    contains = restores = (Grant(MODIFY, INSTANCES), Grant(MODIFY, VOLUMES))
    undone_by = ("ModifyInstanceAttribute",)

    def read(self) -> Protection:
        describe = partial(
            self.client.describe_instance_attribute, InstanceId=self.target_context.id
        )
        calls = {
            name: partial(describe, Attribute=name[0].lower() + name[1:])
            for name in self.ATTRIBUTES
            if not self.state.spot
        }
        found = {
            name: result_or_raise(answer)[name].get("Value")
            for name, answer in run_all(calls).items()
        }
        volumes = {
            name: bool(disk.get(self.ON_TERMINATION)) for name, disk in self.state.disks.items()
        }
        return cast("Protection", {**found, self.ON_TERMINATION: volumes})

    def values(self, stored: Protection | None) -> Values[Attribute]:
        if stored is None:
            return dict.fromkeys(self.ATTRIBUTES)
        attributes = cast("Values[Attribute]", stored)
        volumes = stored.get("DeleteOnTermination") or {}
        return {
            **{name: attributes[name] for name in self.ATTRIBUTES if name in attributes},
            **{f"{self.ON_TERMINATION} of {device}": on for device, on in volumes.items()},
        }

    def wanted(self, name: str, value: Attribute) -> Attribute:
        return self.ATTRIBUTES.get(name, False)

    def contained_text(self, pending: Values[Attribute]) -> str:
        text = f"set {', '.join(f'{name}={value}' for name, value in pending.items())}"
        return f"{text}; Spot: no termination protection" if self.state.spot else text

    def calls(self) -> dict[str, Callable[[], AwsAnswer]]:
        """All volumes are kept by one call."""
        calls = super().calls()
        if volumes := calls.keys() - self.ATTRIBUTES.keys():
            mappings = [_mapping(name, False) for name in sorted(volumes)]
            calls[self.ON_TERMINATION] = partial(self._modify, BlockDeviceMappings=mappings)
        return {name: call for name, call in calls.items() if name not in volumes}

    def write(self, name: str, value: Attribute) -> AwsAnswer:
        if name == "DisableApiTermination":
            return self._modify(DisableApiTermination={"Value": value})
        if name in self.ATTRIBUTES:
            return self._modify(Attribute="instanceInitiatedShutdownBehavior", Value=value)
        return self._modify(BlockDeviceMappings=[_mapping(name, value)])

    def _modify(self, **what: object) -> AwsAnswer:
        ec2 = self.writer("")
        return dict(ec2.modify_instance_attribute(InstanceId=self.target_context.id, **what))

    def command(self, name: str, value: Attribute) -> str:
        how = f"block-device-mappings '{json.dumps([_mapping(name, value)])}'"
        if name == "DisableApiTermination":
            how = "disable-api-termination" if value else "no-disable-api-termination"
        elif name in self.ATTRIBUTES:
            how = f"instance-initiated-shutdown-behavior {value}"
        return f"ec2 modify-instance-attribute --instance-id {self.target_context.id} --{how}"

    def restore_statements(self, name: str, before: Attribute) -> list[PolicyStatement]:
        resources = (self.arn, self.target_context.arn("volume/*"))
        return [allow(MODIFY, resource) for resource in resources]


def _mapping(name: str, value: Attribute) -> dict[str, object]:
    """``name``: DeleteOnTermination of a device."""
    return {"DeviceName": name.rsplit(" ", 1)[-1], "Ebs": {"DeleteOnTermination": value}}


class DisableMetadata(Ec2Control["MetadataOptions", "MetadataOptions"]):
    """The instance metadata options: one value, without what is not readable of them.

    EC2 keeps the options that a call does not name, and takes the others only with an endpoint that
    is enabled. It applies a change after the call (State is pending, then applied), and that of a
    stopped instance when it starts (EC2 API Reference, ModifyInstanceMetadataOptions).
    """

    name = option = "disable_metadata"
    item = "metadata_options"
    done_text = "the instance metadata endpoint is disabled"
    ENDPOINT, OFF = "HttpEndpoint", "disabled"
    OPTIONS = (
        ENDPOINT,
        "HttpTokens",
        "HttpPutResponseHopLimit",
        "HttpProtocolIpv6",
        "InstanceMetadataTags",
    )
    reads = (Grant(("ec2:DescribeInstances",), "*"),)
    # This key holds the value that is asked for, ec2:MetadataHttpEndpoint the one that is there.
    contains = (
        Grant(MODIFY_METADATA, INSTANCES, {"StringEquals": {f"ec2:Attribute/{ENDPOINT}": OFF}}),
    )
    restores = (Grant(MODIFY_METADATA, INSTANCES),)
    undone_by = ("ModifyInstanceMetadataOptions",)

    def read(self) -> MetadataOptions:
        """Raises KeyError if DescribeInstances does not say whether the endpoint is enabled."""
        found = self.state.instance["MetadataOptions"]
        return {self.ENDPOINT: found[self.ENDPOINT]} | {
            name: found[name] for name in self.OPTIONS if name in found
        }

    def values(self, stored: MetadataOptions | None) -> Values[MetadataOptions]:
        """``None``: of a sample finding's instance, which cannot be read."""
        return {"": stored or {}}

    def wanted(self, name: str, value: MetadataOptions | None) -> MetadataOptions:
        return {**(value or {}), self.ENDPOINT: self.OFF}

    def contained_text(self, pending: Values[MetadataOptions]) -> str:
        return "instance metadata endpoint disabled: it hands out no new credentials"

    def check(self) -> Check:
        """It does not count as read before EC2 has applied it. A stopped instance asks nothing."""
        check = super().check()
        if not (self.enabled and check.ok) or self.state.instance["State"]["Name"] == "stopped":
            return check
        applied = self.state.instance["MetadataOptions"].get("State")
        if applied == "applied":
            return check
        text = (
            f"{self.name}: {self.ENDPOINT} is {self.OFF}, and EC2 has not applied it yet (its State"
            f" is {applied}, not applied)"
        )
        return check._replace(ok=False, detail=text, read=False)

    def call(self, name: str, value: MetadataOptions) -> AwsCall:
        off = value[self.ENDPOINT] == self.OFF
        named = {self.ENDPOINT: self.OFF} if off else value
        request = {"InstanceId": self.target_context.id, **named}
        return AwsCall("ec2", "modify_instance_metadata_options", request)

    def state_text(self, name: str, value: MetadataOptions | None) -> str:
        return f"instance metadata options are {_words(value or {})}"

    def restored_text(self, name: str, before: MetadataOptions) -> str:
        return f"instance metadata options are {_words(before)} again"


def _words(options: MetadataOptions) -> str:
    return ", ".join(f"{name}={value}" for name, value in options.items())


class ReleaseAddress(Ec2Control["list[AssociatedAddress]", "AssociatedAddress"]):
    """Elastic IPs: allocation -> where the address is associated, by an empty ID nowhere."""

    name = option = "disassociate_elastic_ip"
    item = "addresses"
    placeholder = "ALLOCATION"
    absent_text, done_text = "it has no Elastic IP", "has lost its Elastic IP"
    contained_as, restored_as = "disassociated: {things}", "{thing} back on {before[interface]}"
    reads = (Grant(("ec2:DescribeAddresses",), "*"),)
    contains = (Grant(("ec2:DisassociateAddress",), (ADDRESSES, INTERFACES)),)
    restores = (Grant(("ec2:AssociateAddress",), (ADDRESSES, INSTANCES, INTERFACES)),)
    undone_by = ("AssociateAddress",)

    def arn_of(self, name: str) -> str:
        return self.target_context.arn(f"elastic-ip/{name}")

    def read(self) -> list[AssociatedAddress]:
        found = self._read(filters(**{"instance-id": self.target_context.id}))
        return [address for address in found if address["association"]]

    def read_recorded(self) -> list[AssociatedAddress]:
        return self._read([{"Name": "allocation-id", "Values": sorted(self.to_restore())}])

    def _read(self, matching: list[Filter]) -> list[AssociatedAddress]:
        return [
            {
                "association": address.get("AssociationId") or "",
                "allocation": address["AllocationId"],
                "ip": address["PublicIp"],
                "interface": address.get("NetworkInterfaceId"),
                "private": address.get("PrivateIpAddress"),
            }
            for address in self.client.describe_addresses(Filters=matching)["Addresses"]
        ]

    def values(self, stored: list[AssociatedAddress] | None) -> Values[AssociatedAddress]:
        return {address["allocation"]: address for address in stored or []}

    def wanted(self, name: str, value: AssociatedAddress | None) -> AssociatedAddress:
        return {**value, "association": ""} if value else {"association": ""}

    def named(self, name: str) -> str:
        return f"Elastic IP {self._known(name).get('ip')} ({name})"

    def _known(self, name: str) -> AssociatedAddress:
        known = {**self.to_restore(), **self.values(self.current)}
        return known.get(name) or {}

    def write(self, name: str, value: AssociatedAddress) -> AwsAnswer:
        ec2 = self.writer(name)
        if not value["association"]:
            association = self._known(name)["association"]
            return dict(ec2.disassociate_address(AssociationId=association))
        private = {"PrivateIpAddress": value["private"]} if value.get("private") else {}
        return dict(
            ec2.associate_address(
                AllocationId=name,
                NetworkInterfaceId=value["interface"],
                AllowReassociation=False,
                **private,
            )
        )

    def command(self, name: str, value: AssociatedAddress) -> str:
        if not value["association"]:
            association = self._known(name).get("association", "ID")
            return f"ec2 disassociate-address --association-id {association}"
        where = f"--network-interface-id {value['interface']}"
        return f"ec2 associate-address --allocation-id {name} {where}"

    def as_before(
        self, name: str, before: AssociatedAddress, now: AssociatedAddress | None
    ) -> bool:
        return bool(now and now["interface"] == before["interface"])

    def left(self, name: str, before: AssociatedAddress, now: AssociatedAddress | None) -> bool:
        attached = {interface.id for interface in self.state.interfaces}
        return bool(now and not now["association"] and before["interface"] in attached)

    def state_text(self, name: str, value: AssociatedAddress | None) -> str:
        before, address = self.to_restore()[name], self.named(name)
        if value is None:
            return f"{address} was released: it is no longer yours to give back"
        if value["interface"] == before["interface"]:
            return f"{address} is on {value['interface']}"
        if value["association"]:
            return f"{address} is not free: it is on {value['interface']} now"
        where = f"{before['interface']}, which is no longer attached to {self.target_context.id}"
        return f"{address} was on {where}"

    def restore_statements(self, name: str, before: AssociatedAddress) -> list[PolicyStatement]:
        interface = self.target_context.arn(f"network-interface/{before['interface']}")
        return [allow(("ec2:AssociateAddress",), [self.arn_of(name), interface, self.arn])]


class Tag(Tags[InstanceContext, InstanceState], Ec2Control[dict[str, str | None], str | None]):
    """Tags the instance and its interfaces: by these tags the organization's quarantine policy
    keeps both as they are. What is recorded, compared and given back are the instance's.
    """

    name = "tag_instance"
    contains = (Grant(("ec2:CreateTags",), (INSTANCES, INTERFACES, VOLUMES), OWN_TAGS),)
    restores = (Grant(("ec2:CreateTags", "ec2:DeleteTags"), (INSTANCES, INTERFACES), OWN_TAGS),)

    @property
    def interfaces(self) -> list[str]:
        """The IDs of those that are the account's to change."""
        return [interface.id for interface in self.state.interfaces if not interface.managed]

    def found_tags(self) -> Mapping[str, str]:
        return self.state.tags

    def put_tags(self, tags: Mapping[str, str]) -> AwsAnswer:
        return self._create(tags, [self.target_context.id])

    def remove_tag(self, key: str) -> AwsAnswer:
        resources = [self.target_context.id]
        return dict(self.writer("").delete_tags(Resources=resources, Tags=[{"Key": key}]))

    def change(self) -> list[AwsAnswer]:
        try:
            return [self._create(self.tags, [self.target_context.id, *self.interfaces])]
        except ClientError:
            # EC2 tags all resources of a call or none, and the instance's tags count.
            if self.interfaces:
                self.put_tags(self.tags)
            raise

    def write(self, name: str, value: str | None) -> AwsAnswer:
        answer = super().write(name, value)
        if self.interfaces:
            ours = [{"Key": name, "Value": self.tags[name] or ""}]  # of another value: stays
            self.writer("").delete_tags(Resources=self.interfaces, Tags=ours)
        return answer

    def correct_log(self) -> None:
        """Leaves what failed: it may be the interfaces' tags, which are not read."""

    def restore_statements(self, name: str, before: str | None) -> list[PolicyStatement]:
        interfaces = [self.target_context.arn(f"network-interface/{id}") for id in self.interfaces]
        return [allow(actions_of(self.restores), [self.arn, *interfaces])]

    def command(self, name: str, value: str | None) -> str:
        if value is not None:
            tag = f"Key={name},Value={value}"
            return f"ec2 create-tags --resources {self.target_context.id} --tags {tag}"
        resources = " ".join([self.target_context.id, *self.interfaces])
        return f"ec2 delete-tags --resources {resources} --tags Key={name}"

    def _create(self, tags: Mapping[str, str], resources: list[str]) -> AwsAnswer:
        pairs = [{"Key": key, "Value": text} for key, text in tags.items()]
        return dict(self.writer("").create_tags(Resources=resources, Tags=pairs))
