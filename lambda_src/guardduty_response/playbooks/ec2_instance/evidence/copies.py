"""Copies the snapshot set under the forensics account's key, shares it with that account and, where
a role is given, copies it into it.

Re-encryption comes first because AWS refuses to share a snapshot under an AWS-managed key, and
because the forensics account must not depend on a key that the compromised account can delete. The
original set stays as it is.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from copy import deepcopy
from typing import TYPE_CHECKING, Literal, TypedDict, cast

from botocore.exceptions import BotoCoreError, ClientError

from guardduty_response.aws import clients
from guardduty_response.aws.errors import error_code, is_transient
from guardduty_response.containment.target_context import AWS_ERRORS, describe_error
from guardduty_response.errors import GateClosed
from guardduty_response.evidence.items import EvidenceItem, Outcome
from guardduty_response.playbooks.ec2_instance.evidence.forensics_account import (
    KEY_USE,
    CopyingSessions,
    ForensicsAccount,
    forensics_account,
    open_forensics_session,
    sharing_policy,
)
from guardduty_response.playbooks.ec2_instance.evidence.snapshots import BUSY, pace, unsure
from guardduty_response.playbooks.ec2_instance.instance_context import InstanceContext

if TYPE_CHECKING:
    from guardduty_response.aws.api import AwsAnswer, AwsClient
    from guardduty_response.incident.model import EvidenceEntry

NAME = "copies"
LIMIT_SECONDS = 24 * 3600  # of all copying; what takes longer is left to a person
LISTING_SECONDS = 30  # until a copy of an interrupted call is surely listed

# The two places of a copy: the member account (``copy``) and the forensics account (``vault``).
Place = Literal["copy", "vault"]


class SnapshotCopy(TypedDict, total=False):
    """One snapshot of the set, its copies and how far they are; kept between calls.

    ``copy``, ``vault``: ids of the copies in the member and in the forensics account. ``error``:
    why it is left to a person.
    """

    source: str
    volume: str
    copy: str
    copy_state: str
    shared: bool
    vault: str
    vault_state: str
    error: str


class CopiesState(TypedDict, total=False):
    """What the evidence item ``copies`` keeps between calls. ``asked``: when copies were last
    asked for, by place, in seconds since 1970.
    """

    since: int
    polls: int
    asked: dict[str, int]
    set: list[SnapshotCopy]


def run(instance: InstanceContext, before: EvidenceEntry) -> EvidenceItem:
    """Does one call's share: asks for what is missing, reads what is under way."""
    try:
        forensics = forensics_account(instance)
    except ValueError as error:
        task = f"copy the snapshots of {instance.id} by hand: {error}"
        return EvidenceItem(Outcome.NOT_POSSIBLE, str(error), task=task)
    if forensics is None:
        return EvidenceItem(
            Outcome.SKIPPED, "no forensics account is configured (evidence.forensics_account)"
        )
    if not instance.options.get("snapshot", True):
        return EvidenceItem(Outcome.SKIPPED, "switched off (snapshot)")
    state = cast("CopiesState", deepcopy(before.get("state", {})))
    if not state.get("set"):
        evidence: dict[str, EvidenceEntry] = instance.stored.get("evidence", {})
        snapshots: EvidenceEntry = evidence.get("snapshots") or {}
        if not snapshots or snapshots.get("outcome") == Outcome.RUNNING:
            return EvidenceItem(Outcome.RUNNING, "waits for the snapshot set", 30, state=state)
        complete: list[SnapshotCopy] = [
            {"source": snapshot["id"], "volume": snapshot["volume"]}
            for snapshot in snapshots.get("state", {}).get("snapshots", [])
            if snapshot.get("state") == "completed"
        ]
        if not complete:
            text = f"no complete snapshot to copy ({snapshots.get('detail', '')})"
            return EvidenceItem(Outcome.NOT_POSSIBLE, text)
        state = {"since": int(time.time()), "set": complete}
    return Copying(instance, forensics, state).step()


