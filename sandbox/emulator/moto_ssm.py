"""Patches of moto's Systems Manager: instances are managed, and commands run (guest.py) instead of
succeeding at once.

Faults, by a tag ``sandbox:ssm`` on the instance: ``none`` (not managed), ``offline`` (the agent has
not been heard of), ``hang`` (a command is InProgress for ever), ``fail`` (it fails and does
nothing). An instance is offline too when it is stopped or when none of its security groups lets
anything out; a command then under way is cut off and never heard of again.
"""

from __future__ import annotations

import re
import threading
import time
from datetime import UTC, datetime
from functools import partial
from typing import Any

from .guest import Guest, linux_script
from .moto_modules import ec2, ssm, ssm_responses
from .patching import Original, add, patch

_DELIVERY = 0.3  # seconds until the agent takes a command
_guests: dict[str, Guest] = {}
_Error: Any = ssm.InvalidDocument.__mro__[1]


def _error(code: str, message: str = "") -> Exception:
    made: Exception = _Error(code, message or code)
    return made


def _instances(account: str, region: str) -> dict[str, Any]:
    found = ec2.ec2_backends[account][region]
    return {
        item.id: item for reservation in found.all_reservations() for item in reservation.instances
    }


def _trait(account: str, region: str, id: str) -> str:
    return str(ec2.ec2_backends[account][region].tags.get(id, {}).get("sandbox:ssm", ""))


def _reachable(account: str, region: str, id: str) -> bool:
    item = _instances(account, region).get(id)
    if item is None or item.state != "running" or _trait(account, region, id) == "offline":
        return False
    groups = [group for interface in list(item.nics.values()) for group in interface.group_set]
    return any(group.egress_rules for group in groups)


def describe_instance_information(response: Any) -> Any:
    """DescribeInstanceInformation: every instance that is not terminated, with its agent's
    state.
    """
    account = response.current_account
    region = response.region
    filters = {item["Key"]: item["Values"] for item in response._get_param("Filters") or []}
    wanted = filters.get("InstanceIds")
    shown = []
    for id, item in _instances(account, region).items():
        if (
            item.state == "terminated"
            or (wanted and id not in wanted)
            or _trait(account, region, id) == "none"
        ):
            continue
        online = _reachable(account, region, id)
        shown.append(
            {
                "InstanceId": id,
                "PingStatus": "Online" if online else "ConnectionLost",
                "LastPingDateTime": datetime.now(UTC),
                "AgentVersion": "3.3.2299.0",
                "PlatformType": "Linux",
                "PlatformName": "Amazon Linux",
                "ResourceType": "EC2Instance",
            }
        )
    return ssm_responses.ActionResult({"InstanceInformationList": shown})


def _document(account: str, region: str, name: str) -> Any:
    """Return the document's default version: the account's own, or by ARN one that is shared with
    the account in this Region.
    """
    owner = account
    place = region
    if name.startswith("arn:"):
        place, owner, name = name.split(":")[3], name.split(":")[4], name.rsplit("/", 1)[-1]
    documents = ssm.ssm_backends[owner][place]._documents.get(name)
    shared = documents is not None and (
        owner == account or {account, "all"} & {key.lower() for key in documents.permissions}
    )
    if place != region or not shared:
        raise _error("InvalidDocument", f"Document with name {name} does not exist.")
    return documents.get_default_version()


def _check(content: dict[str, Any], parameters: dict[str, list[str]]) -> None:
    known = content.get("parameters", {})
    for name, values in parameters.items():
        pattern = known.get(name, {}).get("allowedPattern")
        if name not in known or (
            pattern and not all(re.fullmatch(pattern, value) for value in values)
        ):
            raise _error(
                "InvalidParameters",
                f"Parameter {name} with value {values} is not allowed by the document.",
            )
    missing = [
        name
        for name, parameter in known.items()
        if "default" not in parameter and name not in parameters
    ]
    if missing:
        raise _error("InvalidParameters", f"Missing parameters: {', '.join(missing)}")


