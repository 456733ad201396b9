"""Takes the instance's credentials away: first the profile, so that no new sessions come, then the
sessions that exist.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from botocore.exceptions import ClientError

from guardduty_response.aws.conflicts import retry_on_conflict
from guardduty_response.aws.errors import error_code
from guardduty_response.containment.role_policies import (
    OLDER,
    deny,
    revoke_document,
    revoked_before,
    role_policy,
)
from guardduty_response.containment.target_context import (
    AWS_ERRORS,
    DONE,
    AwsClient,
    Json,
    Sessions,
    describe_error,
    name_of,
    result_or_raise,
    run_all,
)
from guardduty_response.playbooks.ec2_instance.actions import Action
from guardduty_response.playbooks.ec2_instance.instance_context import InstanceContext
from guardduty_response.playbooks.ec2_instance.state import (
    InstanceState,
    filters,
    reaches_endpoints,
)

PROFILE_CALLS = (
    "ec2:ReplaceIamInstanceProfileAssociation",
    "ec2:AssociateIamInstanceProfile",
    "ec2:DisassociateIamInstanceProfile",
)


class ReplaceProfile(Action):
    name = option = "replace_instance_profile"
    item, absent_text = "profile", "it has no instance profile, so nothing hands out credentials"
    done_text = "The instance profile is the deny-all quarantine profile, or absent."
    manual_command = (
        "ec2 replace-iam-instance-profile-association --iam-instance-profile Name={profile}"
        " --association-id ID"
    )

    def read(self) -> Any:
        return profile(self.sessions, self.target_context, profile_arn(self.state))

    def pending_change(self) -> str:
        # An earlier attempt may have taken the old profile and failed before it gave the new one.
        had = self.target_context.before_state("profile")
        name = self.current["name"] if self.current else had and had["name"]
        if not name or name in self.target_context.quarantine_profiles:
            return ""
        wanted = self._wanted()
        may = "nothing"
        if wanted != self.target_context.profile_name:
            may = "nothing but what the SSM agent calls"
        return f"instance profile {name} replaced by {wanted}, whose role may do {may}"

    def _wanted(self) -> str:
        """Returns the profile to give: that for SSM only if the quarantine groups allow SSM."""
        return self.target_context.quarantine_profiles[
            reaches_endpoints(self.target_context, self.state)
        ]

    def change(self) -> list[Json]:
        ec2 = self.sessions.client("ec2", self.target_context.target.arn)
        old = (self.current or {}).get("association")
        try:
            return give_profile(ec2, self.target_context.id, self.state, old, self._wanted())
        except ClientError as error:
            done = self.target_context.logged_action(self.name).get("status") == DONE
            if not done or error_code(error) != "InvalidAssociationID.NotFound":
                raise
            return []  # replaced by an earlier attempt, and AWS still shows the old association


class RevokeSessions(Action):
    name, option, item = "revoke_sessions", "revoke_sessions", "sessions"
    absent_text, done_text = "it has no role, so no sessions", "its sessions are denied"
    manual_command = (
        "iam put-role-policy --role-name {role} --policy-name {policy} --policy-document"
        " '{document}' (role full or not yours to change: a managed policy, or a service control"
        " policy)"
    )
    ACTIONS = ("iam:PutRolePolicy",)

    @property
    def deny_name(self) -> str:
        return f"{self.target_context.prefix}-deny-{self.target_context.id}"

    def _names(self) -> Json:
        document = json.dumps(deny_document(self.target_context.id), separators=(",", ":"))
        return {
            **super()._names(),
            "role": name_of(self._role() or "ROLE"),
            "policy": self.deny_name,
            "document": document,
        }

    def _role(self) -> str:
        """Returns the role that the instance had before containment, or ''."""
        before = self.target_context.before_state("profile")
        profile = before or self.state.settings.get("profile") or {}
        if profile.get("name") in self.target_context.quarantine_profiles:
            return ""
        return str(profile.get("role") or "")

    def shared_setting(self) -> tuple[str, str] | None:
        role = self.enabled and self.target_context.role_wide and self._role_of_now()
        return (role, OLDER) if role else None

    def _role_of_now(self) -> str:
        """Returns the role whose sessions are denied, or '' when it cannot be read."""
        try:
            self._read_profile()
        except AWS_ERRORS:
            return ""  # ``read`` fails of it, and says so
        return self._role()

    def _read_profile(self) -> None:
        if "profile" not in self.state.settings:
            self.state.settings["profile"] = profile(
                self.sessions, self.target_context, profile_arn(self.state)
            )

    def read(self) -> Any:
        """Returns {role, policies: {name: document or None}, revoked_before}; {} without a role."""
        self._read_profile()
        role, had = self._role(), self.target_context.before_state(self.item) or {}
        if not role and (error := (self.state.settings["profile"] or {}).get("error")):
            raise RuntimeError(error)
        if not role:
            return {}
        if ":role/aws-service-role/" in role or ":role/aws-reserved/" in role:
            raise RuntimeError(f"UnmodifiableEntity: {role} belongs to AWS and takes no policy")
        iam = self.sessions.client("iam")
        names = [self.deny_name, *[OLDER] * self.target_context.role_wide]
        # Rounded up: a session issued within this second is older too.
        now = (datetime.now(UTC) + timedelta(seconds=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
        calls: dict[str, Callable[[], Any]] = {
            name: partial(role_policy, iam, role, name) for name in names
        }
        if self.held:
            calls[OLDER] = partial(self.held.latest, calls[OLDER])
        got = run_all(calls)
        policies = {name: result_or_raise(result) for name, result in got.items()}
        return {
            "role": role,
            "policies": policies,
            "revoked_before": had.get("revoked_before") or now,
        }

    def _wanted(self) -> dict[str, Json]:
        """Returns the policies that are to be written: name -> document."""
        if not self.current:
            return {}
        old = self.current["policies"]
        new = {self.deny_name: deny_document(self.target_context.id)}
        if OLDER in old and revoked_before(old[OLDER]) < self.current["revoked_before"]:
            new[OLDER] = revoke_document(old[OLDER], self.current["revoked_before"])
        return {name: document for name, document in new.items() if document != old[name]}

    def pending_change(self) -> str:
        if not self._wanted():
            return ""
        text = (
            f"sessions of {self.target_context.id} denied on role {name_of(self._role())} by policy"
            f" {self.deny_name}"
        )
        if OLDER not in self.current["policies"]:
            return f"{text}; other workloads of the role go on"
        return (
            f"{text}, all its older sessions by {OLDER}: every workload that shares the role needs"
            " new credentials"
        )

    def change(self) -> list[Json]:
        iam = self.sessions.client("iam", self.current["role"], self.ACTIONS)
        role = name_of(self.current["role"])
        answers = []
        # One after the other, and again where another incident changes the role at this moment:
        # IAM refuses concurrent changes.
        for name, document in self._wanted().items():
            put = partial(
                iam.put_role_policy,
                RoleName=role,
                PolicyName=name,
                PolicyDocument=json.dumps(document),
            )
            answers.append(retry_on_conflict(put))
            if name == OLDER and self.held:
                self.held.written(document)
        return answers


def profile_arn(current: InstanceState) -> str:
    """Returns the ARN of the instance's profile by DescribeInstances, or an empty string."""
    return str((current.instance.get("IamInstanceProfile") or {}).get("Arn") or "")


