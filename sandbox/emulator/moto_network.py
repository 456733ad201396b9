"""Patches of moto's EC2: interfaces, their groups, and the attributes of instances."""

from __future__ import annotations

from typing import Any

from . import settings
from .moto_modules import (
    core_responses,
    ec2_errors,
    instance_responses,
    instances,
    interface_responses,
    interfaces,
    regions,
)
from .patching import Original, add, patch, replace

# An interface with this tag belongs to an AWS service: it can be seen and not changed.
REQUESTER_MANAGED_TAG = "sandbox:requester-managed"
# One with this tag is of another type: trunk, branch.
INTERFACE_TYPE_TAG = "sandbox:interface-type"


def error(code: str, message: str) -> Exception:
    """Return an EC2 error as moto raises it."""
    raised: Exception = ec2_errors.EC2ClientError(code, message)
    return raised


def _groups_of(instance: Any) -> Any:
    primary = getattr(instance, "nics", {}).get(0)
    if primary is not None:
        return list(primary._group_set)
    return (
        []
        if getattr(instance, "nics", None) == {} and instance.state == "terminated"
        else instance._groups
    )


def _set_groups(instance: Any, groups: Any) -> None:
    instance._groups = groups
    primary = getattr(instance, "nics", {}).get(0)
    if primary is not None:
        primary._group_set = list(groups)


# moto keeps the groups of an instance beside those of its interfaces; on AWS the instance shows its
# first interface's.
instances.Instance.security_groups = None
replace(
    instances.Instance,
    "security_groups",
    property(_groups_of, _set_groups),
    restores=(
        "DescribeInstances shows the groups of the primary interface, also after"
        " ModifyNetworkInterfaceAttribute"
    ),
)
replace(
    interfaces.NetworkInterface,
    "group_set",
    property(lambda interface: list(interface._group_set)),
    restores="an interface has its own groups only (moto adds the instance's old ones)",
)
interfaces.NetworkInterface.requester_managed = None
replace(
    interfaces.NetworkInterface,
    "requester_managed",
    property(
        lambda interface: (
            interface.ec2_backend.tags.get(interface.id, {}).get(REQUESTER_MANAGED_TAG) == "true"
        ),
        lambda interface, value: None,
    ),
    restores=(
        "requester-managed interfaces exist (here: those tagged sandbox:requester-managed=true)"
    ),
)


interfaces.NetworkInterface.interface_type = None
replace(
    interfaces.NetworkInterface,
    "interface_type",
    property(
        lambda interface: interface.ec2_backend.tags.get(interface.id, {}).get(
            INTERFACE_TYPE_TAG, "interface"
        ),
        lambda interface, value: None,
    ),
    restores=(
        "trunk and branch interfaces exist (here: tagged sandbox:interface-type=trunk or branch)"
    ),
)


@patch(
    interfaces.NetworkInterface,
    "get_filter_value",
    restores="DescribeNetworkInterfaces finds interfaces by their type",
)
def filter_value(
    original: Original, interface: Any, filter_name: str, method_name: str | None = None
) -> Any:
    if filter_name == "interface-type":
        return interface.interface_type
    return original(interface, filter_name, method_name)


def _refuse_associations(response: Any) -> None:
    raise error("UnauthorizedOperation", "You are not authorized to perform this operation.")


add(
    interface_responses.ElasticNetworkInterfaces,
    "describe_trunk_interface_associations",
    _refuse_associations,
    restores="DescribeTrunkInterfaceAssociations exists, and is refused to a role",
)


def _checked_groups(backend: Any, interface: Any, group_ids: list[str]) -> list[Any]:
    groups = []
    for group_id in group_ids:
        group = backend.get_security_group_from_id(group_id)
        if group is None:
            raise error("InvalidGroup.NotFound", f"The security group '{group_id}' does not exist")
        if group.vpc_id != interface.vpc_id:
            raise error(
                "InvalidParameter",
                f"Security group {group_id} and interface {interface.id} belong to different"
                " networks.",
            )
        groups.append(group)
    return groups


@patch(
    interfaces.NetworkInterfaceBackend,
    "modify_network_interface_attribute",
    restores=(
        "an unknown group, a group of another VPC and a requester-managed interface are refused"
    ),
)
def modify_interface(
    original: Original,
    backend: Any,
    eni_id: str,
    group_ids: list[str],
    source_dest_check: object = None,
    description: object = None,
) -> object:
    interface = backend.get_network_interface(eni_id)
    if interface.requester_managed:
        raise error("AuthFailure", "You do not have permission to access the specified resource.")
    _checked_groups(backend, interface, group_ids)
    return original(backend, eni_id, group_ids, source_dest_check, description)


