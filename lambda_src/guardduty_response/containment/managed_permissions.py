"""Says what a managed policy that denies sessions needs (``managed_denial.py``). No function
imports this module.
"""

from __future__ import annotations

from guardduty_response.containment import denied_role_tag, managed_denial
from guardduty_response.containment.declared import Permission
from guardduty_response.containment.role_policy_control import ROLES

POLICIES = "arn:${partition}:iam::${account_id}:policy/${name_prefix}-sessions-*"
_THAT_POLICY = {"ArnLike": {"iam:PolicyARN": POLICIES}}
_WHERE_FULL = "where a role's inline policies have no room for what denies sessions"

READS = (
    Permission(f"reads the managed policy that is used {_WHERE_FULL}", managed_denial.LISTS, ROLES),
    Permission(
        f"reads the managed policy that is used {_WHERE_FULL}",
        managed_denial.READS,
        POLICIES,
    ),
)
# Reading it joins what changes it: the template of the StackSet is as long as may be.
DENIES = (
    READS[0],
    Permission(
        f"reads and makes a managed policy of its own {_WHERE_FULL}",
        (*managed_denial.READS, *managed_denial.WRITES),
        POLICIES,
        sid="DenySessionsByManagedPolicy",
    ),
    Permission(
        "attaches that policy, and no other, and detaches it once its sessions are over",
        (managed_denial.ATTACHES, managed_denial.DETACHES),
        ROLES,
        _THAT_POLICY,
        sid="AttachThatPolicy",
    ),
)
# Once no session that is denied can live, the responder takes the denial out again.
EXPIRES = (
    Permission(
        "deletes what denies sessions of a role once no such session can live, and nothing of roles"
        " that have no tag which says that sessions are denied",
        ("iam:DeleteRolePolicy",),
        ROLES,
        {"StringEquals": {"aws:ResourceTag/${name_prefix}-sessions": denied_role_tag.VALUE}},
        sid="TakeOutExpiredDenials",
    ),
)
EXPIRY = ("iam:DeleteRolePolicy", managed_denial.DETACHES)
RESTORES = (
    READS[0],
    Permission(
        "takes its denial out of that managed policy, and deletes it after the last",
        tuple(
            dict.fromkeys((*managed_denial.READS, *managed_denial.CHANGES, *managed_denial.REMOVES))
        ),
        POLICIES,
        sid="SessionsByManagedPolicyBack",
    ),
    Permission(
        "detaches that policy, and no other",
        (managed_denial.DETACHES,),
        ROLES,
        _THAT_POLICY,
        sid="DetachThatPolicy",
    ),
)
