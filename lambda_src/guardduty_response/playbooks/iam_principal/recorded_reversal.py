"""One revert of a principal's action as the record has it: what judges it reads, changes and
says.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from typing import Any

from guardduty_response.aws import clients
from guardduty_response.containment.restoration import Kind, Part, foreign
from guardduty_response.containment.target_context import Json, Work, allow, policy


class Reverted:
    """One recorded revert. ``was``: its before-state; ``name``: the part's."""

    def __init__(
        self, work: Work, readers: dict[str, clients.Session], name: str, was: Json
    ) -> None:
        self.work, self.name, self.was, self.region = (
            work,
            name,
            was,
            str(was.get("region") or work.target.region),
        )
        self.readers = readers

    def read(self, service: str = "iam") -> Any:
        return self.readers[self.region].client(service)

    def change(
        self, action: str | tuple[str, ...], resource: list[str] | str, service: str = "iam"
    ) -> Any:
        actions = (action,) if isinstance(action, str) else action
        return assume(self.work, self.region, allow(actions, resource)).client(service)

    def command(self, call: str, *values: str) -> str:
        where = "" if call.startswith("iam ") else f" --region {self.region}"
        return f"aws {' '.join([call, *map(shlex.quote, values)])}{where}"

    def before(self, item: str, text: str) -> list[Part]:
        return [Part(Kind.AS_BEFORE, self.name, item, text)]

    def gone(self, item: str) -> list[Part]:
        return [
            Part(Kind.FOREIGN, self.name, item, f"{item} no longer exists: nothing is brought back")
        ]

    def foreign(self, item: str, text: str) -> list[Part]:
        return [foreign(self.name, item, text)]

    def todo(self, item: str, text: str, hand: str, call: Callable[[], list[Json]]) -> list[Part]:
        return [Part(Kind.TODO, self.name, item, text, hand, call)]

    def stays(self, kind: Kind, item: str, text: str, hand: str) -> list[Part]:
        return [Part(kind, self.name, item, text, hand)]


def assume(work: Work, region: str, *statements: Json) -> clients.Session:
    return work.ctx.assume(work.target.account_id, region, policy(*statements))
