"""Ends sessions of a role: the session that a finding names, or all that were issued until now.

A session is denied by its ``aws:userid`` (``AROA…:session name``) as long as its token is older
than the denial: whoever may assume the role can sign in again under the same name, which is
reported (``late_events.py``), not prevented.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, cast

from guardduty_response.containment import denied_role_tag
from guardduty_response.containment.control import Grant, actions_of
from guardduty_response.containment.role_denial import RoleDenial
from guardduty_response.containment.role_policies import (
    OLDER,
    revoke_document,
    revoked_before,
)
from guardduty_response.containment.role_policy_control import ROLES
from guardduty_response.containment.session_denials import (
    denied_before,
    deny_sessions,
    now_rounded_up,
    policy_name,
)
from guardduty_response.containment.session_entries import has_expired
from guardduty_response.containment.tag_control import OWN_TAGS
from guardduty_response.containment.target_context import (
    Sessions,
    allow,
    result_or_raise,
    run_all,
)
from guardduty_response.playbooks.iam_principal.principal_context import (
    PrincipalContext,
    PrincipalState,
)
from guardduty_response.playbooks.iam_principal.tags import TagRole
from guardduty_response.playbooks.iam_principal.user_action import PrincipalControl, role_arn

if TYPE_CHECKING:
    from guardduty_response.aws.api import AwsAnswer, PolicyDocument
    from guardduty_response.containment.control import Values
    from guardduty_response.containment.records import RoleSessions
    from guardduty_response.containment.session_entries import SessionDenial

DENIES = ("iam:PutRolePolicy",)
ROLE = "get_role"  # the key of GetRole's answer among those of GetRolePolicy


class DenySession(RoleDenial[PrincipalContext, PrincipalState, "RoleSessions"]):
    """Denies the session that the finding names, or all sessions of the role."""

    name = "revoke_sessions"
    item = "sessions"
    critical = True
    done_text = "its sessions are denied"
    reads = (Grant(("iam:GetRole", "iam:GetRolePolicy"), ROLES),)
    contains = (
        Grant(DENIES, ROLES),
        Grant(denied_role_tag.CHANGES, ROLES, OWN_TAGS),
    )

    @property
    def arn(self) -> str:
        return str((self.current or {}).get("role") or role_arn(self.target_context))

    @property
    def role(self) -> str:
        return self.target_context.identity.role

    def denial(self) -> SessionDenial:
        if not self._userids:
            return {}
        found: RoleSessions | None = self.current or self.target_context.before_state(self.item)
        date = str((found or {}).get("revoked_before") or now_rounded_up())
        return {"userids": self._userids, "before": date}

    @property
    def _userids(self) -> list[str]:
        unique_id = self.target_context.unique_id
        session = self.target_context.identity.session
        return [f"{unique_id}:{session}"] if session and unique_id else []

    @property
    def _names(self) -> list[str]:
        """The policies that this containment needs."""
        everything = self.target_context.role_wide or not self._userids
        names = [*[self.policy] * bool(self._userids), *[OLDER] * everything]
        return list(dict.fromkeys([*names, *self.steps]))

    def manual_text(self) -> str:
        """A policy of its own denies the session by hand: a person writes over nobody's denials."""
        date = str((self.current or {}).get("revoked_before") or now_rounded_up())
        name, policy = OLDER, revoke_document(None, date)
        if self._userids:
            name = policy_name(self.target_context.prefix, self.target_context.id)
            policy = deny_sessions(self._userids, date)
        full = "(role full: another managed policy, or a service control policy)"
        return f"By hand: {self.full_command(name, policy)} {full}"

    def shared_setting(self) -> tuple[str, str] | None:
        return str(self.target_context.scope("role_arn")), OLDER

    def read(self) -> RoleSessions:
        """``revoked_before``: tokens issued until then are denied, or are to be."""
        calls: dict[str, Callable[[], AwsAnswer | PolicyDocument | None]] = {
            ROLE: partial(self.client.get_role, RoleName=self.role)
        }
        for name in self._names:
            calls[name] = partial(self.read_policy, name)
        if self.held and OLDER in calls:
            calls[OLDER] = partial(self.held.latest, calls[OLDER])
        answers = run_all(calls, then=partial(self.read_beside, self.setting))
        found = cast("AwsAnswer", result_or_raise(answers.pop(ROLE)))["Role"]
        policies = {name: result_or_raise(document) for name, document in answers.items()}
        setting: RoleSessions = {
            "role": found["Arn"],
            "id": found["RoleId"],
            "policies": policies,
            "revoked_before": self._revoked_before(policies),
        }
        self.state.settings[self.item] = setting
        self.enter(setting["revoked_before"] if OLDER in policies else "")
        return setting

    @property
    def pending(self) -> Values[PolicyDocument | None]:
        return self._missing() if self.current else {}

    def contained_text(self, pending: Values[PolicyDocument | None]) -> str:
        policies = self.present["policies"]
        sentences = []
        if self.policy in policies:
            sentences.append(
                f"session {self.target_context.identity.session} of role {self.role}, issued until"
                f" now, denied by policy {self.policy}"
            )
        if OLDER in policies:
            sentences.append(
                f"all sessions of role {self.role} issued until now denied by {OLDER}: every"
                " workload of the role needs new credentials"
            )
        else:
            sentences.append("other sessions of the role go on")
        return "; ".join(sentences)

    def read_recorded(self) -> RoleSessions:
        names = self.recorded or {}
        calls = {name: partial(self.read_policy, name) for name in names}
        found = {name: result_or_raise(document) for name, document in run_all(calls).items()}
        return {"policies": found}

    def _revoked_before(self, policies: dict[str, PolicyDocument | None]) -> str:
        """Returns the date that the policies have, if it is late enough, else now.

        Late enough is the first containment's date, and not older than this execution's plan (a
        principal that is contained again may have signed in again meanwhile). A check only asks
        for the first containment's date; when every session that is older is over, for none.
        """
        before: RoleSessions | None = self.target_context.before_state(self.item)
        least = str(before["revoked_before"] or "") if before else ""
        if self.target_context.acts:
            least = max(least, str(self.target_context.scope("planned") or ""))
        if has_expired(least):
            return least
        dates = []
        if self._userids:
            named = [name for name in policies if name != OLDER or self.by_date]
            dates.append(max(self._date(policies[name]) for name in named))
        if OLDER in policies:
            dates.append(revoked_before(policies[OLDER]))
        present = min(dates, default="")
        return present if least and present >= least else now_rounded_up()

    def _date(self, policy: PolicyDocument | None) -> str:
        """Returns the date before which a policy denies this containment's session, or ''."""
        return min(denied_before(policy, userid) for userid in self._userids)

    def _missing(self) -> dict[str, PolicyDocument | None]:
        """Returns the policies that are to be written. A later date than ours denies ours too."""
        policies, revoked = self.present["policies"], self.present["revoked_before"]
        if has_expired(revoked):
            return {}
        missing: dict[str, PolicyDocument | None] = {}
        if self.policy in self._names and not self.is_denied():
            missing[self.policy] = self.with_denial(self.policy, policies[self.policy])
        if OLDER in policies and revoked_before(policies[OLDER]) < revoked:
            missing[OLDER] = revoke_document(policies[OLDER], revoked)
        return missing


# Run in sequence: both change the role.
CONTROLS: tuple[type[PrincipalControl], ...] = (DenySession, TagRole)
# Who else uses the role is told; nothing of containment depends on it.
WORKLOADS = ("ec2:DescribeInstances", "lambda:ListFunctions")
READ = actions_of(grant for control in CONTROLS for grant in control.reads)
READ_USERS = ("iam:ListInstanceProfilesForRole",)
CHANGE = (*DENIES, *actions_of(TagRole.contains))


def reading_sessions(principal: PrincipalContext, arn: str) -> Sessions:
    """Opens sessions that read this role and its users, and change nothing."""
    return Sessions(principal, [allow((*READ, *READ_USERS), arn), allow(WORKLOADS, "*")], {})


def changing_sessions(principal: PrincipalContext, arn: str) -> Sessions:
    """Opens sessions that may change this role, and nothing else."""
    return Sessions(principal, [allow((*READ, *CHANGE), arn)], {})


def controls(
    principal: PrincipalContext, sessions: Sessions, state: PrincipalState
) -> list[PrincipalControl]:
    """Returns every control, the denial first."""
    return [control(principal, sessions, state) for control in CONTROLS]
