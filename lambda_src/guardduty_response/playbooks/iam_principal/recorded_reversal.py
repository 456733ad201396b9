"""One reversal of a principal's action as the record has it, and what judging it reads, changes
and reports.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from typing import Any

from guardduty_response.aws import clients
from guardduty_response.containment.restoration import RestoreItem, RestoreStatus, changed_since
from guardduty_response.containment.target_context import Json, TargetContext, allow, policy


class RecordedReversal:
    """A recorded reversal.

    ``name``: its key in the record's ``before`` map, and the name of its restore items.
    ``before_state``: how the resource was before the reversal (its form depends on the key
    ``what``). ``readers``: Region -> a session that may read.
    """

    def __init__(
        self,
        principal: TargetContext,
        readers: dict[str, clients.Session],
        name: str,
        before_state: Json,
    ) -> None:
        self.target_context = principal
        self.readers = readers
        self.name = name
        self.before_state = before_state
        self.region = region_of(principal, before_state)

    @property
    def deny_all(self) -> str:
        return f"arn:{self.target_context.context.config.partition}:iam::aws:policy/AWSDenyAll"

    def ec2_arn(self, resource: str) -> str:
        partition = self.target_context.context.config.partition
        account_id = self.target_context.target.account_id
        return f"arn:{partition}:ec2:{self.region}:{account_id}:{resource}"

    def read(self, service: str = "iam") -> Any:
        """Return a client that reads."""
        return self.readers[self.region].client(service)

    def change(
        self, action: str | tuple[str, ...], resource: list[str] | str, service: str = "iam"
    ) -> Any:
        """Return a client that may make these calls on this resource and no others."""
        actions = (action,) if isinstance(action, str) else action
        return assume(self.target_context, self.region, allow(actions, resource)).client(service)

    def command(self, call: str, *values: str) -> str:
        """Return a command for people, its values quoted. IAM has no Region."""
        words = " ".join([call, *map(shlex.quote, values)])
        return f"aws {words}" if call.startswith("iam ") else f"aws {words} --region {self.region}"

    def unchanged(self, item: str, text: str) -> list[RestoreItem]:
        return [RestoreItem(RestoreStatus.UNCHANGED, self.name, item, text)]

    def gone(self, item: str) -> list[RestoreItem]:
        text = f"{item} no longer exists and is not created again"
        return [RestoreItem(RestoreStatus.CHANGED_SINCE, self.name, item, text)]

    def changed_since(self, item: str, text: str) -> list[RestoreItem]:
        return [changed_since(self.name, item, text)]

    def restorable(
        self, item: str, text: str, manual_command: str, call: Callable[[], list[Json]]
    ) -> list[RestoreItem]:
        return [RestoreItem(RestoreStatus.TODO, self.name, item, text, manual_command, call)]

    def not_restored(
        self, status: RestoreStatus, item: str, text: str, manual_command: str
    ) -> list[RestoreItem]:
        return [RestoreItem(status, self.name, item, text, manual_command)]


def region_of(principal: TargetContext, before_state: Json) -> str:
    return str(before_state.get("region") or principal.target.region)


def assume(principal: TargetContext, region: str, *statements: Json) -> clients.Session:
    return principal.context.assume(principal.target.account_id, region, policy(*statements))
