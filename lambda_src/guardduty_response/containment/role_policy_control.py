"""The control of inline policies of a role that deny sessions, of an instance or of a principal."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, cast

from guardduty_response.containment.aws_call import AwsCall
from guardduty_response.containment.control import (
    ContextType,
    Control,
    SettingType,
    StateType,
)
from guardduty_response.containment.role_policies import (
    OLDER,
    revoked_before,
    role_policy,
    statements,
)
from guardduty_response.containment.session_denials import (
    denials_of,
    denies,
    document,
    foreign,
    look_at,
    managed_policy,
    sessions_policy,
)
from guardduty_response.containment.session_entries import entries_of, has_expired
from guardduty_response.containment.target_context import name_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from guardduty_response.aws.api import AwsAnswer, PolicyDocument
    from guardduty_response.containment.control import Values
    from guardduty_response.containment.denial_ladder import Ladder
    from guardduty_response.containment.managed_denial import ManagedDenial
    from guardduty_response.containment.records import RoleSessions
    from guardduty_response.containment.session_entries import RoleEntry, SessionDenial
    from guardduty_response.incident.shared_settings import SharedSetting
    from guardduty_response.incident.target_repository import Place

ROLES = "arn:${partition}:iam::${account_id}:role/*"  # as the policies of playbooks/ name them


class RolePolicies(Control[ContextType, StateType, SettingType, "PolicyDocument | None"]):
    """Inline policies of a role that deny sessions: name -> document, None where there is none.

    The containments of a role write them in turn. ``arn``: the role's. ``part``: names what this
    control denies among the denials of one containment on one role.
    """

    service = "iam"
    undone_by = (
        "DeleteRolePolicy",
        "PutRolePolicy",
        "DetachRolePolicy",
        "CreatePolicyVersion",
        "SetDefaultPolicyVersion",
        "DeletePolicy",
    )
    part = "own"
    shared: SharedSetting | None = None  # the role's, as it was read last
    ladder: Ladder | None = None  # how the last change denied the sessions
    _read_beside: tuple[tuple[str, str], SharedSetting] | None = None

    # -- what each control declares ----------------------------------------------------------------

    def denial(self) -> SessionDenial:
        """Returns what is denied by name; empty: nothing."""
        raise NotImplementedError

    # -- names and values --------------------------------------------------------------------------

    @property
    def role_name(self) -> str:
        return name_of(self.arn)

    @property
    def place(self) -> Place:
        target = self.target_context.target
        return target.place or (target.arn, 0)

    @property
    def merged(self) -> str:
        """The name of the policy that the containments of a role share."""
        return sessions_policy(self.target_context.prefix)

    @property
    def policy(self) -> str:
        """The name of the policy that denies named sessions: one of this containment's own where an
        earlier release made it.
        """
        old = f"{self.target_context.prefix}-deny-"
        return next((name for name in self.recorded or {} if name.startswith(old)), self.merged)

    def values(self, stored: SettingType | None) -> Values[PolicyDocument | None]:
        sessions = cast("RoleSessions", stored or {})
        return dict(sessions.get("policies") or {})

    def call(self, name: str, value: PolicyDocument | None) -> AwsCall:
        named = {"RoleName": self.role_name, "PolicyName": name}
        if value is None:
            return AwsCall("iam", "delete_role_policy", named)
        text = json.dumps(value, separators=(",", ":"))
        return AwsCall("iam", "put_role_policy", {**named, "PolicyDocument": text})

    # -- containing --------------------------------------------------------------------------------

    def is_denied(self) -> bool:
        """Tells whether what was read denies this containment's sessions, or they are over by
        themselves. AWSRevokeOlderSessions counts where it is there instead of their names.
        """
        denial, until = self.denial(), self.denied_until
        if has_expired(denial.get("before", "")) or (self.by_date and has_expired(until)):
            return True
        return any(
            denies(policy, denial) or (self.by_date and revoked_before(policy) >= until)
            for name, policy in self.values(self.current).items()
            if name != OLDER or self.by_date
        )

    @property
    def denied_until(self) -> str:
        """The date until which sessions are denied where all of the role are."""
        found = cast("RoleSessions", self.current or {})
        return str(self.denial().get("before") or found.get("revoked_before") or "")

    @property
    def by_date(self) -> bool:
        """Whether the names did not fit, and every older session of the role was denied."""
        return self.step_key(OLDER) in self.target_context.before_states

    def is_by_date(self, name: str) -> bool:
        """Tells whether the policy of that name denies every older session."""
        return name == OLDER or bool(self.entry.get("older_in"))

    def step_key(self, name: str) -> str:
        """Returns the key of the prior state of a policy that a later way writes."""
        return f"{self.item}/{name}"

    def record_step(self, name: str, found: PolicyDocument | None) -> None:
        """Records a policy before a later way writes it."""
        key, recorded = self.step_key(name), self.recorded or {}
        if key not in self.target_context.before_states:
            before = recorded.get(name, found)
            self.target_context.record_before_state(key, self.step_state(name, before))

    def step_state(self, name: str, found: PolicyDocument | None) -> object:
        """Returns what is recorded of such a policy."""
        return found

    @property
    def steps(self) -> list[str]:
        """The policies that later ways have written, by the record."""
        return [name for name in (self.managed_name, OLDER) if name in (self.recorded or {})]

    @property
    def managed_name(self) -> str:
        """The name of the managed policy that is used where the role's inline policies are full."""
        return managed_policy(self.target_context.prefix, self.arn)

    @property
    def managed(self) -> ManagedDenial:
        from guardduty_response.containment.managed_denial import ManagedDenial

        return ManagedDenial(self.target_context, self.arn)

    def read_policy(self, name: str) -> PolicyDocument | None:
        """Returns the policy of that name on the role; None: there is none."""
        if name == self.managed_name:
            return self.managed.read()
        return role_policy(self.client, self.arn, name)

    def with_denial(self, name: str, value: PolicyDocument | None) -> PolicyDocument | None:
        """Returns the policy of that name with this containment's denial."""
        denial = self.denial()
        if name != self.merged:
            return document([denial])
        if self.held:
            others = denials_of(entries_of(self.read_shared()), (self.place, self.part))
            return document([*others, denial], foreign(value))
        return document([denial], statements(value))

    def read_beside(self, setting: tuple[str, str]) -> None:
        """Reads for ``enter`` who needs what of the role, while its policies are read."""
        if self.held:
            shared = self.target_context.context.record.shared.read(*setting)
            self._read_beside = setting, shared

    def enter(self, revoked: str = "") -> None:
        """Records what this containment needs of the role, while its setting is held.

        ``revoked``: the date before which every session is to be denied; empty: not every one.
        """
        if not self.held or self.policy != self.merged:
            return
        if self.recorded is None:
            # Else no restore takes out what others had denied already. First: the gate may refuse.
            self.record_before()
        setting, shared = self._read_beside or ((), None)
        if shared is None or setting != self.setting:
            shared = self.target_context.context.record.shared.read(*self.setting)
        self.shared, self._read_beside = shared, None
        entries = entries_of(shared)
        known: RoleEntry = entries.get(self.place, {"denials": {}})
        entry: RoleEntry = {**known, "denials": dict(known["denials"])}
        denial = self.denial()
        if denial and not self.by_date and self.part not in entry["denials"]:
            entry["denials"][self.part] = denial
        elif denial and self.part in entry["denials"]:
            where: SessionDenial = {"policy": entry["denials"][self.part].get("policy", "")}
            entry["denials"][self.part] = {**denial, **where} if where["policy"] else denial
        if revoked:
            entry.setdefault("base", self.base_of(self.values(self.current).get(OLDER)))
            entry["older"] = max(revoked, entry.get("older") or "")
        if entry != entries.get(self.place):
            self.change_entry(entry, self.shared.known.keys() - entries.keys())

    def read_shared(self) -> SharedSetting:
        """Returns who needs what of the role, as it was read last."""
        if self.shared is None:
            self.shared = self.target_context.context.record.shared.read(*self.setting)
        return self.shared

    @property
    def entry(self) -> RoleEntry:
        """What this containment needs of the role, by its entry."""
        return entries_of(self.read_shared()).get(self.place, {"denials": {}})

    def change_entry(self, entry: RoleEntry, ended: Iterable[Place] = ()) -> None:
        """Records what this containment needs of the role, and forgets who has ``ended``."""
        assert self.held is not None, "the setting is held"
        self.held.change_entry(self.place, entry, ended, look_at())
        shared = self.read_shared()
        self.shared = shared._replace(
            entries={**shared.entries, self.place: entry},
            known={**shared.known, self.place: entry},
        )

    def base_of(self, older: PolicyDocument | None) -> str:
        """Returns the date of AWSRevokeOlderSessions that no containment made, or ''."""
        date, known = revoked_before(older), self.read_shared().known
        bases = [entry["base"] for entry in known.values() if entry.get("older") == date]
        return max(bases) if date and bases else date

    def changed_text(self, text: str) -> str:
        return self.ladder.text(text) if self.ladder else text

    def write(self, name: str, value: PolicyDocument | None) -> AwsAnswer:
        if name == self.managed_name:
            return self.managed.remove() if value is None else self.managed.change(value)
        if name == self.merged and self.held and value is not None:
            from guardduty_response.containment.denial_ladder import Ladder

            self.ladder = Ladder(self, super().write)
            return self.ladder.write(value)
        answer = super().write(name, value)
        if name == OLDER and self.held:
            self.held.written(value)
        return answer

    @property
    def setting(self) -> tuple[str, str]:
        """The setting of the role that holds the entries. It has the name under which earlier
        releases take turns at AWSRevokeOlderSessions.
        """
        return self.arn, OLDER

    def command(self, name: str, value: PolicyDocument | None) -> str:
        if name == self.managed_name:
            return self.managed.command(value)
        return super().command(name, value)
