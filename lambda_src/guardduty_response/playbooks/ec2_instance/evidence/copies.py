"""The snapshot set under the forensics account's key, shared with that account and, where a role is
given, copied into it.

Re-encryption comes first because AWS refuses to share a snapshot under an AWS-managed key, and
because the forensics account must not depend on a key that the compromised account can delete. The
original set stays as it is. Source: Amazon EBS User Guide, "Share an Amazon EBS snapshot" and "Copy
an Amazon EBS snapshot".
"""

from __future__ import annotations

import time
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from guardduty_response.aws import clients
from guardduty_response.aws.errors import error_code, is_transient
from guardduty_response.containment.target_context import AWS_ERRORS, allow, describe_error, fits
from guardduty_response.evidence.items import EvidenceItem, Json, Outcome
from guardduty_response.playbooks.ec2_instance.evidence.snapshots import BUSY, pace, unsure
from guardduty_response.playbooks.ec2_instance.instance_context import InstanceContext

NAME = "copies"
LIMIT_SECONDS = 24 * 3600  # of all copying; what takes longer is left to a person
LOOK_SECONDS = 30  # until a copy of an interrupted call is surely listed
KEY_USE = (
    "kms:Decrypt",
    "kms:DescribeKey",
    "kms:GenerateDataKey",
    "kms:GenerateDataKeyWithoutPlaintext",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
)
# The two places of a copy: in the member account (``copy``) and in the forensics account
# (``vault``).
PLACES = ("copy", "vault")


@dataclass(frozen=True)
class Forensics:
    """``role``: name of the role in the forensics account that copies, or empty: shared only."""

    account: str
    key: str
    role: str


def forensics(instance: InstanceContext) -> Forensics | None:
    """Where the copies go; the key in the instance's Region. None: nowhere. Raises ValueError
    with the reason: not possible.
    """
    given = instance.context.config.evidence.get("forensics_account")
    if not given:
        return None
    key, region = str(given["kms_key_arn"]), instance.target.region
    parts = key.split(":", 5)
    if len(parts) != 6 or not parts[5].startswith("key/"):
        raise ValueError(
            f"evidence.forensics_account.kms_key_arn is not the ARN of a KMS key: {key}"
        )
    if parts[3] != region:
        if not parts[5].startswith("key/mrk-"):
            raise ValueError(
                f"the forensics key {key} is of another Region than the instance ({region}): a"
                " multi-Region key is needed"
            )
        key = ":".join([*parts[:3], region, *parts[4:]])
    return Forensics(str(given["account_id"]), key, str(given.get("copy_role_name") or ""))


def run(instance: InstanceContext, before: Json) -> EvidenceItem:
    """State: {since, polls, asked, set: [{source, volume, copy, copy_state, shared, vault,
    vault_state, error}]}.
    """
    try:
        to = forensics(instance)
    except ValueError as error:
        return EvidenceItem(
            Outcome.NOT_POSSIBLE,
            str(error),
            task=f"copy the snapshots of {instance.id} by hand: {error}",
        )
    if to is None:
        return EvidenceItem(
            Outcome.SKIPPED, "no forensics account is configured (evidence.forensics_account)"
        )
    if not instance.options.get("snapshot", True):
        return EvidenceItem(Outcome.SKIPPED, "switched off (snapshot)")
    state: Json = deepcopy(before.get("state") or {})
    if not state.get("set"):
        made: Json = instance.stored.get("evidence", {}).get("snapshots") or {}
        if not made or made.get("outcome") == Outcome.RUNNING:
            return EvidenceItem(Outcome.RUNNING, "waits for the snapshot set", 30, state=state)
        done = [
            snapshot
            for snapshot in made.get("state", {}).get("snapshots", [])
            if snapshot.get("state") == "completed"
        ]
        if not done:
            return EvidenceItem(
                Outcome.NOT_POSSIBLE, f"no complete snapshot to copy ({made.get('detail', '')})"
            )
        state = {
            "since": int(time.time()),
            "set": [{"source": snapshot["id"], "volume": snapshot["volume"]} for snapshot in done],
        }
    return Copying(instance, to, state).step()


