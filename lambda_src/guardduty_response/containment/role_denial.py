"""The denial of sessions on a role: the tag that protects it, and what a restore takes back."""

from __future__ import annotations

from functools import partial
from threading import Event
from typing import TYPE_CHECKING, cast

from guardduty_response.aws.errors import error_code
from guardduty_response.containment import denied_role_tag
from guardduty_response.containment.control import ContextType, Grant, SettingType, StateType
from guardduty_response.containment.role_policies import (
    OLDER,
    revoked_before,
    statements,
)
from guardduty_response.containment.role_policy_control import ROLES, RolePolicies
from guardduty_response.containment.session_denials import (
    denials_of,
    denies_any,
    document,
    foreign,
    look_at,
    revocation_without,
)
from guardduty_response.containment.session_entries import entries_of
from guardduty_response.containment.tag_control import OWN_TAGS
from guardduty_response.containment.target_context import (
    AWS_ERRORS,
    DONE,
    FAILED,
    allow,
    describe_error,
)

if TYPE_CHECKING:
    from guardduty_response.aws import clients
    from guardduty_response.aws.api import AwsAnswer, PolicyDocument, PolicyStatement
    from guardduty_response.containment.control import Values
    from guardduty_response.containment.session_entries import RoleEntry, SessionDenial
    from guardduty_response.containment.target_context import Sessions
    from guardduty_response.incident.shared_settings import Held


