"""Takes denials of sessions out of a role once no session that they deny can live, by the entries
of the role's shared setting (``expired_entries.py``).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, cast

from botocore.exceptions import ClientError

from guardduty_response.aws.conflicts import retry_on_conflict
from guardduty_response.aws.errors import error_code
from guardduty_response.containment import denied_role_tag
from guardduty_response.containment.expired_entries import next_look, split
from guardduty_response.containment.managed_denial import ManagedDenial
from guardduty_response.containment.role_policies import (
    OLDER,
    revoked_before,
    role_policy,
    without_revocation,
)
from guardduty_response.containment.session_denials import (
    denials_of,
    denies_any,
    document,
    foreign,
    older_of,
    sessions_policy,
)
from guardduty_response.containment.target_context import DONE, allow, name_of
from guardduty_response.errors import ResponseError
from guardduty_response.incident.shared_settings import (
    MOST_FORGOTTEN,
    PAUSE_SECONDS,
    SPREAD_SECONDS,
)

if TYPE_CHECKING:
    from guardduty_response.aws.api import AwsClient, PolicyDocument
    from guardduty_response.containment.expired_entries import Split
    from guardduty_response.containment.session_entries import RoleEntry
    from guardduty_response.containment.target_context import TargetContext
    from guardduty_response.incident.model import ContainmentRecord
    from guardduty_response.incident.shared_settings import Held
    from guardduty_response.incident.target_repository import Place

NAME = "sessions_expired"  # in the action log, with the role's name
DELETES = "iam:DeleteRolePolicy"


class NotSeen(ResponseError):
    """A policy of the role is not as it was written."""


class ExpiredDenials:
    """The policies of one role, which are written while its setting is held.

    Methods raise GateClosed, SettingBusy, NotSeen and botocore ClientError: what was written by
    then stays, and the entries stand until all of it was seen.
    """

    def __init__(self, target_context: TargetContext, role: str) -> None:
        self.target_context, self.role = target_context, role
        self.record = target_context.context.record
        self.managed = ManagedDenial(target_context, role)
        self.merged = sessions_policy(target_context.prefix)

    def take_out(self) -> str:
        """Takes out what is over, and records that with each containment. Returns when the next of
        it may be over (ISO 8601); empty: nothing is left.
        """
        with self.target_context.hold(self.role, OLDER, NAME) as held:
            shared = self.record.shared.read(self.role, OLDER)
            found = split(shared)
            if found.over:
                self._rewrite(found.known, found.kept, held)
                self._forget(found, held)
        for place, why in found.over.items():
            if why:
                self._note(place, why)
        return next_look(shared, found.kept)

    def _rewrite(
        self, known: dict[Place, RoleEntry], kept: dict[Place, RoleEntry], held: Held
    ) -> None:
        """Writes each policy without what is over, reads it back, and takes the tag off a role on
        which nothing is denied any more.
        """
        policies = {denial.get("policy", "") for entry in known.values() for denial in _all(entry)}
        policies |= {entry.get("older_in", "") for entry in known.values()}
        reader = self._client("iam:GetRolePolicy")
        self._change(
            partial(role_policy, reader, self.role, self.merged),
            partial(self._without, kept, ""),
            partial(self._write, self.merged),
        )
        if self.managed.name in policies:
            self._change(
                self.managed.read,
                partial(self._without, kept, self.managed.name),
                self._write_managed,
            )
        if any(entry.get("older") for entry in known.values()):
            self._change(
                partial(held.latest, partial(role_policy, reader, self.role, OLDER)),
                partial(_revocation, known, kept),
                partial(self._write_older, held),
            )
        if not denied_role_tag.is_needed(kept):
            self._untag()

    def _change(
        self,
        read: Callable[[], PolicyDocument | None],
        without: Callable[[PolicyDocument], PolicyDocument | None],
        write: Callable[[PolicyDocument | None], object],
    ) -> None:
        now = read()
        if now is None or (wanted := without(now)) == now:
            return
        write(wanted)
        until = time.monotonic() + SPREAD_SECONDS
        while read() != wanted:
            if time.monotonic() > until:
                raise NotSeen(f"a policy of role {name_of(self.role)} is not as it was written")
            time.sleep(PAUSE_SECONDS)

    def _without(
        self, kept: dict[Place, RoleEntry], name: str, now: PolicyDocument
    ) -> PolicyDocument | None:
        """Returns the policy that denies named sessions without what is over. What is not denied
        there now was taken out by somebody: that is for monitoring to find.
        """
        denials = [each for each in denials_of(kept, None, name) if denies_any(now, each)]
        return document(denials, _dated(kept, name, now))

    def _client(self, *actions: str) -> AwsClient:
        return self.target_context.open_session(allow(actions, self.role)).client("iam")

    def _write(self, name: str, wanted: PolicyDocument | None) -> None:
        import json

        named = {"RoleName": name_of(self.role), "PolicyName": name}
        if wanted is not None:
            text = json.dumps(wanted, separators=(",", ":"))
            put = self._client("iam:PutRolePolicy").put_role_policy
            retry_on_conflict(partial(put, **named, PolicyDocument=text))
            return
        _unless_missing(partial(self._client(DELETES).delete_role_policy, **named))

    def _write_managed(self, wanted: PolicyDocument | None) -> None:
        if wanted is None:
            self.managed.remove()
        else:
            self.managed.change(wanted)

    def _write_older(self, held: Held, wanted: PolicyDocument | None) -> None:
        self._write(OLDER, wanted)
        held.written(wanted)

    def _untag(self) -> None:
        iam = self._client(denied_role_tag.UNTAGS)
        _unless_missing(partial(denied_role_tag.remove, iam, self.role, self.target_context.prefix))

    def _forget(self, found: Split, held: Held) -> None:
        ended = sorted(found.over.keys() - found.kept.keys())
        for start in range(0, len(ended), MOST_FORGOTTEN):
            held.forget(ended[start : start + MOST_FORGOTTEN])
        for place in found.over.keys() & found.kept.keys():
            held.change_entry(place, found.kept[place])

    def _note(self, place: Place, why: str) -> None:
        """Records with a containment that its denial was taken out, and why."""
        state: ContainmentRecord | None = self.record.containments.state(*place)
        if not state:
            return
        detail = f"what denied its sessions on role {name_of(self.role)} was taken out: {why}"
        incident_id, name = state["opened_by"], f"{NAME} {name_of(self.role)}"
        self.record.action(incident_id, state["kind"], state["id"], name, DONE, detail, place=place)
        self.record.event(incident_id, "denial taken out", detail, state["id"], "watch")


def _all(entry: RoleEntry) -> list[dict[str, str]]:
    return [cast("dict[str, str]", denial) for denial in (entry.get("denials") or {}).values()]


def _dated(kept: dict[Place, RoleEntry], name: str, now: PolicyDocument) -> list[PolicyDocument]:
    """Returns the other statements of the policy: of a managed one, the date that stays."""
    others = foreign(now)
    if name and not older_of(kept, None, name):
        return [statement for statement in others if not revoked_before({"Statement": statement})]
    return others


def _revocation(
    known: dict[Place, RoleEntry], kept: dict[Place, RoleEntry], now: PolicyDocument
) -> PolicyDocument | None:
    """Returns AWSRevokeOlderSessions without a date that containments made and none needs."""
    date = revoked_before(now)
    ours = [entry for entry in known.values() if date and entry.get("older") == date]
    if not ours:
        return now
    needed = max(older_of(kept, None), *(entry.get("base") or "" for entry in ours))
    return now if needed >= date else without_revocation(now, needed)


def _unless_missing(call: Callable[[], object]) -> None:
    try:
        retry_on_conflict(call)
    except ClientError as error:
        if error_code(error) != "NoSuchEntity":
            raise