class Copying:
    """One call's work on the set: what is missing is asked for, what is under way is read, and
    no more than that.
    """

    def __init__(self, instance: InstanceContext, to: Forensics, state: Json) -> None:
        self.target_context, self.to, self.state = instance, to, state
        self.set: list[Json] = state["set"]
        self.requests: list[str] = []
        self.waits = ""  # why something could not be asked for yet

    def step(self) -> EvidenceItem:
        at_home = self.target_context.target.account_id == self.to.account
        own = self.target_context.open_session(
            *member_policy(self.target_context, self.to, self.set)
        ).client("ec2")
        self.place(own, "copy", self.set)
        if at_home:
            # the instance is the forensics account's own: there is nobody to share with
            for entry in self.set:
                entry["shared"] = entry.get("copy_state") == "completed"
        else:
            self.share(own)
            ready = [entry for entry in self.set if entry.get("shared")]
            if self.to.role and ready:
                self.vault(ready)
        return self.part(vault=bool(self.to.role) and not at_home)

    # -- copies ------------------------------------------------------------------------------------

    def place(self, ec2: Any, where: str, entries: list[Json]) -> None:
        """Looks for the copies of ``entries`` in one place, asks for those that are missing,
        reads the state of the rest.
        """
        source = "source" if where == "copy" else "copy"
        tag = f"{self.target_context.prefix}-copy-of"
        wanted = {entry[source]: entry for entry in entries if not entry.get("error")}
        if not wanted or all(
            entry.get(f"{where}_state") == "completed" for entry in wanted.values()
        ):
            return
        listed = ec2.describe_snapshots(
            OwnerIds=["self"], Filters=[{"Name": f"tag:{tag}", "Values": sorted(wanted)}]
        )["Snapshots"]
        for found in listed:
            entry = wanted[next(pair["Value"] for pair in found["Tags"] if pair["Key"] == tag)]
            if entry.get(where) in (None, found["SnapshotId"]):
                entry[where], entry[f"{where}_state"] = found["SnapshotId"], str(found.get("State"))
                self.judge(entry, where, found)
        missing = [entry for entry in wanted.values() if not entry.get(where)]
        if not missing:
            return
        asked = self.state.setdefault("asked", {})
        if time.time() - asked.get(where, 0) < LOOK_SECONDS:
            self.waits = "looking for copies of an interrupted call"
            return
        # Before the calls: if this one dies, the next has to look for its copies first.
        self.remember({**self.state, "asked": {**asked, where: int(time.time())}})
        for entry in missing:
            if not self.copy(ec2, where, entry, entry[source]):
                return

    def copy(self, ec2: Any, where: str, entry: Json, source: str) -> bool:
        """Asks for one copy. False: AWS has no room for another yet."""
        pairs = {
            f"{self.target_context.prefix}-incident": self.target_context.context.incident_id,
            f"{self.target_context.prefix}-instance": self.target_context.id,
            f"{self.target_context.prefix}-copy-of": source,
        }
        try:
            got = ec2.copy_snapshot(
                SourceRegion=self.target_context.target.region,
                SourceSnapshotId=source,
                Encrypted=True,
                KmsKeyId=self.to.key,
                Description=(
                    f"{self.target_context.prefix} {self.target_context.context.incident_id} "
                    f"{self.target_context.id} {entry['volume']}"
                ),
                TagSpecifications=[
                    {
                        "ResourceType": "snapshot",
                        "Tags": [{"Key": k, "Value": v} for k, v in pairs.items()],
                    }
                ],
            )
        except (ClientError, BotoCoreError) as error:
            if unsure(error):
                self.state["asked"] = {**self.state.get("asked", {}), where: int(time.time())}
            if error_code(error) in BUSY or is_transient(error):
                self.waits = f"copies wait ({describe_error(error)})"
                return False
            entry["error"] = f"{source} could not be copied: {self.blame(describe_error(error))}"
            return True
        entry[where], entry[f"{where}_state"] = got["SnapshotId"], "pending"
        self.requests.append(clients.request_id(got))
        return True

    def judge(self, entry: Json, where: str, found: Json) -> None:
        if entry[f"{where}_state"] == "error":
            said = str(found.get("StateMessage") or "AWS gives no reason")
            entry["error"] = f"copy {entry[where]} of {entry['source']} failed: {self.blame(said)}"
        elif entry[f"{where}_state"] == "completed" and found.get("KmsKeyId") != self.to.key:
            entry["error"] = (
                f"copy {entry[where]} is under {found.get('KmsKeyId') or 'no key'}, not under the"
                " forensics key"
            )

    def blame(self, said: str) -> str:
        """The error, and which statement the key's policy lacks where it is the key's."""
        lowered = said.lower()
        if not any(
            word in lowered
            for word in ("kms", "key id", "key is not", "grant", "customer master key")
        ):
            return said
        return (
            f"{said}. The policy of {self.to.key} must allow the role"
            f" {self.target_context.prefix}-collector-ec2-instance of account "
            f"{self.target_context.target.account_id}"
            f" {', '.join(KEY_USE)}, and kms:CreateGrant with kms:GrantIsForAWSResource, by"
            f" kms:ViaService ec2.{self.target_context.target.region}.amazonaws.com"
            " (modules/forensics-account writes both)"
        )

    # -- sharing -----------------------------------------------------------------------------------

    def share(self, ec2: Any) -> None:
        for entry in self.set:
            if entry.get("error") or entry.get("shared") or entry.get("copy_state") != "completed":
                continue
            try:
                got = ec2.modify_snapshot_attribute(
                    SnapshotId=entry["copy"],
                    Attribute="createVolumePermission",
                    OperationType="add",
                    UserIds=[self.to.account],
                )
                seen = ec2.describe_snapshot_attribute(
                    SnapshotId=entry["copy"], Attribute="createVolumePermission"
                )
            except ClientError as error:
                if is_transient(error):
                    self.waits = f"sharing waits ({describe_error(error)})"
                    return
                entry["error"] = (
                    f"{entry['copy']} could not be shared with {self.to.account}:"
                    f" {self.blame(describe_error(error))}"
                )
                continue
            self.requests.append(clients.request_id(got))
            users = [given.get("UserId") for given in seen["CreateVolumePermissions"]]
            if self.to.account in users:
                entry["shared"] = True
            else:
                entry["error"] = (
                    f"{entry['copy']} was shared with {self.to.account}, but reads back as shared"
                    f" with {users or 'nobody'}"
                )

    def vault(self, ready: list[Json]) -> None:
        try:
            self.place(open_vault(self.target_context, self.to).client("ec2"), "vault", ready)
        except AWS_ERRORS as error:
            if is_transient(error):
                self.waits = f"copies wait ({describe_error(error)})"
                return
            for entry in ready:
                entry["error"] = (
                    f"{entry['copy']} is shared but not copied into {self.to.account}: role"
                    f" {self.to.role} there cannot be used ({describe_error(error)}). Deploy"
                    " modules/forensics-account there with this name_prefix and security account"
                )

    # -- verdict -----------------------------------------------------------------------------------

    def remember(self, state: Json) -> None:
        self.target_context.record_evidence(
            NAME, {"outcome": Outcome.RUNNING, "detail": "asking for copies", "state": state}
        )

    def part(self, vault: bool) -> EvidenceItem:
        good = [entry for entry in self.set if not entry.get("error") and entry.get("shared")]
        good = [entry for entry in good if not vault or entry.get("vault_state") == "completed"]
        bad = [entry for entry in self.set if entry.get("error")]
        left = len(self.set) - len(good) - len(bad)
        polls = self.state.get("polls", 0)
        self.state["polls"] = polls + 1
        text = self.text(good, bad, left)
        if left and time.time() - self.state["since"] < LIMIT_SECONDS:
            if self.waits:
                text = f"{self.waits}; {text}"
            # A copy not listed yet is looked for soon; a full queue is left alone for a minute.
            wait = 60 if self.waits.startswith("copies wait") else pace(polls)
            return EvidenceItem(
                Outcome.RUNNING, text, wait, state=self.state, request_ids=self.requests
            )
        if left:
            text += f"; {left} not complete after {LIMIT_SECONDS // 3600} hours"
        if len(good) == len(self.set):
            return EvidenceItem(Outcome.COMPLETE, text, state=self.state, request_ids=self.requests)
        outcome = (
            Outcome.PARTIAL if any(entry.get("shared") for entry in self.set) else Outcome.FAILED
        )
        task = (
            f"give the forensics account {self.to.account} the snapshots that failed:"
            f" {self.by_hand(vault)}"
        )
        return EvidenceItem(outcome, text, task=task, state=self.state, request_ids=self.requests)

    def text(self, good: list[Json], bad: list[Json], left: int) -> str:
        said = [
            f"{entry['source']} -> {entry['copy']}"
            + (f" -> {entry['vault']} in {self.to.account}" if entry.get("vault") else "")
            for entry in good
        ]
        out = [
            f"{len(good)} of {len(self.set)} under the forensics key and shared with"
            f" {self.to.account}: {', '.join(said)}"
        ]
        if not said:
            out = [
                (
                    f"none of {len(self.set)} complete yet"
                    if left
                    else f"none of {len(self.set)} reached {self.to.account}"
                )
            ]
        return "; ".join(out + [entry["error"] for entry in bad])

    def by_hand(self, vault: bool) -> str:
        out, region = [], self.target_context.target.region
        for entry in self.set:
            if entry.get("copy_state") != "completed":
                out.append(
                    f"aws ec2 copy-snapshot --source-region {region} --source-snapshot-id"
                    f" {entry['source']} --encrypted --kms-key-id {self.to.key} --region {region}"
                )
            elif not entry.get("shared"):
                out.append(
                    f"aws ec2 modify-snapshot-attribute --snapshot-id {entry['copy']} --attribute"
                    f" createVolumePermission --operation-type add --user-ids {self.to.account}"
                    f" --region {region}"
                )
            elif vault and entry.get("vault_state") != "completed":
                out.append(
                    f"in {self.to.account}: aws ec2 copy-snapshot --source-region {region}"
                    f" --source-snapshot-id {entry['copy']} --encrypted --kms-key-id {self.to.key}"
                    f" --region {region}"
                )
        return "; ".join(out)


