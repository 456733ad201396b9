"""What all reverts of one call share: what must not be touched, and how much the incident's record
still takes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Literal

from guardduty_response.containment.target_context import TargetContext, name_of
from guardduty_response.decision.globs import matches
from guardduty_response.decision.own_roles import own_roles
from guardduty_response.playbooks.iam_principal.reversals import Reversals
from guardduty_response.playbooks.iam_principal.reversals.changes import Change

# The record's item takes 400 KB (Amazon DynamoDB). These bounds are what reversals may add to it:
# before-states, entries of the action log, and characters of before-states.
MOST_REVERSALS, MOST_LOGGED, MOST_CHARACTERS = 120, 200, 150_000


class EradicationContext:
    """The guardrails and the room in the record of one call.

    ``recorded``: before-state key -> its size in characters; ``logged``: names in the action log;
    ``unavailable``: why the role cannot be assumed, once that is known.
    """

    def __init__(self, principal: TargetContext, made: Mapping[str, Collection[str]]) -> None:
        """``made``: ``role/app`` -> the unique IDs of what calls of the finding made."""
        self.target_context = principal
        self.config = principal.context.config
        self.reversals = Reversals(principal, made)
        self.own_names = self._own_names()
        before = self._stored_reversals("before")
        self.recorded = {name: len(str(state)) for name, state in before.items()}
        self.logged = set(self._stored_reversals("actions"))
        self.unavailable = ""

    def _own_names(self) -> set[str]:
        """Returns the names of the response's own roles.

        A name belongs to a single role of an account, and often it is all that is known here.
        """
        accounts = ("*:", f"{self.target_context.target.account_id}:")
        roles = own_roles(self.config)
        names = {name_of(role) for role in roles if role.startswith(accounts)}
        prefix = self.target_context.prefix
        return names | {f"{prefix}-quarantine", f"{prefix}-quarantine-ssm"}

    def _stored_reversals(self, field: Literal["before", "actions"]) -> dict[str, object]:
        entries: Mapping[str, object] = self.target_context.stored.get(field) or {}
        return {name: entry for name, entry in entries.items() if name.startswith("revert/")}

    def no_room(self, characters: int) -> str:
        """Says why the record takes no further before-state of this size, or returns empty.

        What is not recorded is not changed.
        """
        if len(self.recorded) >= MOST_REVERSALS:
            return f"{MOST_REVERSALS} changes were reverted, and the incident's record is full"
        if sum(self.recorded.values()) + characters > MOST_CHARACTERS:
            return "its earlier state is too long for the incident's record"
        return ""

    def has_log_room(self, name: str) -> bool:
        return name in self.logged or len(self.logged) < MOST_LOGGED

    def protection(self, change: Change, names: Iterable[str]) -> str:
        """Says why one of ``names`` (ARNs, IDs, names) must not be touched, or returns empty."""
        account = self.target_context.target.account_id
        if change.account != account:
            return f"it was done in account {change.account or 'unknown'}, not in {account}"
        if account in self.config.guardrails["exempt_accounts"]:
            return f"account {account} is exempt (exempt_accounts)"
        for name in names:
            if reason := self._name_protection(name):
                return reason
        return ""

    def _name_protection(self, name: str) -> str:
        short = name_of(name)
        if short in self.own_names or self._is_security_account_resource(short):
            return f"{short} belongs to the response itself"
        if ":role/aws-service-role/" in name or ":role/aws-reserved/" in name:
            return f"{short} is a role that only its AWS service can change"
        for guardrail in ("exempt_principals", "exempt_resources"):
            for pattern in self.config.guardrails[guardrail]:
                if matches(pattern, name) or matches(pattern, short):
                    return f"{short} is exempt ({guardrail}: {pattern})"
        return ""

    def _is_security_account_resource(self, short: str) -> bool:
        in_security_account = self.target_context.target.account_id == self.config.security_account
        return in_security_account and short.startswith(f"{self.target_context.prefix}-")
