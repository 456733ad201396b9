"""Ends sessions of a role: the one that a finding names, or all that were issued until now.

A session is denied by its ``aws:userid`` (``AROA…:session name``) as long as its token is older
than the denial: whoever may assume the role can sign in again under the same name, which is
reported (``sessions.py``), not prevented.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from functools import partial
from typing import Any

from guardduty_response.containment import action
from guardduty_response.containment.role_policies import (
    OLDER,
    revoke_document,
    revoked_before,
    role_policy,
    statements,
)
from guardduty_response.containment.target_context import (
    Json,
    Sessions,
    allow,
    name_of,
    result_or_raise,
    run_all,
)
from guardduty_response.errors import ResponseError
from guardduty_response.playbooks.iam_principal.principal_context import (
    PrincipalContext,
    PrincipalState,
    now_rounded_up,
    retry_on_conflict,
)
from guardduty_response.playbooks.iam_principal.tags import TagRole

READ = ("iam:GetRole", "iam:GetRolePolicy", "iam:ListInstanceProfilesForRole")
CHANGE = ("iam:PutRolePolicy", "iam:TagRole")


class Action(action.Action[PrincipalContext, PrincipalState]):
    @property
    def iam(self) -> Any:
        return self.sessions.client("iam")

    @property
    def role(self) -> str:
        return self.target_context.who.role

    def manual_text(self) -> str:
        # IAM has no Region
        command = self.manual_command.format(
            role=self.role, prefix=self.target_context.prefix, **self._names()
        )
        return f"By hand: aws {command}"


class DenySession(Action):
    name, item = "revoke_sessions", "sessions"
    done_text = "its sessions are denied"
    manual_command = (
        "iam put-role-policy --role-name {role} --policy-name {policy} --policy-document"
        " '{document}' (role full: another managed policy, or a service control policy)"
    )

    @property
    def policy(self) -> str:
        return policy_name(self.target_context.prefix, self.target_context.id)

    def _names(self) -> Json:
        wanted = {**self._documents((self.current or {}).get("revoked_before") or now_rounded_up())}
        name, document = next(iter(wanted.items()))
        return {"policy": name, "document": json.dumps(document, separators=(",", ":"))}

    def _documents(self, before: str, old: Json | None = None) -> dict[str, Json]:
        """Policy -> document that denies what is to be denied before ``before``."""
        out: dict[str, Json] = {}
        unique_id, session = (
            self.target_context.scope("unique_id") or self.target_context.who.unique_id,
            self.target_context.who.session,
        )
        if session and unique_id:
            out[self.policy] = deny_sessions([f"{unique_id}:{session}"], before)
        if self.target_context.role_wide or not out:
            out[OLDER] = revoke_document(old, before)
        return out

    def read(self) -> Any:
        """{role, id: AROA…, policies: {name: document or None}, revoked_before}.
        ``revoked_before``: what is issued until then is denied, or is to be.
        """
        iam = self.iam
        got = run_all(
            {
                "": partial(iam.get_role, RoleName=self.role),
                **{
                    name: partial(role_policy, iam, self.role, name) for name in self._documents("")
                },
            }
        )
        found = result_or_raise(got.pop(""))["Role"]
        policies = {name: result_or_raise(one) for name, one in got.items()}
        return {
            "role": found["Arn"],
            "id": found["RoleId"],
            "policies": policies,
            "revoked_before": self._date(policies),
        }

    def _date(self, policies: Json) -> str:
        """The date that is there, if it is late enough: the first containment's, and not older than
        this execution's plan (who is contained again may have signed in again meanwhile). A check
        only asks for the first one's.
        """
        least = str((self.target_context.before_state(self.item) or {}).get("revoked_before") or "")
        if not (self.target_context.target.attach or self.target_context.target.verify_only):
            least = max(least, str(self.target_context.scope("planned") or ""))
        there = min((denied_before(one) for one in policies.values()), default="")
        return there if least and there >= least else now_rounded_up()

    def _wanted(self) -> dict[str, Json]:
        """Policies that are to be written. A later date than ours denies ours too."""
        now = self.current
        new = self._documents(now["revoked_before"], now["policies"].get(OLDER))
        if OLDER in new and revoked_before(now["policies"][OLDER]) >= now["revoked_before"]:
            del new[OLDER]
        return {
            name: document for name, document in new.items() if document != now["policies"][name]
        }

    def pending_change(self) -> str:
        wanted = self._wanted()
        if not wanted:
            return ""
        said = []
        if self.policy in self.current["policies"]:
            said.append(
                f"session {self.target_context.who.session} of role {self.role}, issued until "
                "now, denied by"
                f" policy {self.policy}"
            )
        if OLDER in self.current["policies"]:
            said.append(
                f"all sessions of role {self.role} issued until now denied by {OLDER}: every"
                " workload of the role needs new credentials"
            )
        else:
            said.append("other sessions of the role go on")
        return "; ".join(said)

    def change(self) -> list[Json]:
        # One after the other: IAM refuses concurrent changes of a role.
        return [
            retry_on_conflict(
                partial(
                    self.iam.put_role_policy,
                    RoleName=self.role,
                    PolicyName=name,
                    PolicyDocument=json.dumps(document),
                )
            )
            for name, document in self._wanted().items()
        ]


# One branch: both change the role.
TABLE: tuple[type[action.Action[PrincipalContext, PrincipalState]], ...] = (DenySession, TagRole)


def denied_before(document: Json | None) -> str:
    """The date of a policy as ``deny_sessions`` or ``revoke_document`` writes it, or empty."""
    if date := revoked_before(document):
        return date
    statements = (document or {}).get("Statement") or []
    condition = (
        statements[0].get("Condition") or {}
        if isinstance(statements, list) and len(statements) == 1
        else {}
    )
    return str((condition.get("DateLessThan") or {}).get("aws:TokenIssueTime") or "")


def policy_name(prefix: str, principal_id: str) -> str:
    """The same for the same principal: a second containment finds the first one's."""
    return f"{prefix}-deny-{hashlib.sha256(principal_id.encode()).hexdigest()[:12]}"


