"""Takes the credentials away: first the profile, so that no new sessions come, then the sessions
that exist.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from botocore.exceptions import ClientError

from guardduty_response.aws.errors import error_code
from guardduty_response.containment.role_policies import (
    OLDER,
    deny,
    revoke_document,
    revoked_before,
    role_policy,
)
from guardduty_response.containment.target_context import (
    Json,
    Sessions,
    gather,
    name_of,
    value,
    why,
)
from guardduty_response.playbooks.ec2_instance.actions import Action
from guardduty_response.playbooks.ec2_instance.instance_context import Work
from guardduty_response.playbooks.ec2_instance.state import Facts, filters, reaches_endpoints

PROFILE_CALLS = (
    "ec2:ReplaceIamInstanceProfileAssociation",
    "ec2:AssociateIamInstanceProfile",
    "ec2:DisassociateIamInstanceProfile",
)


class ReplaceProfile(Action):
    name = option = "replace_instance_profile"
    part, none = "profile", "it has no instance profile, so nothing hands out credentials"
    good = "its instance profile is the one whose role may do nothing, or gone"
    hand = (
        "ec2 replace-iam-instance-profile-association --iam-instance-profile Name={profile}"
        " --association-id ID"
    )

    def read(self) -> Any:
        return profile(self.sessions, self.work)

    def todo(self) -> str:
        # of an attempt that died between taking the one and giving the other
        had = self.work.had("profile")
        name = self.now["name"] if self.now else had and had["name"]
        if not name or name in self.work.quarantine_profiles:
            return ""
        wanted = self._wanted()
        may = (
            "nothing"
            if wanted == self.work.profile_name
            else "nothing but what the SSM agent calls"
        )
        return f"instance profile {name} replaced by {wanted}, whose role may do {may}"

    def _wanted(self) -> str:
        """The profile for SSM only where the quarantine groups let the instance reach SSM."""
        return self.work.quarantine_profiles[reaches_endpoints(self.work, self.facts)]

    def change(self) -> list[Json]:
        ec2, old = (
            self.sessions.client("ec2", self.work.target.arn),
            (self.now or {}).get("association"),
        )
        return give_profile(ec2, self.work.id, self.facts, old, self._wanted())


class RevokeSessions(Action):
    name, option, part = "revoke_sessions", "revoke_sessions", "sessions"
    none, good = "it has no role, so no sessions", "its sessions are denied"
    hand = (
        "iam put-role-policy --role-name {role} --policy-name {policy} --policy-document"
        " '{document}' (role full or not yours to change: a managed policy, or a service control"
        " policy)"
    )
    ACTIONS = ("iam:PutRolePolicy",)

    @property
    def deny_name(self) -> str:
        return f"{self.work.prefix}-deny-{self.work.id}"

    def _names(self) -> Json:
        document = json.dumps(deny_document(self.work.id), separators=(",", ":"))
        return {
            **super()._names(),
            "role": name_of(self._role() or "ROLE"),
            "policy": self.deny_name,
            "document": document,
        }

    def _role(self) -> str:
        """The role the instance had when the incident began, also after its profile was
        replaced.
        """
        now = self.work.had("profile") or self.facts.parts.get("profile") or {}
        return (
            "" if now.get("name") in self.work.quarantine_profiles else str(now.get("role") or "")
        )

    def read(self) -> Any:
        """{role, policies: {name: document or None}, revoked_before}; {} without a role."""
        if "profile" not in self.facts.parts:
            self.facts.parts["profile"] = profile(self.sessions, self.work)
        role, had = self._role(), self.work.had(self.part) or {}
        if not role and (error := (self.facts.parts["profile"] or {}).get("error")):
            raise RuntimeError(error)
        if not role:
            return {}
        if ":role/aws-service-role/" in role or ":role/aws-reserved/" in role:
            raise RuntimeError(f"UnmodifiableEntity: {role} belongs to AWS and takes no policy")
        iam = self.sessions.client("iam")
        names = [self.deny_name, *[OLDER] * self.work.role_wide]
        # Rounded up: a session issued within this second is older too.
        now = (datetime.now(UTC) + timedelta(seconds=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
        got = gather({name: partial(role_policy, iam, role, name) for name in names})
        policies = {name: value(one) for name, one in got.items()}
        return {
            "role": role,
            "policies": policies,
            "revoked_before": had.get("revoked_before") or now,
        }

    def _wanted(self) -> dict[str, Json]:
        """Policies that are to be written."""
        if not self.now:
            return {}
        old = self.now["policies"]
        new = {self.deny_name: deny_document(self.work.id)}
        if OLDER in old and revoked_before(old[OLDER]) < self.now["revoked_before"]:
            new[OLDER] = revoke_document(old[OLDER], self.now["revoked_before"])
        return {name: document for name, document in new.items() if document != old[name]}

    def todo(self) -> str:
        if not self._wanted():
            return ""
        text = (
            f"sessions of {self.work.id} denied on role {name_of(self._role())} by policy"
            f" {self.deny_name}"
        )
        if OLDER not in self.now["policies"]:
            return f"{text}; other workloads of the role go on"
        return (
            f"{text}, all its older sessions by {OLDER}: every workload that shares the role needs"
            " new credentials"
        )

    def change(self) -> list[Json]:
        iam, role = (
            self.sessions.client("iam", self.now["role"], self.ACTIONS),
            name_of(self.now["role"]),
        )
        # One after the other: IAM refuses concurrent changes of a role.
        return [
            iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=json.dumps(document))
            for name, document in self._wanted().items()
        ]


def profile(sessions: Sessions, work: Work) -> Json:
    """{association, name, role}, or {} without a live profile; ``error`` instead of a role that
    cannot be read.
    """
    got = sessions.client("ec2").describe_iam_instance_profile_associations(
        Filters=filters(**{"instance-id": work.id})
    )
    live = [
        one
        for one in got["IamInstanceProfileAssociations"]
        if one["State"] in ("associating", "associated")
    ]
    if not live:
        return {}
    found = {
        "association": live[0]["AssociationId"],
        "name": name_of(live[0]["IamInstanceProfile"]["Arn"]),
    }
    if work.scope("role") and work.scope("profile_association") == found["association"]:
        return {**found, "role": work.scope("role")}
    try:
        got = sessions.client("iam").get_instance_profile(InstanceProfileName=found["name"])
        return {**found, "role": "".join(one["Arn"] for one in got["InstanceProfile"]["Roles"])}
    except ClientError as error:
        return {**found, "role": "", "error": why(error)}


def give_profile(ec2: Any, id: str, facts: Facts, association: str | None, name: str) -> list[Json]:
    """Gives the instance the profile ``name`` instead of the one under ``association`` (None: it
    has none).
    """
    new, answers = {"Name": name}, []
    if association and facts.instance["State"]["Name"] in ("pending", "running"):
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
    """Denies everything to this instance's sessions of a role: EC2 names them by instance id."""
    return {
        "Version": "2012-10-17",
        "Statement": [deny("StringLike", "aws:userid", f"*:{instance_id}")],
    }
