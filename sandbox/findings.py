"""Findings from files: recognised in every shape they come in, bound to the sandbox's instance,
put on the bus.
"""

from __future__ import annotations

import copy
import hashlib
import json
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from . import principals, seed, settings
from .clients import Aws
from .settings import SandboxError

Json = dict[str, Any]
SOURCE = "aws.guardduty"
DETAIL_TYPE = "GuardDuty Finding"
# The names of times in findings and events, in either capitalization: createdAt, eventLastSeen,
# launchTime, startTime, time … Tags and names that look like a time have other keys.
_TIME_NAME = re.compile(r"(?:.*(?:At|Time|Seen)|[Tt]ime)$")
_TIMESTAMP = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d)$")


@dataclass
class Event:
    """An event as PutEvents takes it."""

    source: str
    detail_type: str
    detail: Json
    region: str = settings.REGION  # on whose bus it is put


@dataclass(frozen=True)
class Sent:
    """A sent event; ``incident_id`` is None when the finding has no id to derive it from."""

    event: Event
    event_id: str
    incident_id: str | None
    at: str


def read(path: Path) -> Json:
    """Return the JSON object in a file; SandboxError says what else is there."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SandboxError(f"{path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise SandboxError(f"{path} is not a text file in UTF-8.") from None
    except json.JSONDecodeError as error:
        raise SandboxError(
            f"{path} is not JSON: {error.msg} in line {error.lineno}, column {error.colno}."
        ) from None
    if not isinstance(data, dict):
        raise SandboxError(
            f"{path} holds a JSON {type(data).__name__}, not an object. Give one finding or one"
            " event."
        )
    return data


def _camel(value: object) -> Any:
    """GetFindings as boto3 shows it (AccountId) to what EventBridge delivers (accountId)."""
    if isinstance(value, dict):
        return {key[:1].lower() + key[1:]: _camel(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_camel(item) for item in value]
    return value


def _is_api_shape(finding: Json) -> bool:
    return (
        "Type" in finding
        and "type" not in finding
        and ("AccountId" in finding or "Resource" in finding)
    )


def recognise(data: Json, name: str) -> Event:
    """Return the event a file stands for: an event as it is, a finding in any shape wrapped into
    one.

    An object that is neither is sent as a finding all the same: malformed findings have an outcome
    too.
    """
    if "detail" in data and ("detail-type" in data or "source" in data):
        detail = data["detail"]
        if not isinstance(detail, dict):
            raise SandboxError(
                f"{name} is an event whose detail is not an object; EventBridge takes objects only."
            )
        source = str(data.get("source", SOURCE))
        kind = str(data.get("detail-type", DETAIL_TYPE))
        return Event(source, kind, _camel(detail) if _is_api_shape(detail) else detail)
    for key in ("Findings", "findings"):
        if isinstance(data.get(key), list):
            if len(data[key]) != 1 or not isinstance(data[key][0], dict):
                raise SandboxError(f"{name} holds {len(data[key])} findings. Give a file with one.")
            data = data[key][0]
    if "ProductArn" in data or str(data.get("SchemaVersion", "")).startswith("2018"):
        raise SandboxError(
            f"{name} is in Security Hub's format (ASFF), not a GuardDuty finding or event."
        )
    return Event(SOURCE, DETAIL_TYPE, _camel(data) if _is_api_shape(data) else data)


def _times(value: object) -> Iterator[tuple[str, datetime]]:
    """Yield every time in a document with the name it stands under."""
    if isinstance(value, list):
        for item in value:
            yield from _times(item)
    elif isinstance(value, dict):
        for name, item in value.items():
            if _is_time(name, item):
                yield name, datetime.fromisoformat(item)
            else:
                yield from _times(item)


def _is_time(name: str, value: object) -> bool:
    if not isinstance(value, str) or not _TIME_NAME.match(name) or not _TIMESTAMP.match(value):
        return False
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return True


def _shifted_text(text: str, offset: timedelta) -> str:
    """Return the time moved by whole seconds, written as it was: same fraction, same zone."""
    found = _TIMESTAMP.match(text)
    assert found  # only called for what _is_time accepted
    seconds, fraction, zone = found.groups()
    moved = datetime.fromisoformat(seconds) + offset
    return f"{moved.isoformat(timespec='seconds')}{fraction or ''}{zone}"


def _shifted(value: object, offset: timedelta) -> Any:
    if isinstance(value, list):
        return [_shifted(item, offset) for item in value]
    if isinstance(value, dict):
        return {
            name: _shifted_text(item, offset) if _is_time(name, item) else _shifted(item, offset)
            for name, item in value.items()
        }
    return value


def moved_to_now(event: Json, now: datetime | None = None) -> Json:
    """Return a copy of an event or finding whose times are moved so that it was just seen.

    Every time (of the envelope, the finding, its actions and resources) is moved by the same whole
    number of seconds, so their distances stay. ``eventLastSeen`` becomes ``now`` to the second; in
    a finding without it, the newest time does. A document without times is returned unchanged.

    ``event``: an EventBridge event or a finding, in any shape that ``recognise`` takes.
    ``now``: an aware datetime; the current time when left out.
    """
    times = list(_times(event))
    if not times:
        return copy.deepcopy(event)
    last_seen = [time for name, time in times if name.lower() == "eventlastseen"]
    anchor = max(last_seen or [time for _, time in times])
    seconds = ((now or datetime.now(UTC)) - anchor) // timedelta(seconds=1)
    moved: Json = _shifted(event, timedelta(seconds=seconds))
    return moved


def _interfaces(shown: Json) -> list[Json]:
    return [
        {
            "networkInterfaceId": item["NetworkInterfaceId"],
            "subnetId": item["SubnetId"],
            "vpcId": item["VpcId"],
            "privateIpAddress": item.get("PrivateIpAddress"),
            "privateIpAddresses": [{"privateIpAddress": item.get("PrivateIpAddress")}],
            "ipv6Addresses": [entry["Ipv6Address"] for entry in item.get("Ipv6Addresses", [])],
            "securityGroups": [
                {"groupId": group["GroupId"], "groupName": group.get("GroupName", "")}
                for group in item["Groups"]
            ],
        }
        for item in shown["NetworkInterfaces"]
    ]


def bind_instance(aws: Aws, detail: Json, instance: str, account: str) -> None:
    """Make a finding about someone's instance one about ``instance`` of the sandbox, in
    ``account``.

    Its id replaces the old one wherever that stands; interfaces and profile are the instance's own
    when it exists.
    """
    if not isinstance(detail.get("resource"), dict):
        detail["resource"] = {}
    details = detail["resource"].setdefault("instanceDetails", {})
    old = details.get("instanceId")
    if old:
        renamed = json.loads(json.dumps(detail).replace(old, instance))
        detail.clear()
        detail.update(renamed)
        details = detail["resource"]["instanceDetails"]
    details["instanceId"] = instance
    try:
        shown = seed.describe(aws, account, instance)
    except aws.client("ec2", account).exceptions.ClientError:
        return
    if "availabilityZone" in details:
        details["availabilityZone"] = shown["Placement"]["AvailabilityZone"]
    if shown["NetworkInterfaces"]:
        details["networkInterfaces"] = _interfaces(shown)
    if "iamInstanceProfile" in details:
        profile = shown.get("IamInstanceProfile")
        details["iamInstanceProfile"] = (
            {"arn": profile["Arn"], "id": profile["Id"]} if profile else None
        )


def bind_account(event: Event, account: str | None, region: str | None = None) -> None:
    """Make it a finding of another account, or Region, or both. None leaves it as it is."""
    if account:
        event.detail["accountId"] = account
    if region:
        event.detail["region"] = event.region = region
    parts = str(event.detail.get("arn", "")).split(":")
    if len(parts) > 5:
        parts[3], parts[4] = str(event.detail.get("region", parts[3])), account or parts[4]
        event.detail["arn"] = ":".join(parts)


def renew(event: Event) -> None:
    """Give the finding an id of its own, so that it is a new incident."""
    old = event.detail.get("id")
    if not isinstance(old, str):
        return
    event.detail["id"] = uuid.uuid4().hex
    if isinstance(event.detail.get("arn"), str):
        event.detail["arn"] = event.detail["arn"].replace(old, event.detail["id"])


def incident_id(detail: Json) -> str | None:
    """Return the incident a finding belongs to (contract: account/region/finding id), None without
    an id.
    """
    parts = [detail.get(name) for name in ("accountId", "region", "id")]
    if not all(isinstance(part, str) and part for part in parts):
        return None
    return "inc-" + hashlib.sha256("/".join(map(str, parts)).encode()).hexdigest()[:16]


def send(aws: Aws, event: Event) -> Sent:
    """Put the event on the security account's default bus in its Region, as GuardDuty does for the
    delegated administrator.

    What is put elsewhere than at home is taken there by the forwarder of that Region, if there is
    one.
    """
    at = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    answer = aws.client("events", settings.SECURITY_ACCOUNT, region=event.region).put_events(
        Entries=[
            {
                "Source": event.source,
                "DetailType": event.detail_type,
                "Detail": json.dumps(event.detail),
            }
        ]
    )
    entry = answer["Entries"][0]
    if answer["FailedEntryCount"]:
        raise SandboxError(
            f"EventBridge refused the event: {entry.get('ErrorCode')}: {entry.get('ErrorMessage')}"
        )
    return Sent(event, entry["EventId"], incident_id(event.detail), at)


def prepare(
    aws: Aws,
    data: Json,
    name: str,
    *,
    bindings: dict[str, str] | None = None,
    account: str | None = None,
    region: str | None = None,
    keep_id: bool = False,
    keep_times: bool = False,
) -> Event:
    """Make the event to send from a file's content: moved to now, bound and renewed as asked.

    ``region``: the finding's, and the Region on whose bus it is put; bound and without one, it is
    of the home Region. ``keep_times``: the file's times stay (see ``moved_to_now``).
    """
    event = recognise(copy.deepcopy(data) if keep_times else moved_to_now(data), name)
    bindings = bindings or {}
    binders = {
        "instance": bind_instance,
        "user": principals.bind_user,
        "role": principals.bind_role,
    }
    if unknown := set(bindings) - set(binders):
        raise SandboxError(
            "An instance, a user or a role can be bound (--bind instance=ID, user=NAME,"
            f" role=NAME/SESSION), not {', '.join(sorted(unknown))}."
        )
    if len({"user", "role"} & set(bindings)) == 2:
        raise SandboxError("A finding is about one principal: bind a user or a role, not both.")
    if region and region not in settings.REGIONS:
        raise SandboxError(
            f"The sandbox has no Region {region}, only {' and '.join(settings.REGIONS)}."
        )
    if bindings:
        account, region = account or settings.MEMBER_ACCOUNT, region or settings.REGION
    for kind, value in bindings.items():
        binders[kind](
            aws.at(region or settings.REGION),
            event.detail,
            value,
            account or settings.MEMBER_ACCOUNT,
        )
    if account or region:
        bind_account(event, account, region)
    if not keep_id:
        renew(event)
    return event