def _tell(command: Any, id: str, status: str, code: int, out: str, err: str) -> None:
    shown = command.get_invocation(id, None)
    shown |= {
        "Status": status,
        "StatusDetails": status,
        "ResponseCode": code,
        "StandardOutputContent": out,
        "StandardErrorContent": err,
    }
    command.status = command.status_details = status


@patch(
    ssm.SimpleSystemManagerBackend,
    "send_command",
    restores="a command runs the document on its instances",
)
def send_command(original: Original, backend: Any, **given: Any) -> object:
    account = backend.account_id
    region = backend.region_name
    known = _instances(account, region)
    ids = list(given["instance_ids"])
    if any(
        id not in known or known[id].state != "running" or _trait(account, region, id) == "none"
        for id in ids
    ):
        raise _error("InvalidInstanceId", "Instances not in a valid state for account")
    name = given["document_name"] or ""
    if name.startswith("AWS-"):
        return original(backend, **given)
    content = _document(account, region, name).content_json
    _check(content, given["parameters"])
    command = original(backend, **given)
    # moto takes "no targets" for all instances
    command.instance_ids, command.target_count = list(ids), len(ids)
    command.invocations = [
        invocation for invocation in command.invocations if invocation["InstanceId"] in ids
    ]
    script = linux_script(content, given["parameters"])
    for id in ids:
        _tell(command, id, "Pending", -1, "", "")
        threading.Thread(
            target=_deliver, args=(command, id, account, region, script), daemon=True
        ).start()
    return command


def _deliver(
    command: Any, id: str, account: str, region: str, script: tuple[str, float] | None
) -> None:
    """Pending until the agent takes it, or for as long as it is told to wait."""
    ends = time.monotonic() + command.timeout_seconds
    time.sleep(_DELIVERY)
    while not _reachable(account, region, id) and command.status != "Cancelled":
        if time.monotonic() > ends:
            _tell(command, id, "TimedOut", -1, "", "")
            return
        time.sleep(0.2)
    trait = _trait(account, region, id)
    if command.status == "Cancelled":
        return
    if trait == "fail":
        _tell(
            command,
            id,
            "Failed",
            1,
            "",
            "the sandbox was asked to fail this command (tag sandbox:ssm)",
        )
    elif trait == "hang":
        _tell(command, id, "InProgress", -1, "", "")
    elif script is None:
        _tell(command, id, "Success", 0, "", "")  # no step for this platform: all are skipped
    else:
        tell = partial(_tell, command, id)
        reachable = partial(_reachable, account, region, id)
        _guests[f"{command.command_id} {id}"] = Guest(*script, tell, reachable)


def cancel_command(response: Any) -> Any:
    """CancelCommand: what has not ended is."""
    command = response.ssm_backend.get_command_by_id(response._get_param("CommandId"))
    for id in command.instance_ids:
        guest = _guests.get(f"{command.command_id} {id}")
        if command.status in ("Pending", "InProgress"):
            if guest:
                guest.cancel()
            _tell(command, id, "Cancelled", -1, "", "")
    return ssm_responses.ActionResult({})


def list_command_invocations(response: Any) -> Any:
    """ListCommandInvocations, by command or by instance."""
    id = response._get_param("InstanceId")
    command_id = response._get_param("CommandId")
    shown = [
        {
            key: invocation[key]
            for key in (
                "CommandId",
                "InstanceId",
                "Comment",
                "DocumentName",
                "Status",
                "StatusDetails",
            )
        }
        for command in response.ssm_backend.list_commands(command_id, id)
        for invocation in command.invocations
    ]
    return ssm_responses.ActionResult({"CommandInvocations": shown})


for _function in (describe_instance_information, cancel_command, list_command_invocations):
    add(
        ssm_responses.SimpleSystemManagerResponse,
        _function.__name__,
        _function,
        restores=f"Systems Manager has the call {_function.__name__}",
    )
