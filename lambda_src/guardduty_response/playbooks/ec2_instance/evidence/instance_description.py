"""Reads what the instance is and shows: its description, user data, console output and screen. Each
read fails alone.

It may be contained by then. What it was before comes from the record of its containment, and the
rules of the security groups that it was in are read, which containment does not change.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, cast

from botocore.exceptions import ClientError

from guardduty_response.aws import clients
from guardduty_response.aws.errors import error_code, is_transient
from guardduty_response.containment.target_context import (
    allow,
    describe_error,
    result_or_raise,
    run_all,
)
from guardduty_response.errors import TargetGone
from guardduty_response.evidence.items import EvidenceItem, Outcome
from guardduty_response.incident.moments import now
from guardduty_response.playbooks.ec2_instance.instance_context import InstanceContext
from guardduty_response.playbooks.ec2_instance.state import describe, filters

if TYPE_CHECKING:
    from guardduty_response.aws.api import AwsAnswer, AwsClient
    from guardduty_response.incident.model import EvidenceEntry, StoredObject
    from guardduty_response.playbooks.ec2_instance.records import NetworkBefore

NAME = "instance"
ASKED_AGAIN = 2  # times, for all of it: while anything is throttled for longer than PAUSES
PAUSES = (2, 4, 8)  # seconds, before what was throttled is asked for again
READS = (
    "ec2:DescribeIamInstanceProfileAssociations",
    "ec2:DescribeImages",
    "ec2:DescribeInstanceAttribute",
    "ec2:DescribeInstances",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeVolumes",
)
ATTRIBUTES = (
    "disableApiStop",
    "disableApiTermination",
    "instanceInitiatedShutdownBehavior",
    "sourceDestCheck",
)
# What AWS says where it offers no console: bare metal, some Arm types, a stopped instance.
_UNSUPPORTED = (
    "UnsupportedOperation",
    "Unsupported",
    "InvalidParameterCombination",
    "IncorrectInstanceState",
    "UnsupportedOperationException",
)


def run(instance: InstanceContext, before: EvidenceEntry) -> EvidenceItem:
    """One call: ``metadata.json``, ``user-data.txt``, ``console.txt``, ``screenshot.jpg``;
    PARTIAL names what is missing. Raises the error of a read that was throttled: all is read again.
    """
    ec2 = session(instance).client("ec2")
    try:
        found = describe(instance, ec2)
    except TargetGone as gone:
        return EvidenceItem(Outcome.NOT_POSSIBLE, f"nothing can be read of it: {gone}")
    # After the instance: what shows a change of containment was recorded before it.
    recorded = instance.read_stored().get("before") or {}
    groups = _groups(found, cast("NetworkBefore | None", recorded.get("network")))
    reads = _reads(instance, ec2, found, groups)
    console = instance.options.get("capture_console", True)
    shows: dict[str, Callable[[], StoredObject | str]] = {
        "user data": partial(_user_data, instance, ec2)
    }
    if console:  # first: the screen and the console change, the rest hardly does
        shows = {
            "screenshot": partial(_screenshot, instance, ec2),
            "console output": partial(_console, instance, ec2),
            **shows,
        }
    attributes = {
        f"attribute {name}": partial(_attribute, instance, ec2, name) for name in ATTRIBUTES
    }
    got = _ask({**shows, **reads, **attributes})
    throttled = _throttled(got)
    if throttled and int(before.get("tries", 0)) < ASKED_AGAIN:
        result_or_raise(got[throttled[0]])
    objects: list[StoredObject] = []
    said, missing = [], []
    for name in shows:
        result = got[name]
        if isinstance(result, Exception) and error_code(result) in _UNSUPPORTED:
            said.append(
                f"no {name}: AWS does not offer it for this instance ({describe_error(result)})"
            )
        elif isinstance(result, Exception):
            missing.append(f"{name} ({describe_error(result)})")
        elif isinstance(result, str):
            said.append(result)
        else:
            objects.append(cast("StoredObject", result))
    parts = {name: got[name] for name in reads}
    missing += _not_found(groups, parts["security_groups"])
    missing += [
        f"{name} ({describe_error(result)})"
        for name, result in got.items()
        if name not in shows and isinstance(result, Exception)
    ]
    document = {
        "instance_id": instance.id,
        "account_id": instance.target.account_id,
        "region": instance.target.region,
        "read_at": now(),
        "instance": found,
        "before_containment": recorded,
        **{name: result for name, result in parts.items() if not isinstance(result, Exception)},
        "attributes": {name: _as_read(got[f"attribute {name}"]) for name in ATTRIBUTES},
        "missing": missing,
    }
    stored = instance.context.put_evidence(
        f"{instance.id}/metadata.json", json.dumps(document, indent=1, default=str).encode()
    )
    objects.insert(
        0,
        {
            **stored,
            "what": (
                "instance, interfaces, volumes, image, profile, attributes; settings before"
                " containment; security groups of then and now with rules"
            ),
        },
    )
    if not console:
        said.append("console and screenshot switched off (capture_console)")
    text = "; ".join([", ".join(stored["key"].rsplit("/", 1)[-1] for stored in objects), *said])
    if not missing:
        return EvidenceItem(Outcome.COMPLETE, text, objects=objects)
    return EvidenceItem(Outcome.PARTIAL, f"{text}; missing: {'; '.join(missing)}", objects=objects)


def _ask(calls: Mapping[str, Callable[[], object]]) -> dict[str, object]:
    """Returns each call's result or error. What is throttled is asked for again after a pause, and
    alone: asking for all of it would be throttled again.
    """
    got: dict[str, object] = {**run_all(calls)}
    for seconds in PAUSES:
        if not (throttled := _throttled(got)):
            break
        time.sleep(seconds)
        got |= run_all({name: calls[name] for name in throttled})
    return got


def _throttled(got: Mapping[str, object]) -> list[str]:
    return [
        name
        for name, result in got.items()
        if isinstance(result, Exception) and is_transient(result)
    ]


def session(instance: InstanceContext) -> clients.Session:
    return instance.open_session(
        allow(READS),
        allow(("ec2:GetConsoleOutput", "ec2:GetConsoleScreenshot"), instance.target.arn),
    )


def _groups(found: AwsAnswer, before: NetworkBefore | None) -> list[str]:
    """Returns the security groups that the interfaces are in, and were in before containment."""
    now = {
        group["GroupId"]
        for eni in found.get("NetworkInterfaces") or []
        for group in eni.get("Groups") or []
    }
    interfaces = before["interfaces"] if before else {}
    return sorted(now.union(*(eni.get("groups") or [] for eni in interfaces.values())))


def _not_found(groups: list[str], read: object) -> list[str]:
    """Returns the groups whose rules cannot be had any more."""
    if not isinstance(read, list):
        return []
    there = {group["GroupId"] for group in read}
    return [f"security group {id} (deleted since)" for id in groups if id not in there]


def _reads(
    instance: InstanceContext, ec2: AwsClient, found: AwsAnswer, groups: list[str]
) -> dict[str, Callable[[], object]]:
    attached = filters(**{"attachment.instance-id": instance.id})
    named = [{"Name": "group-id", "Values": groups}]
    return {
        "interfaces": lambda: ec2.describe_network_interfaces(Filters=attached)[
            "NetworkInterfaces"
        ],
        "security_groups": lambda: (
            # By filter: one that was deleted hides no other.
            ec2.describe_security_groups(Filters=named)["SecurityGroups"] if groups else []
        ),
        "volumes": lambda: ec2.describe_volumes(Filters=attached)["Volumes"],
        "image": lambda: ec2.describe_images(ImageIds=[found["ImageId"]])["Images"],
        "profile": lambda: ec2.describe_iam_instance_profile_associations(
            Filters=filters(**{"instance-id": instance.id})
        )["IamInstanceProfileAssociations"],
    }


def _attribute(instance: InstanceContext, ec2: AwsClient, name: str) -> AwsAnswer:
    got = ec2.describe_instance_attribute(InstanceId=instance.id, Attribute=name)
    return {
        key: value for key, value in got.items() if key not in ("ResponseMetadata", "InstanceId")
    }


def _as_read(result: object) -> object:
    return {"unread": describe_error(result)} if isinstance(result, Exception) else result


def _user_data(instance: InstanceContext, ec2: AwsClient) -> StoredObject | str:
    got = (
        ec2.describe_instance_attribute(InstanceId=instance.id, Attribute="userData").get(
            "UserData"
        )
        or {}
    )
    if not got.get("Value"):
        return "no user data"
    try:
        content = base64.b64decode(got["Value"], validate=True)
    except ValueError:
        content = str(got["Value"]).encode()
    stored = instance.context.put_evidence(f"{instance.id}/user-data.txt", content)
    return {
        **stored,
        "what": "user data of the instance: may hold passwords and keys, treat as a secret",
    }


def _console(instance: InstanceContext, ec2: AwsClient) -> StoredObject | str:
    try:
        got = ec2.get_console_output(InstanceId=instance.id, Latest=True)
    except ClientError as error:
        # only Nitro instances give the latest output; others what they printed when booting
        if error_code(error) not in _UNSUPPORTED:
            raise
        got = ec2.get_console_output(InstanceId=instance.id)
    if not got.get("Output"):
        return "the console has printed nothing"
    # botocore has decoded the base64
    stored = instance.context.put_evidence(f"{instance.id}/console.txt", got["Output"].encode())
    return {**stored, "what": f"console output as of {got.get('Timestamp')}"}


def _screenshot(instance: InstanceContext, ec2: AwsClient) -> StoredObject:
    # No WakeUp: that is a key press on the suspect machine.
    got = ec2.get_console_screenshot(InstanceId=instance.id)
    stored = instance.context.put_evidence(
        f"{instance.id}/screenshot.jpg", base64.b64decode(got["ImageData"])
    )
    return {**stored, "what": "screen of the instance"}