def _keys(instance: InstanceContext, keys: list[str]) -> list[Json]:
    """Use of keys, and grants of theirs to EBS, through EC2 alone."""
    via = {"kms:ViaService": f"ec2.{instance.target.region}.amazonaws.com"}
    grant = allow(("kms:CreateGrant",), keys, **via)
    grant["Condition"]["Bool"] = {"kms:GrantIsForAWSResource": "true"}
    return [allow(KEY_USE, keys, **via), grant]


def _copying(instance: InstanceContext, sources: list[str]) -> list[Json]:
    """CopySnapshot is checked on its source and on the new snapshot; the tags pin the new one to
    this incident.
    """
    arn = f"arn:{instance.context.config.partition}:ec2:{instance.target.region}"
    incident = {f"aws:RequestTag/{instance.prefix}-incident": instance.context.incident_id}
    return [
        allow(("ec2:DescribeSnapshots",)),
        allow(("ec2:CopySnapshot",), [f"{arn}:*:snapshot/{id}" for id in sources]),
        allow(("ec2:CopySnapshot",), f"{arn}::snapshot/*", **incident),
        allow(("ec2:CreateTags",), f"{arn}::snapshot/*", **{"ec2:CreateAction": "CopySnapshot"}),
    ]


def member_policy(instance: InstanceContext, to: Forensics, entries: list[Json]) -> list[Json]:
    """The session in the member account: copy these, share what is tagged with this incident,
    with one account.
    """
    arn, account = (
        f"arn:{instance.context.config.partition}:ec2:{instance.target.region}",
        instance.target.account_id,
    )
    mine = {f"aws:ResourceTag/{instance.prefix}-incident": instance.context.incident_id}
    rest = [
        allow(("ec2:DescribeSnapshotAttribute",)),
        allow(
            ("ec2:ModifySnapshotAttribute",),
            f"{arn}:*:snapshot/*",
            **mine,
            **{"ec2:Add/userId": to.account},
        ),
        *_keys(
            instance,
            [
                to.key,
                f"arn:{instance.context.config.partition}:kms:{instance.target.region}:"
                f"{account}:key/*",
            ],
        ),
    ]
    exact = [*_copying(instance, [entry["source"] for entry in entries]), *rest]
    # An instance may have more volumes than a session policy holds ARNs of.
    return exact if fits(*exact) else [*_copying(instance, ["*"]), *rest]


def vault_policy(instance: InstanceContext, to: Forensics) -> list[Json]:
    """The session in the forensics account: copies of what it was given, and nothing that
    deletes.
    """
    return [*_copying(instance, ["*"]), *_keys(instance, [to.key])]


def open_vault(instance: InstanceContext, to: Forensics) -> clients.Session:
    """A session of the forensics account's copying role, which trusts the collector function's
    own role.
    """
    arn = (
        f"arn:{instance.context.config.partition}:iam::{to.account}:"
        f"role{instance.context.config.responder['role_path']}{to.role}"
    )
    document = {"Version": "2012-10-17", "Statement": vault_policy(instance, to)}
    return clients.Session(
        arn, f"{instance.context.incident_id}-vault", instance.target.region, document
    )
