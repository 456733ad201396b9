"""Denies sessions of a role where the first way is refused for its size.

The first way is the inline policy that the containments of the role share. Where it does not fit, a
managed policy denies the same; where that does not fit either, or cannot be attached, every older
session of the role is denied.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from guardduty_response.aws.errors import error_code
from guardduty_response.containment.managed_denial import LONGEST, ManagedDenial, size_of
from guardduty_response.containment.role_policies import (
    OLDER,
    revocation,
    revoke_document,
    revoked_before,
    role_policy,
)
from guardduty_response.containment.session_denials import (
    denials_of,
    document,
    older_of,
)
from guardduty_response.containment.session_entries import entries_of
from guardduty_response.containment.target_context import AWS_ERRORS, describe_error
from guardduty_response.errors import ResponseError

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from guardduty_response.aws.api import AwsAnswer, PolicyDocument
    from guardduty_response.containment.role_policy_control import RolePolicies
    from guardduty_response.containment.session_entries import RoleEntry, SessionDenial
    from guardduty_response.incident.target_repository import Place

LONGEST_INLINE = 10_240  # characters of all inline policies of a role


class Ladder:
    """The ways to deny a control's sessions while the role's setting is held.

    ``written``: the name of the policy that denies them in the end.
    """

    def __init__(
        self,
        control: RolePolicies[Any, Any, Any],
        put: Callable[[str, PolicyDocument | None], AwsAnswer],
    ) -> None:
        self.control, self.put, self.written = control, put, control.merged
        self.managed = ManagedDenial(control.target_context, control.arn)
        self.why: list[str] = []

    def write(self, policy: PolicyDocument | None) -> AwsAnswer:
        """Denies the sessions, by ``policy`` inline if that fits. Raises the error of the first
        way where every way is refused.
        """
        entry = self.control.entry
        named = {**entry["denials"], self.control.part: self.control.denial()}
        if named != entry["denials"]:
            self.control.change_entry({**entry, "denials": named})
        if size_of(policy) <= LONGEST_INLINE:
            try:
                return self.put(self.control.merged, policy)
            except ClientError as error:
                if error_code(error) != "LimitExceeded":
                    raise
                first: Exception = error
                self.why.append("the role's inline policies are full")
        else:
            size = f"{size_of(policy)} characters of denials, of {LONGEST_INLINE} in a role"
            first = DenialTooLong(f"LimitExceeded: {size}")
            self.why.append(size)
        for way in (self._by_managed_policy, self._by_date):
            try:
                return way()
            except AWS_ERRORS as error:
                self.why.append(describe_error(error))
        self.control.change_entry(entry)
        raise first

    def _by_managed_policy(self) -> AwsAnswer:
        part, entry = self.control.part, self.control.entry
        denial: SessionDenial = {**self.control.denial(), "policy": self.managed.name}
        self.control.change_entry({**entry, "denials": {**entry["denials"], part: denial}})
        policy = self._managed_document()
        if size_of(policy) > LONGEST:
            raise DenialTooLong(f"{size_of(policy)} characters, of {LONGEST} in a managed policy")
        return self._write_managed(policy)

    def _by_date(self) -> AwsAnswer:
        control, held = self.control, self.control.held
        assert held is not None, "the setting is held"
        old = held.latest(
            lambda: role_policy(
                control.client,
                control.arn,
                OLDER,
            )
        )
        before = control.denied_until
        denials = {
            part: denial
            for part, denial in control.entry["denials"].items()
            if part != control.part
        }
        entry: RoleEntry = {**control.entry, "denials": denials}
        entry["older"] = max(before, entry.get("older") or "")
        entry.setdefault("base", control.base_of(old))
        control.change_entry(entry)
        control.record_step(OLDER, old)
        policy = old if revoked_before(old) >= before else revoke_document(old, before)
        try:
            answer = {} if policy == old else self.put(OLDER, policy)
            held.written(policy)
            self.written = OLDER
            return answer
        except ClientError as error:
            if error_code(error) != "LimitExceeded":
                raise
            self.why.append(f"{OLDER} does not fit either")
        control.change_entry({**entry, "older_in": self.managed.name})
        policy = self._managed_document()
        if size_of(policy) > LONGEST:
            policy = document([], [revocation(before)])
        return self._write_managed(policy)

    def _managed_document(self) -> PolicyDocument | None:
        return managed_document(entries_of(self.control.read_shared()), self.managed.name)

    def _write_managed(self, policy: PolicyDocument | None) -> AwsAnswer:
        self.control.record_step(self.managed.name, self.managed.read())
        answer = self.managed.write(policy or {})
        self.written = self.managed.name
        return answer

    def text(self, said: str) -> str:
        """Says by which way the sessions were denied, in place of ``said``."""
        if self.written == self.control.merged:
            return said
        because = "; ".join(self.why)
        role = self.control.role_name
        if not self.control.is_by_date(self.written):
            return f"{said}, there by managed policy {self.written} ({because})"
        return (
            f"every session of role {role} issued before {self.control.denied_until} denied by"
            f" {self.written}, because what denies the named sessions does not fit ({because}):"
            " every workload of the role needs new credentials"
        )


class DenialTooLong(ResponseError):
    """A policy has more characters than IAM takes."""


def managed_document(
    entries: dict[Place, RoleEntry], name: str, without: tuple[Place, str] | None = None
) -> PolicyDocument | None:
    """Returns what the managed policy is to say; None: nothing.

    ``without``: but for that containment's part, and for its date.
    """
    date = older_of(
        entries,
        without[0] if without else None,
        name,
    )
    dated = [revocation(date)] if date else []
    return document(
        denials_of(
            entries,
            without,
            name,
        ),
        dated,
    )
