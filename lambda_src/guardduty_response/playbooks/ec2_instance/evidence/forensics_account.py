"""The forensics account that snapshot copies go to, and what the sessions that copy may do.

Sources: Amazon EBS User Guide, "Share an Amazon EBS snapshot" and "Copy an Amazon EBS snapshot".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from guardduty_response.aws import clients
from guardduty_response.containment.target_context import Grants, Sessions, allow
from guardduty_response.playbooks.ec2_instance.instance_context import InstanceContext

if TYPE_CHECKING:
    from guardduty_response.aws.api import AwsClient, PolicyStatement

KEY_USE = (
    "kms:Decrypt",
    "kms:DescribeKey",
    "kms:GenerateDataKey",
    "kms:GenerateDataKeyWithoutPlaintext",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
)


@dataclass(frozen=True)
class ForensicsAccount:
    """Where the copies go. ``role``: name of the role there that copies, or empty: shared only."""

    account: str
    key: str
    role: str


def forensics_account(instance: InstanceContext) -> ForensicsAccount | None:
    """Returns where the copies go, with the key in the instance's Region; None: nowhere.

    Raises ValueError with the reason when the configured key cannot be used there.
    """
    given = instance.context.config.evidence.get("forensics_account")
    if not given:
        return None
    key, region = str(given["kms_key_arn"]), instance.target.region
    fields = key.split(":", 5)
    if len(fields) != 6 or not fields[5].startswith("key/"):
        raise ValueError(
            f"evidence.forensics_account.kms_key_arn is not the ARN of a KMS key: {key}"
        )
    if fields[3] != region:
        if not fields[5].startswith("key/mrk-"):
            raise ValueError(
                f"the forensics key {key} is of another Region than the instance ({region}): a"
                " multi-Region key is needed"
            )
        key = ":".join([*fields[:3], region, *fields[4:]])
    return ForensicsAccount(str(given["account_id"]), key, str(given.get("copy_role_name") or ""))


def _use_keys(instance: InstanceContext, keys: list[str]) -> list[PolicyStatement]:
    """Allows the use of keys, and grants of theirs, through EC2 alone. The role's own policy adds
    that grants are for AWS resources; to say it twice would leave less room for snapshots.
    """
    via = {"kms:ViaService": f"ec2.{instance.target.region}.amazonaws.com"}
    return [allow((*KEY_USE, "kms:CreateGrant"), keys, **via)]


def _source_arn(instance: InstanceContext, id: str) -> str:
    partition, region = instance.context.config.partition, instance.target.region
    return f"arn:{partition}:ec2:{region}:*:snapshot/{id}"


def _make_copies(instance: InstanceContext) -> list[PolicyStatement]:
    """Allows copies that are tagged with this incident, of what other statements allow.

    CopySnapshot is checked on its source and on the new snapshot; the tags pin the new snapshot.
    """
    arn = f"arn:{instance.context.config.partition}:ec2:{instance.target.region}"
    incident = {f"aws:RequestTag/{instance.prefix}-incident": instance.context.incident_id}
    return [
        allow(("ec2:DescribeSnapshots",)),
        allow(("ec2:CopySnapshot",), f"{arn}::snapshot/*", **incident),
        allow(("ec2:CreateTags",), f"{arn}::snapshot/*", **{"ec2:CreateAction": "CopySnapshot"}),
    ]


class CopyingSessions:
    """The sessions that copy in the member account: these snapshots, as many a session as it
    takes.
    """

    def __init__(
        self, instance: InstanceContext, forensics: ForensicsAccount, sources: list[str]
    ) -> None:
        self._instance = instance
        keys = _use_keys(instance, _keys(instance, forensics))
        grants: Grants = {_source_arn(instance, id): ("ec2:CopySnapshot",) for id in sources}
        self._sessions = Sessions(instance, [*_make_copies(instance), *keys], grants)

    def client(self, source: str) -> AwsClient:
        """Returns a client that may copy a snapshot (its ID), or read all (empty)."""
        arn = _source_arn(self._instance, source) if source else ""
        return self._sessions.client("ec2", arn)


def sharing_policy(instance: InstanceContext, forensics: ForensicsAccount) -> list[PolicyStatement]:
    """Returns what the session that shares may do: share what is tagged with this incident with
    the forensics account alone.
    """
    partition, region = instance.context.config.partition, instance.target.region
    incident = {f"aws:ResourceTag/{instance.prefix}-incident": instance.context.incident_id}
    return [
        allow(("ec2:DescribeSnapshotAttribute",)),
        allow(
            ("ec2:ModifySnapshotAttribute",),
            f"arn:{partition}:ec2:{region}:*:snapshot/*",
            **incident,
            **{"ec2:Add/userId": forensics.account},
        ),
        *_use_keys(instance, _keys(instance, forensics)),
    ]


def _keys(instance: InstanceContext, forensics: ForensicsAccount) -> list[str]:
    partition, target = instance.context.config.partition, instance.target
    return [forensics.key, f"arn:{partition}:kms:{target.region}:{target.account_id}:key/*"]


def forensics_policy(
    instance: InstanceContext, forensics: ForensicsAccount
) -> list[PolicyStatement]:
    """Returns what the session in the forensics account may do: copy what it was given, and
    delete nothing.
    """
    any_source = allow(("ec2:CopySnapshot",), _source_arn(instance, "*"))
    return [*_make_copies(instance), any_source, *_use_keys(instance, [forensics.key])]


def open_forensics_session(
    instance: InstanceContext, forensics: ForensicsAccount
) -> clients.Session:
    """Opens a session of the forensics account's copying role, which trusts the collector
    function's own role.
    """
    config = instance.context.config
    arn = (
        f"arn:{config.partition}:iam::{forensics.account}:"
        f"role{config.responder['role_path']}{forensics.role}"
    )
    document = {"Version": "2012-10-17", "Statement": forensics_policy(instance, forensics)}
    gate = instance.context.gate
    name, region = f"{instance.context.incident_id}-vault", instance.target.region
    return clients.Session(arn, name, region, document, gate.permit if gate else None)