def profile(sessions: Sessions, instance: InstanceContext, expected: str = "") -> Json:
    """Returns {association, name, role}, or {} without a live profile.

    If the role cannot be read, it is '' and ``error`` says why. ``expected``: the ARN of the
    profile by DescribeInstances, which is asked for its role in the same round trip.
    """
    profile_name = name_of(expected)
    calls: dict[str, Callable[[], Any]] = {
        "associations": partial(
            sessions.client("ec2").describe_iam_instance_profile_associations,
            Filters=filters(**{"instance-id": instance.id}),
        )
    }
    if profile_name and not instance.scope("role"):
        calls["roles"] = partial(_roles, sessions, profile_name)
    results = run_all(calls)
    live = [
        association
        for association in result_or_raise(results["associations"])[
            "IamInstanceProfileAssociations"
        ]
        if association["State"] in ("associating", "associated")
    ]
    if not live:
        return {}
    found = {
        "association": live[0]["AssociationId"],
        "name": name_of(live[0]["IamInstanceProfile"]["Arn"]),
    }
    if instance.scope("role") and instance.scope("profile_association") == found["association"]:
        return {**found, "role": instance.scope("role")}
    try:
        if found["name"] == profile_name and "roles" in results:
            return {**found, "role": result_or_raise(results["roles"])}
        return {**found, "role": _roles(sessions, found["name"])}
    except ClientError as error:
        return {**found, "role": "", "error": describe_error(error)}


def _roles(sessions: Sessions, profile_name: str) -> str:
    """Returns the ARN of the profile's role: a profile holds one at most."""
    got = sessions.client("iam").get_instance_profile(InstanceProfileName=profile_name)
    return "".join(role["Arn"] for role in got["InstanceProfile"]["Roles"])


def give_profile(
    ec2: AwsClient, id: str, current: InstanceState, association: str | None, name: str
) -> list[Json]:
    """Gives the instance the profile ``name`` instead of the one under ``association`` (None: it
    has none).
    """
    new, answers = {"Name": name}, []
    if association and current.instance["State"]["Name"] in ("pending", "running"):
        try:
            return [
                ec2.replace_iam_instance_profile_association(
                    AssociationId=association, IamInstanceProfile=new
                )
            ]
        except ClientError as error:
            if error_code(error) not in (
                "IncorrectState",
                "IncorrectInstanceState",
                "UnsupportedOperation",
            ):
                raise
    if association:  # a stopped instance's profile cannot be replaced in one call
        answers.append(ec2.disassociate_iam_instance_profile(AssociationId=association))
    return [*answers, ec2.associate_iam_instance_profile(InstanceId=id, IamInstanceProfile=new)]


def deny_document(instance_id: str) -> Json:
    """Returns the policy that denies everything to this instance's sessions of a role.

    EC2 names these sessions by the instance's id.
    """
    return {
        "Version": "2012-10-17",
        "Statement": [deny("StringLike", "aws:userid", f"*:{instance_id}")],
    }
