"""The reversal of sharing: snapshots and images shared with others."""

from __future__ import annotations

import json

from guardduty_response.containment.target_context import ALREADY
from guardduty_response.decision.finding import text
from guardduty_response.playbooks.iam_principal import resource_state
from guardduty_response.playbooks.iam_principal.eradicate.changes import Change, items
from guardduty_response.playbooks.iam_principal.eradicate.eradication_context import (
    EradicationContext,
)
from guardduty_response.playbooks.iam_principal.eradicate.reversal import NotReversed, Reversal
from guardduty_response.playbooks.iam_principal.records import AwsAnswer
from guardduty_response.playbooks.iam_principal.reversal_records import (
    SharingRecord,
)

_RECIPIENTS = {
    "userId": "UserId",
    "group": "Group",
    "organizationArn": "OrganizationArn",
    "organizationalUnitArn": "OrganizationalUnitArn",
}
Entries = list[dict[str, str]]  # [{UserId | Group | …: value}]


class Sharing(Reversal[Entries]):
    """The entries that the call added are removed from the list, and no others."""

    category, record_type = "sharing", "sharing"

    def __init__(self, eradication: EradicationContext, change: Change) -> None:
        super().__init__(eradication, change)
        self.resource = "image" if "Image" in change.name else "snapshot"
        self.id = change.request_text(f"{self.resource}Id")
        self.added = _added(change)
        self.done_text = f"{self.resource} {self.id} is shared with none of those that were added"

    @classmethod
    def applies(cls, change: Change) -> bool:
        return bool(_added(change))

    @property
    def _arn(self) -> str:
        # Neither has an account in its ARN (Service Authorization Reference, Amazon EC2).
        partition = self.eradication.config.partition
        return f"arn:{partition}:ec2:{self.change.region}::{self.resource}/{self.id}"

    def read(self) -> Entries:
        found = None
        if self.id:
            found = resource_state.shares(self.client("ec2"), self.resource, self.id)
        if found is None:
            raise NotReversed(ALREADY, f"{self.resource} {self.id} no longer exists")
        return [entry for entry in self.added if entry in found]

    def touched_names(self, current: Entries) -> list[str]:
        return [self._arn, self.id]

    def pending_change(self, current: Entries) -> str:
        recipients = ", ".join(value for entry in current for value in entry.values())
        if not recipients:
            return ""
        return (
            f"{self.resource} {self.id} no longer shared with {recipients[:200]}; copies made"
            " meanwhile stay where they are"
        )

    def before_state(self, current: Entries) -> SharingRecord:
        return {"of": self.resource, "id": self.id, "arn": self._arn, "entries": current}

    def undo(self, current: Entries) -> list[AwsAnswer]:
        action = f"ec2:Modify{self.resource.title()}Attribute"
        ec2 = self.changing((action,), self._arn, "ec2")
        return [resource_state.share(ec2, self.resource, self.id, "Remove", current)]

    def manual_command(self) -> str:
        attribute = resource_state.SHARED[self.resource][0]
        option = "launch-permission"
        if self.resource == "snapshot":
            option = "create-volume-permission"
        return self.command(
            f"ec2 modify-{self.resource}-attribute --attribute {attribute}",
            f"--{self.resource}-id",
            self.id,
            f"--{option}",
            json.dumps({"Remove": self.added}, separators=(",", ":")),
        )


def _added(change: Change) -> Entries:
    """Return the entries that the call added."""
    attribute = "launchPermission" if "Image" in change.name else "createVolumePermission"
    entries: Entries = []
    for entry in items(change.parameters, attribute, "add"):
        for field, name in _RECIPIENTS.items():
            if value := text(entry.get(field), 200):
                entries.append({name: value})
    return entries
