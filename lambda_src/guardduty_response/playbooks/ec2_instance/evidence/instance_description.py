"""What the instance is and shows: its description, user data, console output and screen. Reads
alone, each failing alone.
"""

from __future__ import annotations

import base64
import json
from functools import partial
from typing import Any

from botocore.exceptions import ClientError

from guardduty_response.aws import clients
from guardduty_response.aws.errors import error_code
from guardduty_response.containment.target_context import AWS_ERRORS, allow, gather, why
from guardduty_response.errors import TargetGone
from guardduty_response.evidence.items import Json, Outcome, Part
from guardduty_response.incident.repository import now
from guardduty_response.playbooks.ec2_instance.instance_context import Work
from guardduty_response.playbooks.ec2_instance.state import describe, filters

NAME = "instance"
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


def run(work: Work, _before: Json) -> Part:
    """One call: ``metadata.json``, ``user-data.txt``, ``console.txt``, ``screenshot.jpg``;
    PARTIAL names what is missing.
    """
    ec2 = session(work).client("ec2")
    try:
        found = describe(work, ec2)
    except TargetGone as gone:
        return Part(Outcome.NOT_POSSIBLE, f"nothing can be read of it: {gone}")
    console = work.options.get("capture_console", True)
    shows: dict[str, Any] = {"user data": partial(_user_data, work, ec2)}
    if console:  # first: the screen and the console change, the rest hardly does
        shows = {
            "screenshot": partial(_screenshot, work, ec2),
            "console output": partial(_console, work, ec2),
            **shows,
        }
    got = gather({**shows, **_reads(work, ec2, found)})
    objects, said, missing = [], [], []
    for name in shows:
        result = got[name]
        if isinstance(result, Exception) and error_code(result) in _UNSUPPORTED:
            said.append(f"no {name}: AWS does not offer it for this instance ({why(result)})")
        elif isinstance(result, Exception):
            missing.append(f"{name} ({why(result)})")
        elif isinstance(result, str):
            said.append(result)
        else:
            objects.append(result)
    parts = {name: got[name] for name in _reads(work, ec2, found)}
    missing += [
        f"{name} ({why(result)})" for name, result in parts.items() if isinstance(result, Exception)
    ]
    document = {
        "instance_id": work.id,
        "account_id": work.target.account_id,
        "region": work.target.region,
        "read_at": now(),
        "instance": found,
        **{name: result for name, result in parts.items() if not isinstance(result, Exception)},
        "missing": missing,
    }
    stored = work.ctx.put_evidence(
        f"{work.id}/metadata.json", json.dumps(document, indent=1, default=str).encode()
    )
    objects.insert(
        0,
        {
            **stored,
            "what": (
                "instance, interfaces, security groups with rules, volumes, image, profile,"
                " attributes"
            ),
        },
    )
    if not console:
        said.append("console and screenshot switched off (capture_console)")
    text = "; ".join([", ".join(one["key"].rsplit("/", 1)[-1] for one in objects), *said])
    if not missing:
        return Part(Outcome.COMPLETE, text, objects=objects)
    return Part(Outcome.PARTIAL, f"{text}; missing: {'; '.join(missing)}", objects=objects)


def session(work: Work) -> clients.Session:
    return work.open(
        allow(READS), allow(("ec2:GetConsoleOutput", "ec2:GetConsoleScreenshot"), work.target.arn)
    )


def _reads(work: Work, ec2: Any, found: Json) -> Json:
    groups = sorted(
        {
            one["GroupId"]
            for eni in found.get("NetworkInterfaces") or []
            for one in eni.get("Groups") or []
        }
    )
    attached = filters(**{"attachment.instance-id": work.id})
    return {
        "interfaces": lambda: ec2.describe_network_interfaces(Filters=attached)[
            "NetworkInterfaces"
        ],
        "security_groups": lambda: (
            ec2.describe_security_groups(GroupIds=groups)["SecurityGroups"] if groups else []
        ),
        "volumes": lambda: ec2.describe_volumes(Filters=attached)["Volumes"],
        "image": lambda: ec2.describe_images(ImageIds=[found["ImageId"]])["Images"],
        "profile": lambda: ec2.describe_iam_instance_profile_associations(
            Filters=filters(**{"instance-id": work.id})
        )["IamInstanceProfileAssociations"],
        "attributes": lambda: {name: _attribute(work, ec2, name) for name in ATTRIBUTES},
    }


def _attribute(work: Work, ec2: Any, name: str) -> Any:
    try:
        got = ec2.describe_instance_attribute(InstanceId=work.id, Attribute=name)
    except AWS_ERRORS as error:
        return {"unread": why(error)}
    return {
        key: value for key, value in got.items() if key not in ("ResponseMetadata", "InstanceId")
    }


def _user_data(work: Work, ec2: Any) -> Json | str:
    got = (
        ec2.describe_instance_attribute(InstanceId=work.id, Attribute="userData").get("UserData")
        or {}
    )
    if not got.get("Value"):
        return "no user data"
    try:
        content = base64.b64decode(got["Value"], validate=True)
    except ValueError:
        content = str(got["Value"]).encode()
    stored = work.ctx.put_evidence(f"{work.id}/user-data.txt", content)
    return {
        **stored,
        "what": "user data of the instance: may hold passwords and keys, treat as a secret",
    }


def _console(work: Work, ec2: Any) -> Json | str:
    try:
        got = ec2.get_console_output(InstanceId=work.id, Latest=True)
    except ClientError as error:
        # only Nitro instances give the latest output; others what they printed when booting
        if error_code(error) not in _UNSUPPORTED:
            raise
        got = ec2.get_console_output(InstanceId=work.id)
    if not got.get("Output"):
        return "the console has printed nothing"
    # botocore has decoded the base64
    stored = work.ctx.put_evidence(f"{work.id}/console.txt", got["Output"].encode())
    return {**stored, "what": f"console output as of {got.get('Timestamp')}"}


def _screenshot(work: Work, ec2: Any) -> Json:
    # No WakeUp: that is a key press on the suspect machine.
    got = ec2.get_console_screenshot(InstanceId=work.id)
    stored = work.ctx.put_evidence(f"{work.id}/screenshot.jpg", base64.b64decode(got["ImageData"]))
    return {**stored, "what": "screen of the instance"}