class Copying:
    """One call's work on the set: what is missing is asked for, what is under way is read, and
    no more than that.
    """

    def __init__(
        self, instance: InstanceContext, forensics: ForensicsAccount, state: CopiesState
    ) -> None:
        self.instance, self.forensics, self.state = instance, forensics, state
        self.set = state["set"]
        self.requests: list[str] = []
        self.waits = ""  # why something could not be asked for yet
        # The instance may be the forensics account's own: then there is nobody to share with.
        self.same_account = instance.target.account_id == forensics.account
        self.copied_there = bool(forensics.role) and not self.same_account

    def step(self) -> EvidenceItem:
        sources = [entry["source"] for entry in self.set]
        sessions = CopyingSessions(self.instance, self.forensics, sources)
        self.make_copies(sessions.client, "copy", self.set)
        if self.same_account:
            for entry in self.set:
                entry["shared"] = entry.get("copy_state") == "completed"
        else:
            self.share()
            shared = [entry for entry in self.set if entry.get("shared")]
            if self.forensics.role and shared:
                self.copy_into_forensics_account(shared)
        return self.item()

    # -- copies ------------------------------------------------------------------------------------

    def make_copies(
        self, client: Callable[[str], AwsClient], place: Place, entries: list[SnapshotCopy]
    ) -> None:
        """Looks for the copies of ``entries`` in one place, asks for those that are missing, and
        reads the state of the others.

        ``client`` returns one that may copy a source (its ID), or read all (empty).
        """
        wanted = {
            entry["source"] if place == "copy" else entry["copy"]: entry
            for entry in entries
            if not entry.get("error")
        }
        if not wanted or all(_state(entry, place) == "completed" for entry in wanted.values()):
            return
        self._read(client(""), place, wanted)
        missing = {source: entry for source, entry in wanted.items() if not entry.get(place)}
        if not missing:
            return
        asked = self.state.get("asked", {})
        if time.time() - asked.get(place, 0) < LISTING_SECONDS:
            self.waits = "looking for copies of an interrupted call"
            return
        # Before the calls: if this one dies, the next has to look for its copies first. Not into
        # ``self.state``: a call that ends knows its copies.
        self._remember({**self.state, "asked": {**asked, place: int(time.time())}})
        for source, entry in missing.items():
            if not self._copy(client(source), place, entry, source):
                return

    def _read(self, ec2: AwsClient, place: Place, wanted: dict[str, SnapshotCopy]) -> None:
        tag = f"{self.instance.prefix}-copy-of"
        found = ec2.describe_snapshots(
            OwnerIds=["self"], Filters=[{"Name": f"tag:{tag}", "Values": sorted(wanted)}]
        )["Snapshots"]
        for snapshot in found:
            source = next(pair["Value"] for pair in snapshot["Tags"] if pair["Key"] == tag)
            entry = wanted[source]
            if entry.get(place) in (None, snapshot["SnapshotId"]):
                _set(entry, place, snapshot["SnapshotId"], str(snapshot.get("State")))
                self._assess(entry, place, snapshot)

    def _copy(self, ec2: AwsClient, place: Place, entry: SnapshotCopy, source: str) -> bool:
        """Asks for one copy. False: AWS has no room for another yet."""
        instance = self.instance
        incident = instance.context.incident_id
        tags = {
            f"{instance.prefix}-incident": incident,
            f"{instance.prefix}-instance": instance.id,
            f"{instance.prefix}-copy-of": source,
        }
        pairs = [{"Key": key, "Value": text} for key, text in tags.items()]
        try:
            answer = ec2.copy_snapshot(
                SourceRegion=instance.target.region,
                SourceSnapshotId=source,
                Encrypted=True,
                KmsKeyId=self.forensics.key,
                Description=f"{instance.prefix} {incident} {instance.id} {entry['volume']}",
                TagSpecifications=[{"ResourceType": "snapshot", "Tags": pairs}],
            )
        except (ClientError, BotoCoreError) as error:
            if unsure(error):
                self.state["asked"] = {**self.state.get("asked", {}), place: int(time.time())}
            if error_code(error) in BUSY or is_transient(error):
                self.waits = f"copies wait ({describe_error(error)})"
                return False
            reason = self._explain_key(describe_error(error))
            entry["error"] = f"{source} could not be copied: {reason}"
            return True
        _set(entry, place, answer["SnapshotId"], "pending")
        self.requests.append(clients.request_id(answer))
        return True

    def _assess(self, entry: SnapshotCopy, place: Place, snapshot: AwsAnswer) -> None:
        state, copy, key = _state(entry, place), entry[place], snapshot.get("KmsKeyId")
        if state == "error":
            message = str(snapshot.get("StateMessage") or "AWS gives no reason")
            reason = self._explain_key(message)
            entry["error"] = f"copy {copy} of {entry['source']} failed: {reason}"
        elif state == "completed" and key != self.forensics.key:
            entry["error"] = f"copy {copy} is under {key or 'no key'}, not under the forensics key"

    def _explain_key(self, message: str) -> str:
        """Adds which statement the key's policy lacks, where the error is the key's."""
        words = ("kms", "key id", "key is not", "grant", "customer master key")
        if not any(word in message.lower() for word in words):
            return message
        target = self.instance.target
        return (
            f"{message}. The policy of {self.forensics.key} must allow the role"
            f" {self.instance.prefix}-collector-ec2-instance of account {target.account_id}"
            f" {', '.join(KEY_USE)}, and kms:CreateGrant with kms:GrantIsForAWSResource, by"
            f" kms:ViaService ec2.{target.region}.amazonaws.com"
            " (modules/forensics-account writes both)"
        )

    # -- sharing -----------------------------------------------------------------------------------

    def share(self) -> None:
        """Shares every complete copy with the forensics account, and verifies that it is."""
        complete = [
            entry
            for entry in self.set
            if entry.get("copy_state") == "completed"
            and not (entry.get("error") or entry.get("shared"))
        ]
        if not complete:
            return
        policy = sharing_policy(self.instance, self.forensics)
        ec2 = self.instance.open_session(*policy).client("ec2")
        for entry in complete:
            try:
                self._share(ec2, entry)
            except ClientError as error:
                if is_transient(error):
                    self.waits = f"sharing waits ({describe_error(error)})"
                    return
                entry["error"] = (
                    f"{entry['copy']} could not be shared with {self.forensics.account}:"
                    f" {self._explain_key(describe_error(error))}"
                )

    def _share(self, ec2: AwsClient, entry: SnapshotCopy) -> None:
        account, attribute = self.forensics.account, "createVolumePermission"
        answer = ec2.modify_snapshot_attribute(
            SnapshotId=entry["copy"], Attribute=attribute, OperationType="add", UserIds=[account]
        )
        seen = ec2.describe_snapshot_attribute(SnapshotId=entry["copy"], Attribute=attribute)
        self.requests.append(clients.request_id(answer))
        users = [permission.get("UserId") for permission in seen["CreateVolumePermissions"]]
        if account in users:
            entry["shared"] = True
            return
        entry["error"] = (
            f"{entry['copy']} was shared with {account}, but reads back as shared"
            f" with {users or 'nobody'}"
        )

    def copy_into_forensics_account(self, shared: list[SnapshotCopy]) -> None:
        try:
            ec2 = open_forensics_session(self.instance, self.forensics).client("ec2")
            self.make_copies(lambda _: ec2, "vault", shared)
        except GateClosed:
            raise
        except AWS_ERRORS as error:
            if is_transient(error):
                self.waits = f"copies wait ({describe_error(error)})"
                return
            for entry in shared:
                entry["error"] = (
                    f"{entry['copy']} is shared but not copied into {self.forensics.account}: role"
                    f" {self.forensics.role} there cannot be used ({describe_error(error)}). Deploy"
                    " modules/forensics-account there with this name_prefix and security account"
                )

    # -- verdict -----------------------------------------------------------------------------------

    def _remember(self, state: CopiesState) -> None:
        self.instance.record_evidence(
            NAME, {"outcome": Outcome.RUNNING, "detail": "asking for copies", "state": state}
        )

    def _complete(self, entry: SnapshotCopy) -> bool:
        if entry.get("error") or not entry.get("shared"):
            return False
        return not self.copied_there or entry.get("vault_state") == "completed"

    def item(self) -> EvidenceItem:
        """Returns the evidence item as it stands after this call."""
        complete = [entry for entry in self.set if self._complete(entry)]
        failed = [entry for entry in self.set if entry.get("error")]
        open_count = len(self.set) - len(complete) - len(failed)
        polls = self.state.get("polls", 0)
        self.state["polls"] = polls + 1
        text = self._text(complete, failed, open_count)
        if open_count and time.time() - self.state["since"] < LIMIT_SECONDS:
            if self.waits:
                text = f"{self.waits}; {text}"
            # A copy not listed yet is looked for soon; a full queue is left alone for a minute.
            wait = 60 if self.waits.startswith("copies wait") else pace(polls)
            return self._item(Outcome.RUNNING, text, wait=wait)
        if open_count:
            text += f"; {open_count} not complete after {LIMIT_SECONDS // 3600} hours"
        if len(complete) == len(self.set):
            return self._item(Outcome.COMPLETE, text)
        some_shared = any(entry.get("shared") for entry in self.set)
        task = (
            f"give the forensics account {self.forensics.account} the snapshots that failed:"
            f" {self._manual_commands()}"
        )
        return self._item(Outcome.PARTIAL if some_shared else Outcome.FAILED, text, task=task)

    def _item(self, outcome: Outcome, text: str, wait: int = 0, task: str = "") -> EvidenceItem:
        return EvidenceItem(
            outcome, text, wait, task=task, state=self.state, request_ids=self.requests
        )

    def _text(
        self, complete: list[SnapshotCopy], failed: list[SnapshotCopy], open_count: int
    ) -> str:
        account, errors = self.forensics.account, [entry["error"] for entry in failed]
        if not complete:
            reached = "complete yet" if open_count else f"reached {account}"
            return "; ".join([f"none of {len(self.set)} {reached}", *errors])
        ways = []
        for entry in complete:
            there = f" -> {entry['vault']} in {account}" if entry.get("vault") else ""
            ways.append(f"{entry['source']} -> {entry['copy']}{there}")
        text = (
            f"{len(complete)} of {len(self.set)} under the forensics key and shared with {account}:"
            f" {', '.join(ways)}"
        )
        return "; ".join([text, *errors])

    def _manual_commands(self) -> str:
        commands, region = [], self.instance.target.region
        for entry in self.set:
            if entry.get("copy_state") != "completed":
                commands.append(self._copy_command(entry["source"]))
            elif not entry.get("shared"):
                commands.append(
                    f"aws ec2 modify-snapshot-attribute --snapshot-id {entry['copy']} --attribute"
                    " createVolumePermission --operation-type add --user-ids"
                    f" {self.forensics.account} --region {region}"
                )
            elif self.copied_there and entry.get("vault_state") != "completed":
                command = self._copy_command(entry["copy"])
                commands.append(f"in {self.forensics.account}: {command}")
        return "; ".join(commands)

    def _copy_command(self, source: str) -> str:
        region = self.instance.target.region
        return (
            f"aws ec2 copy-snapshot --source-region {region} --source-snapshot-id {source}"
            f" --encrypted --kms-key-id {self.forensics.key} --region {region}"
        )


def _state(entry: SnapshotCopy, place: Place) -> str | None:
    return entry.get("copy_state") if place == "copy" else entry.get("vault_state")


def _set(entry: SnapshotCopy, place: Place, id: str, state: str) -> None:
    entry[place] = id
    entry["copy_state" if place == "copy" else "vault_state"] = state
