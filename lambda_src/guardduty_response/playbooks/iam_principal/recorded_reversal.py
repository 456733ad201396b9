"""One revert of a principal's action as the record has it: what judges it reads, changes and
says.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from typing import Any

from guardduty_response.aws import clients
from guardduty_response.containment.restoration import RestoreItem, RestoreStatus, changed_since
from guardduty_response.containment.target_context import Json, TargetContext, allow, policy


class Reverted:
    """One recorded revert. ``was``: its before-state; ``name``: the part's."""

    def __init__(
        self, principal: TargetContext, readers: dict[str, clients.Session], name: str, was: Json
    ) -> None:
        self.target_context, self.name, self.was, self.region = (
            principal,
            name,
            was,
            str(was.get("region") or principal.target.region),
        )
        self.readers = readers

    def read(self, service: str = "iam") -> Any:
        return self.readers[self.region].client(service)

    def change(
        self, action: str | tuple[str, ...], resource: list[str] | str, service: str = "iam"
    ) -> Any:
        actions = (action,) if isinstance(action, str) else action
        return assume(self.target_context, self.region, allow(actions, resource)).client(service)

    def command(self, call: str, *values: str) -> str:
        where = "" if call.startswith("iam ") else f" --region {self.region}"
        return f"aws {' '.join([call, *map(shlex.quote, values)])}{where}"

    def before(self, item: str, text: str) -> list[RestoreItem]:
        return [RestoreItem(RestoreStatus.UNCHANGED, self.name, item, text)]

    def gone(self, item: str) -> list[RestoreItem]:
        return [
            RestoreItem(
                RestoreStatus.CHANGED_SINCE,
                self.name,
                item,
                f"{item} no longer exists: nothing is brought back",
            )
        ]

    def changed_since(self, item: str, text: str) -> list[RestoreItem]:
        return [changed_since(self.name, item, text)]

    def todo(
        self, item: str, text: str, hand: str, call: Callable[[], list[Json]]
    ) -> list[RestoreItem]:
        return [RestoreItem(RestoreStatus.TODO, self.name, item, text, hand, call)]

    def stays(self, kind: RestoreStatus, item: str, text: str, hand: str) -> list[RestoreItem]:
        return [RestoreItem(kind, self.name, item, text, hand)]


def assume(principal: TargetContext, region: str, *statements: Json) -> clients.Session:
    return principal.context.assume(principal.target.account_id, region, policy(*statements))
