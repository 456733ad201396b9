"""Shows every control of this playbook with placeholders for names, for the table in its runbook
(lambda_src/generate.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from guardduty_response.containment.chained_denial import NAME, ChainedDenial
from guardduty_response.containment.contract import NOTHING, Context, Target
from guardduty_response.containment.declared import Example
from guardduty_response.containment.role_policies import OLDER
from guardduty_response.containment.session_denials import deny_sessions
from guardduty_response.containment.target_context import Sessions
from guardduty_response.playbooks.iam_principal import identify
from guardduty_response.playbooks.iam_principal.deny_all import DenyAll
from guardduty_response.playbooks.iam_principal.principal_context import (
    PrincipalContext,
    PrincipalState,
)
from guardduty_response.playbooks.iam_principal.role import DenySession
from guardduty_response.playbooks.iam_principal.tags import TagRole, TagUser
from guardduty_response.playbooks.iam_principal.user_action import PrincipalControl
from guardduty_response.playbooks.iam_principal.user_credentials import (
    AccessKeys,
    Certificates,
    Mfa,
    Password,
    ServiceCredentials,
    SshKeys,
)

USER, SESSION, OTHER = "IAM user", "role session", "session held in another role"
ACCOUNT = "A"  # as the runbook calls it
DENIAL = "P-deny-SESSION"
LATER = "2030-01-01T00:00:00+00:00"  # than the stand-in's finding: an MFA device of an intruder


class _NamedDenial(DenySession):
    """Has a name that says what it is; containment's own is made of a hash."""

    policy = DENIAL


def examples(context: Context) -> list[Example]:
    """Returns an example of every control, in the order in which they run."""
    return [*_of_user(context), *_of_session(context), _of_held_session(context)]


def _of_user(context: Context) -> list[Example]:
    def shown(
        control: type[PrincipalControl],
        before: object,
        after: object = None,
        contained: Mapping[str, object] = NOTHING,
        text: str = "",
    ) -> Example:
        example = _example(USER, _user(context), control, before, after)
        return example._replace(contained=contained, text=text)

    password = {"created": LATER, "reset_required": False}
    resetting = replace(context, options={**context.options, "console_password": "reset"})
    return [
        shown(DenyAll, {"attached": False, "boundary": None}),
        *(
            shown(
                DenyAll,
                {"boundary": boundary},
                contained={"boundary": _user(context).deny_all},
                text=f"where its quota of attached policies is full, and its permissions boundary"
                f" was {boundary or 'none'}: AWSDenyAll as its permissions boundary",
            )
            for boundary in ("OLD_BOUNDARY_ARN", None)
        ),
        shown(AccessKeys, {"KEY": "Active"}),
        shown(Password, password, after={}),
        _example(USER, _user(resetting), Password, password, after=password),
        shown(Mfa, {"SERIAL": LATER}),
        shown(SshKeys, {"KEY": "Active"}),
        shown(ServiceCredentials, {"ID": "Active"}),
        shown(Certificates, {"ID": "Active"}),
        shown(TagUser, dict.fromkeys(("P", "P-incident"))),
    ]


def _of_session(context: Context) -> list[Example]:
    named, every = _role(context, "ROLE/SESSION"), _role(context, "ROLE/*")
    denied = {"policies": {DENIAL: None}, "revoked_before": "NOW"}
    revoked = {"policies": {OLDER: None}, "revoked_before": "NOW"}
    option = "revoke_sessions"
    return [
        _example(SESSION, named, _NamedDenial, denied, option=option),
        _example(SESSION, every, DenySession, revoked, option=option),
        _example(SESSION, named, TagRole, dict.fromkeys(("P", "P-incident"))),
    ]


def _of_held_session(context: Context) -> Example:
    user = _user(context)
    item = f"{NAME}/OTHER_ROLE"
    before = {"role": f"arn:aws:iam::{ACCOUNT}:role/OTHER_ROLE", "policy": DENIAL, "document": None}
    user.stored = {"before": {item: before}}
    control = ChainedDenial(user, item)
    control.state.settings[item] = before
    return Example(
        OTHER,
        control,
        option="user_role_sessions",
        contained={DENIAL: deny_sessions(["OTHER_ROLE_ID:SESSION"], "NOW")},
        text=f"the session, issued until now, denied on its role by policy {DENIAL}",
    )


def _example(
    resource: str,
    principal: PrincipalContext,
    control: type[PrincipalControl],
    before: object,
    after: object = None,
    option: str = "",
) -> Example:
    state = PrincipalState({control.item: before})
    made = control(principal, Sessions(principal, [], {}), state)
    return Example(resource, made, after=after, option=option)


def _user(context: Context) -> PrincipalContext:
    arn = f"arn:aws:iam::{ACCOUNT}:user/USER"
    return PrincipalContext(context, Target(identify.USER, "USER", arn, ACCOUNT, "H"))


def _role(context: Context, id: str) -> PrincipalContext:
    arn, role = f"arn:aws:sts::{ACCOUNT}:assumed-role/{id}", f"arn:aws:iam::{ACCOUNT}:role/ROLE"
    scope = {"role_arn": role, "unique_id": "ROLE_ID"}
    if id.endswith("*"):
        context = replace(context, options={**context.options, "revoke_sessions": "role"})
    return PrincipalContext(context, Target(identify.SESSION, id, arn, ACCOUNT, "H", scope))
