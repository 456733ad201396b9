"""The parameters of a call as CloudTrail records them."""

from __future__ import annotations

import re
from typing import Any

Json = dict[str, Any]
_NUMBERS = re.compile(
    r"(from|to)Port|code|(min|max)Count|volumeSize|iops|port|max(Results|Items|"
    r"SessionDuration)|durationSeconds"
    r"|(min|max)Size|desiredCapacity|credentialAgeDays",
    re.IGNORECASE,
)
_INSTANCES = {"InstanceId": ("InstancesSet", "InstanceId")}
# Lists that AWS records under another name than the request has: parameter -> (set, name of the one
# value in it).
_LISTS: dict[str, dict[str, tuple[str, str]]] = {
    "": {"SecurityGroupId": ("GroupSet", "GroupId")},
    **{
        f"{verb}Instances": _INSTANCES
        for verb in ("Start", "Stop", "Reboot", "Terminate", "Monitor")
    },
    "CreateTags": {"ResourceId": ("ResourcesSet", "ResourceId"), "Tag": ("TagSet", "")},
    "DeleteTags": {"ResourceId": ("ResourcesSet", "ResourceId"), "Tag": ("TagSet", "")},
    "RunInstances": {"TagSpecification": ("TagSpecificationSet", "")},
    "ModifyInstanceAttribute": {"GroupId": ("GroupSet", "GroupId")},
}
_RANGES = ("groups", "ipRanges", "ipv6Ranges", "prefixListIds")


def typed(name: str, text: str) -> Any:
    """Numbers and truth values as JSON has them."""
    if text in ("true", "false"):
        return text == "true"
    return int(text) if _NUMBERS.fullmatch(name) and re.fullmatch(r"-?\d+", text) else text


def camel(value: object) -> Any:
    """Return the value with a small first letter in its names, at every level."""
    if isinstance(value, dict):
        return {key[:1].lower() + key[1:]: camel(item) for key, item in value.items()}
    return [camel(item) for item in value] if isinstance(value, list) else value


def _renamed(action: str, name: str) -> str:
    first, _, rest = name.partition(".")
    for lists in (_LISTS.get(action, {}), _LISTS[""]):
        if first in lists and rest[:1].isdigit():
            group, inner = lists[first]
            return f"{group}.{rest}.{inner}" if inner else f"{group}.{rest}"
    return name


def parameters(flat: Json, *, items: bool) -> Json:
    """Return a query-protocol request as CloudTrail records it: nested, names in lower camel case,
    lists as {items: [...]} for EC2.

    AWS names many lists of EC2 otherwise than the request does; those that matter here are named
    so.
    """
    tree: Json = {}
    action = str(flat.get("Action", ""))
    for name, value in flat.items():
        if name in ("Action", "Version"):
            continue
        renamed = _renamed(action, name) if items else name
        *way, last = [part for part in renamed.split(".") if part not in ("member", "entry")]
        node = tree
        for part in way:
            node = node.setdefault(part, {})
            if not isinstance(node, dict):
                break
        else:
            node[last] = value
    shaped: Json = _shape(tree, items)
    return _as_ec2_writes(action, shaped) if items else shaped


def _shape(node: object, items: bool, name: str = "") -> Any:
    if not isinstance(node, dict):
        return typed(name, node) if isinstance(node, str) else node
    if node and all(key.isdigit() for key in node):
        values = [_shape(value, items, name) for value in node.values()]
        return {"items": values} if items else values
    return {key[:1].lower() + key[1:]: _shape(value, items, key) for key, value in node.items()}


def _as_ec2_writes(action: str, shaped: Json) -> Json:
    """Return what EC2's records have besides the request's own fields."""
    if action == "RunInstances" and "imageId" in shaped:
        instance = {
            key: shaped.pop(key)
            for key in ("imageId", "minCount", "maxCount", "keyName")
            if key in shaped
        }
        shaped["instancesSet"] = {"items": [instance]}
        for tagged in (shaped.get("tagSpecificationSet") or {}).get("items", []):
            tagged["tags"] = (tagged.pop("tag", None) or {}).get("items", [])
    if action in ("ModifySnapshotAttribute", "ModifyImageAttribute"):
        permission = (
            "createVolumePermission" if action == "ModifySnapshotAttribute" else "launchPermission"
        )
        added = (
            (shaped.pop("userId", None) or {}).get("items", []),
            (shaped.pop("userGroup", None) or {}).get("items", []),
        )
        accounts = [{"userId": item} for item in added[0]] + [{"group": item} for item in added[1]]
        if accounts:
            shaped[permission] = {shaped.pop("operationType", "add"): {"items": accounts}}
        if shaped.pop("attribute", permission) == permission:
            shaped["attributeType"] = (
                "CREATE_VOLUME_PERMISSION" if action == "ModifySnapshotAttribute" else permission
            )
    if action.startswith(("AuthorizeSecurityGroup", "RevokeSecurityGroup")):
        for rule in (shaped.get("ipPermissions") or {}).get("items", []):
            for ranges in _RANGES:
                rule.setdefault(ranges, {})
    return shaped