def deny_sessions(userids: list[str], before: str) -> Json:
    """Denies everything to these sessions (``AROA…:name``) as far as they were issued before
    ``before`` (ISO 8601, UTC).
    """
    condition = {
        "StringEquals": {"aws:userid": sorted(userids)},
        "DateLessThan": {"aws:TokenIssueTime": before},
    }
    return {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": condition}],
    }


def reading(principal: PrincipalContext, arn: str) -> Sessions:
    """Reads this role and who uses it, changes nothing."""
    others = ("ec2:DescribeInstances", "lambda:ListFunctions")
    return Sessions(principal, [allow(READ, arn), allow(others, "*")], {})


def changing(principal: PrincipalContext, arn: str) -> Sessions:
    """May change this role, and nothing else."""
    return Sessions(principal, [allow((*READ, *CHANGE), arn)], {})


def users_of(principal: PrincipalContext, sessions: Sessions, role: Json) -> str:
    """What else uses the role, in words: whom it trusts, instances, functions. What cannot be
    read is said.
    """
    iam, ec2, functions = sessions.client("iam"), sessions.client("ec2"), sessions.client("lambda")

    def instances() -> list[str]:
        profiles = iam.list_instance_profiles_for_role(RoleName=name_of(role["Arn"]))[
            "InstanceProfiles"
        ]
        arns = [one["Arn"] for one in profiles]
        if not arns:
            return []
        got = ec2.describe_instances(
            Filters=[{"Name": "iam-instance-profile.arn", "Values": arns}]
        )["Reservations"]
        return [one["InstanceId"] for reservation in got for one in reservation["Instances"]]

    def lambdas() -> list[str]:
        found, page = [], {"NextMarker": ""}
        while "NextMarker" in page:
            page = functions.list_functions(
                **({"Marker": page["NextMarker"]} if page["NextMarker"] else {})
            )
            found += [
                one["FunctionName"] for one in page["Functions"] if one.get("Role") == role["Arn"]
            ]
        return found

    got = run_all({"instance": partial(_told, instances), "function": partial(_told, lambdas)})
    said = [f"may be assumed by {', '.join(trusted(role))}"] if trusted(role) else []
    for kind, names in got.items():
        if isinstance(names, Exception):
            said.append(f"{kind}s with it could not be listed")
        elif names:
            shown = ", ".join(names[:10]) + (
                f" and {len(names) - 10} more" if len(names) > 10 else ""
            )
            said.append(f"{kind} {shown} in {principal.target.region}")
    return f"role {name_of(role['Arn'])}: {'; '.join(said)}" if said else ""


def _told(call: Callable[[], list[str]]) -> list[str]:
    """Names, for people to know: whatever goes wrong is said and stops nothing. Raises
    ResponseError.
    """
    try:
        return call()
    except Exception as error:
        raise ResponseError(str(error)[:200]) from error


def trusted(role: Json) -> list[str]:
    """The principals that the trust policy allows, as it names them."""
    document = role.get("AssumeRolePolicyDocument") or {}
    document = json.loads(document) if isinstance(document, str) else document
    out: list[str] = []
    for one in statements(document):
        allowed = one.get("Principal") if one.get("Effect") == "Allow" else None
        for names in (
            allowed.values() if isinstance(allowed, dict) else [allowed] if allowed else []
        ):
            out += [names] if isinstance(names, str) else list(names)
    return sorted(set(out))