class RoleDenial(RolePolicies[ContextType, StateType, SettingType]):
    """Denies sessions on a role. Restore takes out what no other containment needs."""

    restores = (
        Grant(("iam:DeleteRolePolicy", "iam:PutRolePolicy"), ROLES),
        Grant((denied_role_tag.UNTAGS,), ROLES, OWN_TAGS),
    )
    has_denied = False  # whether this step has written a denial
    tagging: clients.Session | None = None  # the session that tags the role

    def __init__(self, target_context: ContextType, sessions: Sessions, state: StateType) -> None:
        super().__init__(target_context, sessions, state)
        self.attempted = Event()  # set once nothing but the log and the tag may still come

    # -- the tag -----------------------------------------------------------------------------------

    def run(self) -> None:
        try:
            super().run()
        finally:
            self.attempted.set()

    def change(self) -> list[AwsAnswer]:
        try:
            return super().change()
        finally:
            self.attempted.set()

    def _run(self) -> None:
        super()._run()
        if self.held:
            self.tag_role()

    def write(self, name: str, value: PolicyDocument | None) -> AwsAnswer:
        self.has_denied = True
        if self.held and self.tagging is None:
            self.tagging = self._tag_session()  # AWS STS is asked beside the denial
        return super().write(name, value)

    def _tag_session(self) -> clients.Session:
        return self.target_context.open_session(allow((denied_role_tag.TAGS,), self.arn))

    def tag_role(self) -> None:
        """Tags the role while its setting is held, once sessions are denied on it, and logs it: the
        denial stands without the tag. It takes a session of its own: those that contain are full.
        """
        name, prefix = f"{denied_role_tag.NAME} {self.role_name}", self.target_context.prefix
        tagged = self.target_context.logged_action(name).get("status") == DONE
        if tagged and not self.has_denied:
            return
        if not denied_role_tag.is_needed(entries_of(self.read_shared())):
            return
        try:
            session = self.tagging or self._tag_session()
            answers = [denied_role_tag.put(session.client("iam"), self.arn, prefix)]
        except AWS_ERRORS as error:
            text = (
                f"role {self.role_name} could not be tagged ({describe_error(error)}): sessions are"
                " denied on it, and no quarantine policy of the organization keeps that. By hand:"
                f" {denied_role_tag.tag_command(self.arn, prefix)}"
            )
            self.target_context.log_action(name, FAILED, text)
            return
        said = f"{denied_role_tag.key_of(prefix)}={denied_role_tag.VALUE}"
        text = f"role {self.role_name} tagged {said}: its inline policies deny sessions"
        self.target_context.log_action(name, DONE, text, answers)

    def _untag_role(self) -> None:
        """Takes the tag off the role after the last denial, while the setting is held."""
        self.shared = None
        if denied_role_tag.is_needed(entries_of(self.read_shared())):
            return
        prefix = self.target_context.prefix
        session = self.target_context.open_session(allow((denied_role_tag.UNTAGS,), self.arn))
        try:
            denied_role_tag.remove(session.client("iam"), self.arn, prefix)
        except AWS_ERRORS as error:
            if error_code(error) == "NoSuchEntity":
                return
            text = (
                f"role {self.role_name} may have the tag {denied_role_tag.key_of(prefix)} still"
                f" ({describe_error(error)}). By hand:"
                f" {denied_role_tag.untag_command(self.arn, prefix)}"
            )
            name = f"{denied_role_tag.NAME} {self.role_name}"
            self.target_context.log_action(name, FAILED, text)

    # -- restoring ---------------------------------------------------------------------------------

    def to_restore(self) -> Values[PolicyDocument | None]:
        """Returns what each policy is to be: without what this containment alone needs."""
        recorded = dict(self.recorded or {})
        if self.current is None:
            return recorded
        now = self.values(self.current)
        return {name: self._without_ours(name, now.get(name), recorded[name]) for name in recorded}

    def _without_ours(
        self, name: str, now: PolicyDocument | None, before: PolicyDocument | None
    ) -> PolicyDocument | None:
        if name == self.merged:
            others = denials_of(entries_of(self.read_shared()), (self.place, self.part))
            return document(others, foreign(now))
        if name == self.managed_name:
            from guardduty_response.containment.denial_ladder import managed_document

            ours = (self.place, self.part)
            return managed_document(entries_of(self.read_shared()), name, ours)
        if name != OLDER or not self._revocation_known:
            return before
        return revocation_without(self.place, self.read_shared(), now, before)

    @property
    def _revocation_known(self) -> bool:
        """Whether it is known what this containment made of AWSRevokeOlderSessions: an earlier
        release recorded nothing of it.
        """
        return "older" in (self.read_shared().known.get(self.place) or {})

    def as_before(
        self, name: str, before: PolicyDocument | None, now: PolicyDocument | None
    ) -> bool:
        if name == self.managed_name:
            return now is None or now == before
        if name != self.merged or now is None:
            return super().as_before(name, before, now)
        if foreign(now) == statements(now) and not self._has_left:
            return now == (self.recorded or {}).get(name)  # else somebody else wrote it
        return now == before or not denies_any(now, self._entered())

    @property
    def _has_left(self) -> bool:
        """Whether a restore has taken this containment's denial out."""
        entry = self.read_shared().known.get(self.place)
        return entry is not None and self.part not in entry.get("denials", {})

    def _entered(self) -> SessionDenial:
        """Returns what this containment has denied by name, by its entry or else by its record."""
        entry = self.read_shared().known.get(self.place) or {}
        return cast("SessionDenial", (entry.get("denials") or {}).get(self.part) or self.denial())

    def left(self, name: str, before: PolicyDocument | None, now: PolicyDocument | None) -> bool:
        if name == OLDER:
            return self._revocation_known
        if name == self.managed_name:
            return True
        if name == self.merged:
            return denies_any(now, self._entered())
        return bool(statements(now)) and not foreign(now)

    def retained(self, name: str, before: PolicyDocument | None, now: PolicyDocument | None) -> str:
        date = revoked_before(now)
        if name != OLDER or not date or self._revocation_known:
            return ""
        return (
            f"{OLDER} stays on role {self.role_name}: sessions issued before {date} stay dead by"
            " design, newer sessions work"
        )

    def state_text(self, name: str, value: PolicyDocument | None) -> str:
        if value is None:
            return f"role {self.role_name} has no policy {name}"
        target = self.to_restore().get(name)
        if name == self.merged and foreign(value) != statements(value):
            return f"policy {name} of role {self.role_name} denies what other containments need"
        if self.as_before(name, target, value):
            return f"policy {name} of role {self.role_name} is as it was"
        return f"role {self.role_name} has another policy {name}"

    def restored_text(self, name: str, before: PolicyDocument | None) -> str:
        if before is not None and name in (self.merged, OLDER):
            return (
                f"what this containment denied taken out of policy {name} of role"
                f" {self.role_name}: these sessions work again"
            )
        change = "removed from" if before is None else "put back as it was on"
        return (
            f"policy {name} {change} role {self.role_name}: the sessions that it denied work again"
        )

    def restore_value(self, name: str, before: PolicyDocument | None) -> list[AwsAnswer]:
        managed = name == self.managed_name
        if name not in (self.merged, OLDER) and not managed:
            return super().restore_value(name, before)
        part = f"{self.part} {name}"
        with self.target_context.hold(*self.setting, part) as held:
            self.shared = None  # another containment may have entered meanwhile
            read = partial(self.read_policy, name)
            now = held.latest(read) if name == OLDER else read()
            value = self._without_ours(name, now, (self.recorded or {}).get(name))
            if value == now:
                answers = []
            elif managed:
                answers = [self.write(name, value)]
            else:
                answers = super().restore_value(name, value)
            self._leave(held, name)
            if name == OLDER and answers:
                held.written(value)
            self._untag_role()
        return answers

    def _leave(self, held: Held, name: str) -> None:
        known: RoleEntry | None = self.read_shared().known.get(self.place)
        if known is None:
            return
        entry: RoleEntry = {**known, "denials": dict(known["denials"])}
        if name == OLDER or (entry.get("older_in") and name == self.managed_name):
            entry["older"] = ""
        else:
            entry["denials"].pop(self.part, None)
        held.change_entry(self.place, entry, look_at=look_at())

    def restore_statements(self, name: str, before: PolicyDocument | None) -> list[PolicyStatement]:
        action = "iam:DeleteRolePolicy" if before is None else "iam:PutRolePolicy"
        return [allow((action,), self.arn)]
