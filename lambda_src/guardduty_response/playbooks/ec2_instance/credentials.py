"""Takes the instance's credentials away: first the profile, so that no new sessions come, then the
sessions that exist.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from guardduty_response.aws.errors import error_code
from guardduty_response.containment.control import Grant
from guardduty_response.containment.denied_role_tag import CHANGES
from guardduty_response.containment.role_denial import RoleDenial
from guardduty_response.containment.role_policies import (
    OLDER,
    is_of_aws,
    revoke_document,
    revoked_before,
)
from guardduty_response.containment.role_policy_control import ROLES
from guardduty_response.containment.session_denials import rounded_up
from guardduty_response.containment.session_entries import has_expired
from guardduty_response.containment.tag_control import OWN_TAGS
from guardduty_response.containment.target_context import (
    AWS_ERRORS,
    DONE,
    FAILED,
    allow,
    result_or_raise,
    run_all,
)
from guardduty_response.playbooks.ec2_instance.endpoint_rules import reaches_endpoints
from guardduty_response.playbooks.ec2_instance.instance_context import InstanceContext
from guardduty_response.playbooks.ec2_instance.instance_control import INSTANCES, Ec2Control
from guardduty_response.playbooks.ec2_instance.instance_profile import (
    PASSING_ERRORS,
    give_profile,
    is_running,
    profile,
    roles_of,
)
from guardduty_response.playbooks.ec2_instance.state import InstanceState

if TYPE_CHECKING:
    from guardduty_response.aws.api import (
        AwsAnswer,
        AwsClient,
        PolicyDocument,
        PolicyStatement,
    )
    from guardduty_response.containment.control import Values
    from guardduty_response.containment.records import RoleSessions
    from guardduty_response.containment.session_entries import SessionDenial
    from guardduty_response.playbooks.ec2_instance.records import InstanceProfile

PROFILE_CALLS = (
    "ec2:ReplaceIamInstanceProfileAssociation",
    "ec2:AssociateIamInstanceProfile",
    "ec2:DisassociateIamInstanceProfile",
)
TO_EC2 = {"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}}
PROFILES = "arn:${partition}:iam::${account_id}:instance-profile/*"
DENIES = ("iam:PutRolePolicy",)
ROLE_READS = Grant(("iam:GetInstanceProfile", "iam:GetRolePolicy"), (PROFILES, ROLES))


class ReplaceProfile(Ec2Control["InstanceProfile", str]):
    """The instance profile: one value, its name."""

    name = option = "replace_instance_profile"
    item = "profile"
    absent_text = "it has no instance profile, so nothing hands out credentials"
    restored_as = "instance profile {before} given back"
    done_text = "The instance profile is the deny-all quarantine profile, or absent."
    reads = (Grant(("ec2:DescribeIamInstanceProfileAssociations",), "*"), ROLE_READS)
    contains = (
        Grant(PROFILE_CALLS, INSTANCES),
        Grant(("iam:PassRole",), "${quarantine_role_arns}", TO_EC2),
    )
    restores = (Grant(PROFILE_CALLS, INSTANCES), Grant(("iam:PassRole",), ROLES, TO_EC2))
    undone_by = tuple(call.removeprefix("ec2:") for call in PROFILE_CALLS)
    passing_errors = PASSING_ERRORS
    after_failure: InstanceProfile | None = None  # the profile as a failed change has left it

    def read(self) -> InstanceProfile:
        return profile(self.sessions, self.target_context, self.state)

    def values(self, stored: InstanceProfile | None) -> Values[str]:
        return {"": stored["name"]} if stored else {}

    def wanted(self, name: str, value: str | None) -> str:
        """Returns the profile to give: that for SSM only if the quarantine groups allow SSM."""
        profiles = self.target_context.quarantine_profiles
        if value in profiles:
            return value
        return profiles[reaches_endpoints(self.target_context, self.state)]

    @property
    def _had(self) -> str:
        """The profile that it has. An earlier attempt may have taken it, and failed before it gave
        the new one.
        """
        return str((self.values(self.current) or self.to_restore()).get("", ""))

    @property
    def pending(self) -> Values[str]:
        had, wanted = self._had, self.wanted("", self._had)
        return {"": wanted} if had and wanted != had else {}

    def contained_text(self, pending: Values[str]) -> str:
        may = "nothing"
        if pending[""] != self.target_context.profile_name:
            may = "nothing but what the SSM agent calls"
        return f"instance profile {self._had} replaced by {pending['']}, whose role may do {may}"

    def write(self, name: str, value: str) -> AwsAnswer:
        association = (self.current or {}).get("association")
        instance = self.target_context.id
        return give_profile(
            self.writer(name),
            instance,
            self.state,
            association,
            value,
        )

    def change(self) -> list[AwsAnswer]:
        try:
            return super().change()
        except ClientError as error:
            done = self.target_context.logged_action(self.name).get("status") == DONE
            if not done or error_code(error) != "InvalidAssociationID.NotFound":
                # The command is for what there is now: half of it may have been done. The state
                # stays as it was read, because it says whose sessions are to be denied.
                with suppress(*AWS_ERRORS):
                    self.after_failure = self.read()
                raise
            return []  # replaced by an earlier attempt, and AWS still shows the old association

    def command(self, name: str, value: str) -> str:
        found = self.current if self.after_failure is None else self.after_failure
        profile = f"--iam-instance-profile Name={value}"
        associate = f"ec2 associate-iam-instance-profile --instance-id {self.target_context.id}"
        if found == {}:
            return f"{associate} {profile}"
        association = f"--association-id {(found or {}).get('association', 'ID')}"
        if self.after_failure is None or is_running(self.state):
            return f"ec2 replace-iam-instance-profile-association {association} {profile}"
        region = self.target_context.target.region
        taken = f"ec2 disassociate-iam-instance-profile {association} --region {region}"
        return f"{taken} ; aws {associate} {profile}"

    def left(self, name: str, before: str, now: str | None) -> bool:
        # A stopped instance's profile is taken and given in two calls: between them it has none.
        halfway = (
            self.target_context.logged_action(self.name).get("status") != DONE
            or self.target_context.logged_action("restore_profile").get("status") == FAILED
        )
        return now in self.target_context.quarantine_profiles or (not now and halfway)

    def irreversible(self, name: str, before: str, now: str | None) -> str:
        """Says why the recorded profile would not hand out what it did, or ''."""
        role = self._role_before()
        not_given = f"instance profile {before} not given back"
        if not role:
            return (
                f"{not_given}: its role was not readable when the instance was contained, so"
                " nothing says what it would hand out"
            )
        try:
            roles = roles_of(self.sessions, before)
        except ClientError as error:
            if error_code(error) != "NoSuchEntity":
                raise
            return f"{not_given}: it no longer exists"
        if roles == role:
            return ""
        return f"{not_given}: it holds {roles or 'no role'} now, and held {role}"

    def _role_before(self) -> str:
        return str((self.target_context.before_state(self.item) or {}).get("role") or "")

    def state_text(self, name: str, value: str | None) -> str:
        return f"its instance profile is {value}" if value else "it has no instance profile now"

    def restore_statements(self, name: str, before: str) -> list[PolicyStatement]:
        return [allow(PROFILE_CALLS, self.arn), allow(("iam:PassRole",), self._role_before())]


class RevokeSessions(RoleDenial[InstanceContext, InstanceState, "RoleSessions"]):
    """Denies the sessions of the role that the instance had: its own, or all that are older."""

    name = option = "revoke_sessions"
    item = "sessions"
    absent_text, done_text = "it has no role, so no sessions", "its sessions are denied"
    reads = (ROLE_READS,)
    finds = (Grant(("iam:GetRole",), ROLES),)
    contains = (Grant(DENIES, ROLES), Grant(CHANGES, ROLES, OWN_TAGS))

    @property
    def placeholder(self) -> str:  # type: ignore[override]
        """The name of a policy that denies this instance's sessions alone: what a person writes
        over nobody else's denials.
        """
        return f"{self.target_context.prefix}-deny-{self.target_context.id}"

    def denial(self) -> SessionDenial:
        """EC2 names an instance's sessions of a role by the instance's id."""
        return {"instance": self.target_context.id}

    def manual_text(self) -> str:
        return (
            f"{super().manual_text()} (role full or not yours to change: a managed policy, or a"
            " service control policy)"
        )

    @property
    def arn(self) -> str:
        known = self.current or self.target_context.before_state(self.item) or {}
        return str(known.get("role") or self._role() or "ROLE")

    def writer(self, name: str) -> AwsClient:
        return self.sessions.client(self.service, self.arn, DENIES)

    def _role(self) -> str:
        """Returns the role that the instance had before containment, or ''."""
        before = self.target_context.before_state("profile")
        profile = before or self.state.settings.get("profile") or {}
        if profile.get("name") in self.target_context.quarantine_profiles:
            return ""
        return str(profile.get("role") or "")

    def shared_setting(self) -> tuple[str, str] | None:
        if not self.enabled:
            return None
        with suppress(*AWS_ERRORS):  # ``read`` fails of it, and says so
            self._read_profile()
        role = self._role()
        return (role, OLDER) if role and not is_of_aws(role) else None

    def _read_profile(self) -> None:
        if "profile" not in self.state.settings:
            found = profile(self.sessions, self.target_context, self.state)
            self.state.settings["profile"] = found

    def read(self) -> RoleSessions:
        self._read_profile()
        role = self._role()
        if not role and (error := (self.state.settings["profile"] or {}).get("error")):
            raise RuntimeError(error)
        if not role:
            return {}
        return self.read_role(role)

    @property
    def role_wide(self) -> bool:
        """Whether all older sessions of the role are denied, too."""
        return self.target_context.role_wide

    def read_role(self, role: str) -> RoleSessions:
        """Returns what denies sessions on a role (its ARN), and enters what is needed of it."""
        if is_of_aws(role):
            raise RuntimeError(f"UnmodifiableEntity: {role} belongs to AWS and takes no policy")
        older = [OLDER] * self.role_wide
        names = list(dict.fromkeys([self.policy, *older, *self.steps]))
        found = self._read_policies(role, names, partial(self.read_beside, (role, OLDER)))
        self.state.settings[self.item] = found
        self.enter(found["revoked_before"] if self.role_wide else "")
        return found

    def read_recorded(self) -> RoleSessions:
        role = str(self.target_context.before_state(self.item)["role"])
        return self._read_policies(role, list(self.recorded or {}))

    def _read_policies(
        self, role: str, names: list[str], meanwhile: Callable[[], None] | None = None
    ) -> RoleSessions:
        before = self.target_context.before_state(self.item) or {}
        calls: dict[str, Callable[[], PolicyDocument | None]] = {
            name: partial(
                self.read_policy,
                name,
            )
            for name in names
        }
        if self.held and OLDER in calls:
            calls[OLDER] = partial(self.held.latest, calls[OLDER])
        answers = run_all(calls, then=meanwhile)
        policies = {name: result_or_raise(found) for name, found in answers.items()}
        revoked = before.get("revoked_before") or rounded_up(datetime.now(UTC))
        return {"role": role, "policies": policies, "revoked_before": revoked}

    def wanted(self, name: str, value: PolicyDocument | None) -> PolicyDocument | None:
        if name == self.managed_name:
            return value
        if name != OLDER:
            return value if self.is_denied() else self.with_denial(name, value)
        revoked = str(self.present["revoked_before"])
        if has_expired(revoked) or (value is not None and revoked_before(value) >= revoked):
            return value  # every session that was to be denied is over
        return revoke_document(value, revoked)

    def contained_text(self, pending: Values[PolicyDocument | None]) -> str:
        text = (
            f"sessions of {self.target_context.id} denied on role {self.role_name} by policy"
            f" {self.policy}"
        )
        if OLDER not in self.values(self.current):
            return f"{text}; other workloads of the role go on"
        return (
            f"{text}, all its older sessions by {OLDER}: every workload that shares the role needs"
            " new credentials"
        )
