"""Says what a managed policy that denies sessions needs (``managed_denial.py``). No function
imports this module.
"""

from __future__ import annotations

from guardduty_response.containment import managed_denial
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
DENIES = (
    *READS,
    Permission(
        f"makes a managed policy of its own {_WHERE_FULL}",
        managed_denial.WRITES,
        POLICIES,
        sid="DenySessionsByManagedPolicy",
    ),
    Permission(
        "attaches that policy, and no other",
        (managed_denial.ATTACHES,),
        ROLES,
        _THAT_POLICY,
        sid="AttachThatPolicy",
    ),
)
RESTORES = (
    *READS,
    Permission(
        "takes its denial out of that managed policy, and deletes it after the last",
        tuple(dict.fromkeys((*managed_denial.CHANGES, *managed_denial.REMOVES))),
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
