"""One instance within one incident: its names, and the options of this playbook that several steps
ask for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from guardduty_response.containment.contract import Context, Target
from guardduty_response.containment.role_policies import OLDER
from guardduty_response.containment.session_entries import parse_time
from guardduty_response.containment.session_holder import SessionHolder
from guardduty_response.containment.target_context import name_of
from guardduty_response.decision.finding import get, text

if TYPE_CHECKING:
    from concurrent.futures import Future

    from guardduty_response.aws.api import AwsAnswer
    from guardduty_response.containment.session_holder import ChainedSession, Lookup


# What a plan says of the sessions that its credentials got
LOOKED_FOR = (
    "sessions that its credentials got of other roles (AssumeRole, AssumeRoot) looked for in"
    " CloudTrail, and denied on those roles"
)


class InstanceContext(SessionHolder):
    """``role``, ``role_id``: the ARN and the unique ID of the role whose credentials it had, once
    they are known. ``former``: the ARNs of roles that it had before that one, with their unique IDs
    or '' (former_roles.py); ``has_unknown``: whether it had one that is not known. ``shown``: roles
    of whose credentials CloudTrail shows that EC2 gave them to the instance, likewise.
    """

    def __init__(self, context: Context, target: Target) -> None:
        super().__init__(context, target)
        self.group_name = f"{self.prefix}-quarantine"
        # All open, used for an instant so that AWS stops tracking the open connections.
        self.flush_group_name = f"{self.prefix}-untrack"
        # The profiles that containment may give an instance. The role of the first may do nothing.
        # The role of the second may do what the SSM agent needs; it is given only if the network
        # lets the instance reach SSM and nothing else.
        self.profile_name = str(context.config.responder["quarantine_profile"])
        self.quarantine_profiles = (self.profile_name, f"{self.profile_name}-ssm")
        self.endpoints = context.config.forensics["when"] == "after"
        self.own_groups: dict[str, str] = context.options["quarantine_security_group_ids"]
        self.standby = context.options["auto_scaling"] == "standby"
        self.role = self.role_id = ""
        self.former: dict[str, str] = {}
        self.has_unknown = False
        self.shown: dict[str, str] = {}
        # Reads that the plan has begun, by name (read_ahead.py); each serves once.
        self.ahead: dict[str, Future[AwsAnswer]] = {}

    @property
    def uses_endpoints(self) -> bool:
        """Says whether a configured quarantine group may let out to endpoints."""
        return self.endpoints and bool(self.own_groups)

    @property
    def named_profile(self) -> str:
        """The name of the instance profile that the finding names; '' where it names none, or only
        one of containment's own.
        """
        details = get(self.context.finding.detail, "resource", "instanceDetails")
        arn = text(get(details, "iamInstanceProfile", "arn"), 300)
        name = name_of(arn) if ":instance-profile/" in arn else ""
        return "" if name in self.quarantine_profiles else name

    def owns(self, group: AwsAnswer, kind: str) -> bool:
        """Says whether a security group is containment's own, of that kind: it has the tag, and is
        of this account. The owner of a shared VPC sees those of its participants too, and cannot
        use them; a group that has only the name is somebody else's.
        """
        tagged = {"Key": self.prefix, "Value": kind} in (group.get("Tags") or [])
        return tagged and group.get("OwnerId") == self.target.account_id

    def group_arn(self, id: str, owner: str = "*") -> str:
        """Returns the ARN of a security group, which is in its owner's account.

        ``owner``: where it is known; a group that is shared, or brought along, is another's.
        """
        target = self.target
        partition = self.context.config.partition
        return f"arn:{partition}:ec2:{target.region}:{owner}:security-group/{id}"

    def is_named(self, name: str, kind: str) -> bool:
        """Says whether a group of that kind may have the name, of which somebody else's may have
        been before.
        """
        own = f"{self.prefix}-{kind}"
        return name == own or name.startswith(f"{own}-")

    @property
    def role_wide(self) -> bool:
        """Says whether all older sessions of the role are revoked too: by option, or because
        another finding's containment has done so.
        """
        recorded = (self.before_state("sessions") or {}).get("policies") or {}
        return (
            self.options["revoke_sessions"] == "role"
            or OLDER in recorded
            or f"sessions/{OLDER}" in self.before_states
        )

    @property
    def planned_role(self) -> str:
        """The role that it had when planned (ARN), or '': it had none, or one of containment's own,
        whose profiles have its name.
        """
        role = str(self.scope("role") or "")
        return "" if name_of(role) in self.quarantine_profiles else role

    # -- its credentials ---------------------------------------------------------------------------

    @property
    def sessions_option(self) -> str:
        """Where its own sessions are not denied, it can get others at any time."""
        if self.options["revoke_sessions"] == "none":
            return "revoke_sessions = none"
        return "other_role_sessions"

    @property
    def looks_for_sessions(self) -> bool:
        own = self.options["revoke_sessions"] != "none"
        return own and bool(self.options["other_role_sessions"])

    def own_lookups(self) -> list[Lookup]:
        """EC2 names the sessions of an instance by its ID, and CloudTrail their calls by that."""
        return [("Username", self.id)]

    def is_caller(self, identity: object) -> bool:
        """Another role's session may have the same name, which its caller chooses. Where EC2 gave
        the credentials (``ec2RoleDelivery``: AWS CloudTrail User Guide, "userIdentity element"), it
        chose the name, and the role is one that the instance had.
        """
        caller = text(get(identity, "principalId"), 300)
        issuer = get(identity, "sessionContext", "sessionIssuer", "arn")
        id, _, name = caller.partition(":")
        if name != self.id:
            return False
        if any(
            id == role_id if role_id else issuer == role
            for role, role_id in {**self.former, self.role: self.role_id}.items()
            if role
        ):
            return True
        by_ec2 = text(get(identity, "sessionContext", "ec2RoleDelivery"), 10)
        role = text(issuer, 300)
        if not by_ec2 or not id.startswith("AROA") or not role.startswith(self.arn("role/", "iam")):
            return False
        known = role == self.role or role in self.former
        if not known and name_of(role) not in self.quarantine_profiles:
            self.shown[role] = id
        return True

    @property
    def had_role(self) -> bool:
        """Whether it had a role, by what is known, whose sessions may have got others."""
        return bool(self.role or self.former or self.has_unknown)

    def is_denied_already(self, session: ChainedSession) -> bool:
        """A session of its own role may have its name, or be older than what is revoked."""
        if session.role in self.former or session.role in self.shown:
            return session.userid.partition(":")[2] == self.id
        if session.role != self.role:
            return False
        revoked = (self.before_states.get("sessions") or {}).get("revoked_before")
        if self.role_wide and revoked and session.began < parse_time(revoked).timestamp():
            return True
        return session.userid.partition(":")[2] == self.id