_ATTRIBUTES = {
    "InstanceType": "instance_type",
    "Kernel": "kernel",
    "Ramdisk": "ramdisk",
    "UserData": "user_data",
    "DisableApiTermination": "disable_api_termination",
    "SourceDestCheck": "source_dest_check",
    "EbsOptimized": "ebs_optimized",
    "DisableApiStop": "disable_api_stop",
    "InstanceInitiatedShutdownBehavior": "instance_initiated_shutdown_behavior",
}
_ONLY_STOPPED = {"InstanceType", "Kernel", "Ramdisk", "UserData", "EbsOptimized"}


def _set_attribute(instance: Any, name: str, value: object) -> None:
    if name in _ONLY_STOPPED and instance.state != "stopped":
        raise error(
            "IncorrectInstanceState", f"The instance '{instance.id}' is not in the 'stopped' state."
        )
    if name == "UserData":
        value = instance_responses.parse_user_data(value) if value else value
    setattr(instance, _ATTRIBUTES[name], value)


def _set_block_devices(instance: Any, mappings: list[dict[str, Any]]) -> None:
    for mapping in mappings:
        device = mapping.get("DeviceName", "")
        if device not in instance.block_device_mapping:
            raise error(
                "InvalidInstanceAttributeValue", f"No device is currently mapped at {device}"
            )
        keep = mapping.get("Ebs", {}).get("DeleteOnTermination")
        if keep is not None:
            instance.block_device_mapping[device].delete_on_termination = keep


@patch(
    instance_responses.InstanceResponse,
    "modify_instance_attribute",
    restores=(
        "one attribute per call, the shutdown behaviour among them (moto empties the groups); wrong"
        " groups are refused"
    ),
)
def modify_instance_attribute(_original: Original, response: Any) -> object:
    instance = response.ec2_backend.get_instance(response._get_param("InstanceId"))
    if instance.state == "terminated":
        raise error(
            "IncorrectInstanceState", f"The instance '{instance.id}' is not in a valid state."
        )
    wanted: dict[str, Any] = {}
    for name in _ATTRIBUTES:
        value = response._get_param(f"{name}.Value")
        if value is not None:
            wanted[name] = value
    attribute = response._get_param("Attribute")
    if attribute:
        wanted[attribute[0].upper() + attribute[1:]] = response._get_param("Value")
    mappings = response._get_param("BlockDeviceMappings", [])
    groups = response._get_param("Groups", [])
    if len(wanted) + bool(mappings) + bool(groups) > 1:
        raise error("InvalidParameterCombination", "Fields for multiple attribute types specified")
    response.error_on_dryrun()
    for name, value in wanted.items():
        if name not in _ATTRIBUTES:
            raise error(
                "InvalidParameterValue", f"Value ({attribute}) for parameter attribute is invalid."
            )
        _set_attribute(instance, name, value)
    if mappings:
        _set_block_devices(instance, mappings)
    if groups:
        if len(instance.nics) > 1:
            raise error(
                "InvalidInstanceID",
                f"There are multiple interfaces attached to instance '{instance.id}'. "
                "Please specify an interface ID for the operation instead.",
            )
        instance.security_groups = _checked_groups(response.ec2_backend, instance.nics[0], groups)
    return core_responses.EmptyResult()


@patch(
    instances.Instance,
    "prep_nics",
    restores="the primary interface is deleted with its instance unless asked otherwise",
)
def prep_nics(
    original: Original, instance: Any, nic_spec: Any, *args: object, **kwargs: object
) -> None:
    original(instance, nic_spec, *args, **kwargs)
    asked = {
        int(nic.get("DeviceIndex", 0)): nic.get("DeleteOnTermination") for nic in nic_spec or []
    }
    for index, interface in instance.nics.items():
        if asked.get(index) is None:
            interface.delete_on_termination = True


def _primary(attribute: str) -> property:
    def read(instance: Any) -> Any:
        primary = instance.nics.get(0)
        return getattr(primary, attribute) if primary is not None else None

    return property(read)


for _name, _attribute in {
    "private_ip": "private_ip_address",
    "private_ip_address": "private_ip_address",
    "public_ip": "public_ip",
    "public_ip_address": "public_ip",
}.items():
    replace(
        instances.Instance,
        _name,
        _primary(_attribute),
        restores="an instance without interfaces (terminated) has no address",
    )


@patch(
    instances.Instance,
    "terminate",
    restores="a terminated instance has no interfaces and no groups",
)
def terminate(original: Original, instance: Any) -> object:
    previous = original(instance)
    for interface in list(instance.nics.values()):
        interface.instance, interface.attachment_id, interface.status = None, None, "available"
    instance.nics = {}
    return previous


@patch(
    regions.RegionsAndZonesBackend,
    "describe_regions",
    restores="an account sees the Regions that are enabled in it, not all",
)
def describe_regions(original: Original, self: object, names: list[str] | None = None) -> object:
    return [region for region in original(self, names) if region.name in settings.REGIONS]
