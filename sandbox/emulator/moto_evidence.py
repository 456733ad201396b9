"""Patches of moto for evidence: screens of instances, flow logs, keys of snapshots, snapshots
shared between accounts.

Imports no other patches, so that tests can have these alone.
"""

from __future__ import annotations

import base64
import re
from typing import Any

from .moto_modules import (
    block_storage,
    ebs_responses,
    ec2,
    ec2_errors,
    flow_log_responses,
    general_responses,
    kms,
)
from .patching import Original, patch, replace

# One grey pixel as JPEG.
SCREEN = base64.b64decode(
    "/9j/4AAQSkZJRgABAQEASABIAAD/2wBDAP///////////////////////////////////////////////////////"
    "///////////////////////////////"
    "wAALCAABAAEBAREA/8QAFAABAAAAAAAAAAAAAAAAAAAAA//EABQQAQAAAAAAAAAAAAAAAAAAAAD/2gAIAQEAAD8AN//Z"
)
# An instance with this tag has no console, as a bare metal one.
NO_CONSOLE_TAG = "sandbox:no-console"


def error(code: str, message: str) -> Exception:
    """Return an EC2 error as moto raises it."""
    raised: Exception = ec2_errors.EC2ClientError(code, message)
    return raised


def _screenshot(response: Any) -> Any:
    instance = response.ec2_backend.get_instance(response._get_param("InstanceId"))
    if instance.instance_type.endswith(".metal") or NO_CONSOLE_TAG in response.ec2_backend.tags.get(
        instance.id, {}
    ):
        raise error(
            "UnsupportedOperation",
            f"This operation is not supported for the instance type of '{instance.id}'.",
        )
    if instance.state != "running":
        raise error(
            "IncorrectInstanceState", f"The instance '{instance.id}' is not in the 'running' state."
        )
    return general_responses.ActionResult(
        {"InstanceId": instance.id, "ImageData": base64.b64encode(SCREEN).decode()}
    )


general_responses.General.get_console_screenshot = None
replace(
    general_responses.General,
    "get_console_screenshot",
    _screenshot,
    restores="GetConsoleScreenshot exists, for running instances that are no bare metal",
)


def default_key(backend: Any) -> str:
    """ARN of the AWS-managed key of EBS in the backend's account, or empty when it has never
    been used.
    """
    keys = kms.kms_backends[backend.account_id][backend.region_name]
    return str(keys.describe_key("alias/aws/ebs").arn) if keys.alias_exists("alias/aws/ebs") else ""


@patch(block_storage.EBSBackend, "create_snapshot", restores="a snapshot has the key of its volume")
def create_snapshot(
    original: Original, backend: Any, volume_id: str, *args: object, **kwargs: object
) -> object:
    snapshot = original(backend, volume_id, *args, **kwargs)
    snapshot.kms_key_id = backend.get_volume(volume_id).kms_key_id or None
    return snapshot


@patch(
    block_storage.EBSBackend,
    "add_create_volume_permission",
    restores="a snapshot under the AWS-managed key cannot be shared",
)
def share(
    original: Original, backend: Any, snapshot_id: str, user_ids: list[str], groups: list[str]
) -> None:
    snapshot = backend.get_snapshot(snapshot_id)
    if snapshot.encrypted and snapshot.kms_key_id in (None, default_key(backend)):
        raise error(
            "OperationNotPermitted", "Encrypted snapshots with EBS default key cannot be shared"
        )
    original(backend, snapshot_id, user_ids, groups)


def _visible(backend: Any, snapshot_id: str, region: str) -> Any:
    """Return the snapshot when it is the account's own or shared with it."""
    for account in list(ec2.ec2_backends):
        found = ec2.ec2_backends[account][region].snapshots.get(snapshot_id)
        if found and (
            account == backend.account_id
            or backend.account_id in found.create_volume_permission_userids
        ):
            return found
    raise error("InvalidSnapshot.NotFound", f"The snapshot '{snapshot_id}' does not exist.")


@patch(
    block_storage.EBSBackend,
    "copy_snapshot",
    restores="snapshots shared by other accounts can be copied too; only complete ones can",
)
def copy_snapshot(
    original: Original,
    backend: Any,
    source_snapshot_id: str,
    source_region: str,
    description: str,
    kms_key_id: str | None,
) -> object:
    source = _visible(backend, source_snapshot_id, source_region)
    if source.status != "completed":
        raise error("IncorrectState", f"Snapshot is in invalid state - {source.status}")
    copied = block_storage.Snapshot(
        backend,
        block_storage.random_snapshot_id(),
        volume=source.volume,
        description=description,
        encrypted=source.encrypted,
        kms_key_id=kms_key_id or source.kms_key_id,
    )
    backend.snapshots[copied.id] = copied
    return copied


@patch(
    ebs_responses.ElasticBlockStore,
    "copy_snapshot",
    restores="a KmsKeyId is an error without Encrypted",
)
def copy_response(original: Original, response: Any) -> object:
    encrypted = str(response._get_param("Encrypted") or "").lower() == "true"
    key = response._get_param("KmsKeyId")
    if key and not encrypted:
        raise error(
            "InvalidParameterDependency",
            "The parameter KmsKeyId requires the parameter Encrypted to be set.",
        )
    if key and not re.fullmatch(
        r"(arn:aws:kms:[a-z0-9-]+:\d{12}:)?(key|alias)/.+|[0-9a-f-]{36}", key
    ):
        raise error("InvalidParameterValue", f"Value ({key}) for parameter KmsKeyId is invalid.")
    return original(response)


@patch(
    ec2.EC2Backend,
    "create_flow_logs",
    restores=(
        "destinations of flow logs are those of the account's S3 and CloudWatch Logs (moto looks"
        " into its own)"
    ),
)
def create_flow_logs(original: Original, backend: Any, **asked: object) -> object:
    kind = asked["log_destination_type"] or "cloud-watch-logs"
    group = asked["log_group_name"]
    if kind == "cloud-watch-logs" and not asked["deliver_logs_permission_arn"]:
        raise error(
            "InvalidParameter",
            "DeliverLogsPermissionArn can't be empty if LogDestinationType is cloud-watch-logs.",
        )
    destination = asked["log_destination"]
    if group and not destination:
        destination = f"arn:aws:logs:{backend.region_name}:{backend.account_id}:log-group:{group}:*"
    made, failed = original(
        backend, **{**asked, "log_destination_type": "sandbox", "log_destination": destination}
    )
    for flow_log in made:
        flow_log.log_destination_type = kind
    return made, failed


@patch(
    flow_log_responses.FlowLogs,
    "create_flow_logs",
    restores="a flow log keeps its DestinationOptions",
)
def create_flow_logs_response(original: Original, response: Any) -> object:
    before = set(response.ec2_backend.flow_logs)
    result = original(response)
    options = response._get_param("DestinationOptions") or {}
    for id in set(response.ec2_backend.flow_logs) - before:
        true = {
            key: str(options.get(key)).lower() == "true"
            for key in ("HiveCompatiblePartitions", "PerHourPartition")
        }
        response.ec2_backend.flow_logs[id].destination_options = {
            "FileFormat": options.get("FileFormat", "plain-text"),
            **true,
        }
    return result
