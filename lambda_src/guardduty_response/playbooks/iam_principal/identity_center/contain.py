"""Denies a person everything in each permission set held, the finding's first, and has it
provisioned to the accounts.
"""

from __future__ import annotations

import json
import time
from functools import partial
from typing import Any

from guardduty_response.containment.contract import StepResult
from guardduty_response.containment.target_context import (
    ALREADY,
    DONE,
    FAILED,
    Json,
    describe_error,
)
from guardduty_response.errors import ResponseError
from guardduty_response.incident.repository import now
from guardduty_response.playbooks.iam_principal import chained_sessions
from guardduty_response.playbooks.iam_principal.identity_center.center import (
    DENY,
    LIMIT,
    PART,
    Center,
    has,
    inline,
    merged,
    size,
    statement,
)
from guardduty_response.playbooks.iam_principal.identity_center.plan import sentence
from guardduty_response.playbooks.iam_principal.principal_context import (
    PrincipalContext,
    retry_on_conflict,
)

CHANGE = (
    "GetInlinePolicyForPermissionSet",
    "PutInlinePolicyToPermissionSet",
    "ProvisionPermissionSet",
)
SECONDS = 60  # of one call; the next attempt goes on
EVERYWHERE = "ALL_PROVISIONED_ACCOUNTS"
UNDER_WAY = ("IN_PROGRESS", "SUCCEEDED")


def contain(principal: PrincipalContext) -> StepResult:
    principal.stored = principal.read_stored()
    center, until = Center(principal), time.monotonic() + SECONDS
    for number, one in enumerate(principal.scope("sets")):
        if number and time.monotonic() > until:
            break
        _deny(principal, center, one)
    chained_sessions.deny(principal)
    return StepResult(
        detail=f"permission sets of {principal.who.session} worked on; the ledger says which"
    )


def _deny(principal: PrincipalContext, center: Center, one: Json) -> None:
    """One permission set. Whatever goes wrong touches no other."""
    name, mine = f"{DENY} {one['name']}", statement(principal, principal.scope("user_id"))
    state = dict(known(principal).get(one["name"]) or {})
    answers: list[Json] = []
    try:
        sso = center.admin(one["arn"], *CHANGE)
        text = inline(sso, center, one["arn"])
        if not has(text, mine):
            answers += _write(principal, center, sso, one, text, mine)
        elif state.get("status") in UNDER_WAY:
            principal.log_action(
                name,
                ALREADY,
                f"{principal.who.session} is denied everything in permission set {one['name']}",
            )
            return
        answers.append(
            retry_on_conflict(
                partial(
                    sso.provision_permission_set, **center.named(one["arn"]), TargetType=EVERYWHERE
                )
            )
        )
        got = answers[-1]["PermissionSetProvisioningStatus"]
        status, detail = DONE, sentence(principal, one["name"])
        state |= {
            "request": got["RequestId"],
            "status": got["Status"],
            "reason": got.get("FailureReason", ""),
        }
    except Exception as error:
        status = FAILED
        detail = (
            f"failed ({describe_error(error)}): {sentence(principal, one['name'])}. By hand: "
            f"{by_hand(principal)}"
        )
        state |= {"status": "FAILED", "reason": describe_error(error)}
    keep(
        principal,
        one["name"],
        {
            **state,
            "tries": tries(principal, state) + 1,
            "execution": principal.context.execution,
            "at": now(),
        },
    )
    principal.log_action(name, status, detail, answers)


def _write(
    principal: PrincipalContext, center: Center, sso: Any, one: Json, text: str, mine: Json
) -> list[Json]:
    new = merged(text, mine)
    if size(new) > LIMIT:
        raise ResponseError(
            f"the inline policy of permission set {one['name']} would have {size(new)} bytes of at"
            f" most {LIMIT}"
        )
    role = principal.scope("role_arn") if one == principal.scope("sets")[0] else ""
    principal.record_before_state(
        f"{PART}/{one['name']}",
        {"arn": one["arn"], "policy": text, "statement": mine, "role": role},
    )
    return [
        retry_on_conflict(
            partial(
                sso.put_inline_policy_to_permission_set,
                **center.named(one["arn"]),
                InlinePolicy=new,
            )
        )
    ]


def known(principal: PrincipalContext) -> Json:
    """Permission set -> {request, status, reason, tries, execution, at} of its provisioning, as
    the ledger has it.
    """
    kept: Json = (principal.stored.get("evidence") or {}).get(PART) or {}
    return dict(kept.get("state") or {})


def tries(principal: PrincipalContext, state: Json) -> int:
    """How often this execution has tried it."""
    return (
        int(state.get("tries") or 0) if state.get("execution") == principal.context.execution else 0
    )


def keep(principal: PrincipalContext, name: str, state: Json) -> None:
    states = {**known(principal), name: state}
    bad = [one for one in states.values() if one["status"] == "FAILED"]
    entry: Json = {
        "outcome": "PARTIAL" if bad else "COMPLETE",
        "detail": f"{len(states)} permission sets provisioned again",
        "objects": [],
        "task": "",
        "state": states,
        "at": now(),
    }
    principal.record_evidence(PART, entry)
    principal.stored.setdefault("evidence", {})[PART] = entry


def by_hand(principal: PrincipalContext) -> str:
    """What needs no room in a permission set: a service control policy."""
    mine = {**statement(principal, principal.scope("user_id")), "Sid": "DenyUser"}
    content = json.dumps({"Version": "2012-10-17", "Statement": [mine]}, separators=(",", ":"))
    return (
        "(management account) aws organizations create-policy --type SERVICE_CONTROL_POLICY --name"
        f" deny-user --description incident --content '{content}' ; aws organizations attach-policy"
        f" --policy-id THE_NEW_ID --target-id {principal.target.account_id} (and every other "
        "account of"
        " the user)"
    )
