"""Denies a person everything in each permission set held, the finding's first, and has it
provisioned to the accounts.
"""

from __future__ import annotations

import json
import time
from functools import partial
from typing import TYPE_CHECKING

from guardduty_response.aws.conflicts import retry_on_conflict
from guardduty_response.containment import chained_sessions
from guardduty_response.containment.contract import StepResult
from guardduty_response.containment.target_context import ALREADY, DONE, FAILED, describe_error
from guardduty_response.errors import ResponseError
from guardduty_response.incident.moments import now
from guardduty_response.incident.shared_settings import Held
from guardduty_response.playbooks.iam_principal.identity_center.center import (
    DENY,
    LIMIT,
    PART,
    Center,
    deny_statement,
    has_statement,
    hold_policy,
    policy_size,
    provision,
    read_inline_policy,
    recorded_statement,
    with_statement,
)
from guardduty_response.playbooks.iam_principal.identity_center.plan import denial_sentence
from guardduty_response.playbooks.iam_principal.identity_center.provisioning import (
    UNDER_WAY,
    attempts_made,
    provisioning_state,
    store_state,
)
from guardduty_response.playbooks.iam_principal.principal_context import PrincipalContext

if TYPE_CHECKING:
    from guardduty_response.aws.api import AwsAnswer, AwsClient, PolicyDocument
    from guardduty_response.playbooks.iam_principal.records import (
        PermissionSet,
        PermissionSetBefore,
    )

CHANGE = (
    "GetInlinePolicyForPermissionSet",
    "PutInlinePolicyToPermissionSet",
    "ProvisionPermissionSet",
)
SECONDS = 60  # of a function call; the next attempt goes on


def contain(principal: PrincipalContext) -> StepResult:
    """Denies the person in each permission set, as far as SECONDS allows."""
    principal.stored = principal.read_stored()
    center = Center(principal)
    until = time.monotonic() + SECONDS
    sets: list[PermissionSet] = principal.scope("sets")
    for number, permission_set in enumerate(sets):
        if number and time.monotonic() > until:
            break
        _deny(principal, center, permission_set)
    chained_sessions.deny(principal)
    return StepResult(
        detail=(
            f"Denial of {principal.identity.session} attempted in {len(sets)} permission sets; see"
            " actions"
        )
    )


def _deny(principal: PrincipalContext, center: Center, permission_set: PermissionSet) -> None:
    """Denies the person in a permission set. Whatever goes wrong touches no other."""
    name = permission_set["name"]
    action = f"{DENY} {name}"
    state = provisioning_state(principal, name)
    answers: list[AwsAnswer] = []
    try:
        sso = center.admin(permission_set["arn"], *CHANGE)
        with hold_policy(principal, permission_set["arn"]) as held:
            added = _add_statement(principal, center, sso, permission_set, held)
        if added is None and state.get("status") in UNDER_WAY:
            session = principal.identity.session
            detail = f"{session} is denied everything in permission set {name}"
            principal.log_action(action, ALREADY, detail)
            return
        if added is not None:
            answers.append(added)
        answers.append(provision(sso, center, permission_set["arn"]))
        provisioning = answers[-1]["PermissionSetProvisioningStatus"]
        state["request"] = provisioning["RequestId"]
        state["status"] = provisioning["Status"]
        state["reason"] = provisioning.get("FailureReason", "")
        status = DONE
        detail = denial_sentence(principal, name)
    except Exception as error:
        state["status"] = "FAILED"
        state["reason"] = describe_error(error)
        status = FAILED
        detail = (
            f"failed ({describe_error(error)}): {denial_sentence(principal, name)}. By hand:"
            f" {_manual_commands(principal)}"
        )
    state["tries"] = attempts_made(principal, state) + 1
    state["execution"] = principal.context.execution
    state["at"] = now()
    store_state(principal, name, state)
    principal.log_action(action, status, detail, answers)


def _add_statement(
    principal: PrincipalContext,
    center: Center,
    sso: AwsClient,
    permission_set: PermissionSet,
    held: Held,
) -> AwsAnswer | None:
    """Returns Identity Center's answer, None when the statement is there already. Raises
    ResponseError when the policy has no room for it.
    """
    arn = permission_set["arn"]
    statement = recorded_statement(principal, permission_set["name"])
    text = held.latest(partial(read_inline_policy, sso, center, arn))
    if has_statement(text, statement):
        return None
    new = with_statement(text, statement)
    if policy_size(new) > LIMIT:
        raise ResponseError(
            f"the inline policy of permission set {permission_set['name']} would have"
            f" {policy_size(new)} bytes of at most {LIMIT}"
        )
    _record_before(principal, permission_set, text, statement)
    put = partial(
        sso.put_inline_policy_to_permission_set, **center.parameters(arn), InlinePolicy=new
    )
    answer = dict(retry_on_conflict(put))
    held.written(new)
    return answer


def _record_before(
    principal: PrincipalContext,
    permission_set: PermissionSet,
    text: str,
    statement: PolicyDocument,
) -> None:
    of_finding = permission_set == principal.scope("sets")[0]
    before: PermissionSetBefore = {
        "arn": permission_set["arn"],
        "policy": text,
        "statement": statement,
        "role": principal.scope("role_arn") if of_finding else "",
    }
    principal.record_before_state(f"{PART}/{permission_set['name']}", before)


def _manual_commands(principal: PrincipalContext) -> str:
    """Returns what needs no room in a permission set: a service control policy."""
    statement = {**deny_statement(principal, principal.scope("user_id")), "Sid": "DenyUser"}
    document = {"Version": "2012-10-17", "Statement": [statement]}
    content = json.dumps(document, separators=(",", ":"))
    return (
        "(management account) aws organizations create-policy --type SERVICE_CONTROL_POLICY --name"
        f" deny-user --description incident --content '{content}' ; aws organizations attach-policy"
        f" --policy-id THE_NEW_ID --target-id {principal.target.account_id} (and every other"
        " account of the user)"
    )
