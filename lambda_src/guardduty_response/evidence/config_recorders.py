"""Reads what AWS Config records in a Region: whether there is a recorder, whether it runs, and
which resource types it records, continuously or once a day.

Shapes: AWS Config API Reference, "ConfigurationRecorder", "RecordingGroup" and
"ConfigurationRecorderStatus".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

from botocore.exceptions import BotoCoreError, ClientError

from guardduty_response.aws.errors import is_transient
from guardduty_response.cloudtrail.query import lookup_command
from guardduty_response.cloudtrail.time_range import iso
from guardduty_response.containment.target_context import describe_error

if TYPE_CHECKING:
    from collections.abc import Iterable

    from guardduty_response.aws import clients
    from guardduty_response.aws.api import AwsAnswer, AwsClient

# IAM is global. A recorder of all supported types records these only where it is told to.
GLOBAL_TYPES = frozenset(
    {"AWS::IAM::Group", "AWS::IAM::Policy", "AWS::IAM::Role", "AWS::IAM::User"}
)
READS = ("config:DescribeConfigurationRecorderStatus", "config:DescribeConfigurationRecorders")


class Recording(TypedDict, total=False):
    """What a Region's customer managed recorder does, of the types that were asked about.

    ``read_error``: why that could not be read; nothing else is known then. ``absent``: there is no
    recorder. ``recording``: whether it runs. ``started``, ``stopped``: when that was last done, in
    seconds since 1970, 0 where AWS Config does not say. ``failed``: why its last recording failed.
    ``types``: those that it records, ``daily``: those of them that it records once a day.
    """

    read_error: str
    absent: bool
    recording: bool
    started: int
    stopped: int
    failed: str
    types: list[str]
    daily: list[str]


def read(config: AwsClient, types: Iterable[str]) -> Recording:
    """Returns what the recorder of the client's Region does about ``types``.

    Without a name, AWS Config answers with the customer managed recorder, of which a Region has one
    at most. Errors pass.
    """
    recorders = config.describe_configuration_recorders()["ConfigurationRecorders"]
    own = [recorder for recorder in recorders if not recorder.get("servicePrincipal")]
    if not own:
        return {"absent": True, "recording": False, "types": [], "daily": []}
    recorder = own[0]
    statuses = config.describe_configuration_recorder_status()["ConfigurationRecordersStatus"]
    named = [status for status in statuses if status.get("name") == recorder.get("name")]
    status = named[0] if named else {}
    recorded = [type for type in types if records(recorder.get("recordingGroup") or {}, type)]
    mode = recorder.get("recordingMode") or {}
    failed = ""
    if str(status.get("lastStatus", "")).upper() == "FAILURE":
        failed = str(status.get("lastErrorCode") or "no reason given")[:100]
    return {
        "absent": False,
        "recording": bool(status.get("recording")),
        "started": _seconds(status, "lastStartTime"),
        "stopped": _seconds(status, "lastStopTime"),
        "failed": failed,
        "types": recorded,
        "daily": [type for type in recorded if _frequency(mode, type) == "DAILY"],
    }


def read_or_say(session: clients.Session, region: str, types: Iterable[str]) -> Recording:
    """Returns what ``read`` does, or why it could not be read. Raises an error that may pass."""
    try:
        return read(session.client("config", region), types)
    except (ClientError, BotoCoreError) as error:
        if is_transient(error):
            raise
        return {"read_error": describe_error(error)}


def records(group: AwsAnswer, type: str) -> bool:
    """Tells whether a recording group has a resource type."""
    strategy = (group.get("recordingStrategy") or {}).get("useOnly")
    if strategy == "EXCLUSION_BY_RESOURCE_TYPES":
        excluded = (group.get("exclusionByResourceTypes") or {}).get("resourceTypes") or []
        return type not in excluded
    if type in (group.get("resourceTypes") or []):
        return True
    if not group.get("allSupported") and strategy != "ALL_SUPPORTED_RESOURCE_TYPES":
        return False
    return type not in GLOBAL_TYPES or bool(group.get("includeGlobalResourceTypes"))


def _frequency(mode: AwsAnswer, type: str) -> str:
    for override in mode.get("recordingModeOverrides") or []:
        if type in override.get("resourceTypes", []):
            return str(override.get("recordingFrequency"))
    return str(mode.get("recordingFrequency"))


def _seconds(status: AwsAnswer, field: str) -> int:
    at = status.get(field)
    return int(at.timestamp()) if at else 0


def gaps(
    recording: Recording, region: str, types: Iterable[str], start: int
) -> list[tuple[str, str]]:
    """Returns why changes of ``types`` since ``start`` may be in no history of this Region, each
    with the command that tells more.
    """
    config = f"AWS Config in {region}"
    if error := recording.get("read_error"):
        why = f"whether AWS Config records in {region} could not be read ({error})"
        return [(why, f"aws configservice describe-configuration-recorders --region {region}")]
    if recording["absent"]:
        why = f"AWS Config has no recorder in {region} now"
        return [(why, _who("DeleteConfigurationRecorder", region))]
    found: list[tuple[str, str]] = []
    if not recording["recording"]:
        since = f" since {iso(recording['stopped'])}" if recording.get("stopped") else ""
        why = f"the recorder of {config} is stopped{since}"
        found.append((why, _who("StopConfigurationRecorder", region)))
    elif recording.get("started", 0) > start:
        why = (
            f"the recorder of {config} was started at {iso(recording['started'])}: what changed"
            " before may be missing"
        )
        found.append((why, _who("StopConfigurationRecorder", region)))
    if recording.get("failed"):
        why = f"the last recording of {config} failed ({recording['failed']})"
        command = f"aws configservice describe-configuration-recorder-status --region {region}"
        found.append((why, command))
    if lacking := [type for type in types if type not in recording["types"]]:
        why = f"the recorder of {config} does not record {', '.join(lacking)}"
        found.append((why, _who("PutConfigurationRecorder", region)))
    return found


def _who(call: str, region: str) -> str:
    """Returns the command that tells who changed the recording: whoever hides something may."""
    return lookup_command(("EventName", call), region)
