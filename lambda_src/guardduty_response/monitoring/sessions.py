"""Opens the session of a batch of checks: one for all of them, which can only read."""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING

from guardduty_response.aws import clients
from guardduty_response.containment import session_policy
from guardduty_response.containment.gate import Gate
from guardduty_response.containment.target_context import allow, policy
from guardduty_response.errors import RoleUnavailable

if TYPE_CHECKING:
    from guardduty_response.aws.api import PolicyDocument

_RESPONDER, _MONITOR = "GDR_RESPONDER_ROLE", "GDR_MONITOR_ROLE"


class BatchSessions:
    """Opens sessions of the monitor's member roles. ``read``: the IAM actions of all checks, of a
    further role by the environment variable with its name.

    A playbook that does not say which these are gets a session for each set of reading actions.
    """

    def __init__(
        self,
        partition: str,
        name: str,
        read: tuple[str, ...],
        elsewhere: Mapping[str, tuple[str, ...]] | None = None,
    ) -> None:
        self._partition = partition
        self._name = re.sub(r"[^\w+=,.@-]", "-", name)  # AWS STS, RoleSessionName
        reads = {_RESPONDER: read, **(elsewhere or {})}
        self._read = {role: policy(allow(actions)) for role, actions in reads.items() if actions}
        self._opened: dict[tuple[str, str, str, str], clients.Session] = {}
        self._lock = threading.Lock()

    def assume(
        self,
        account_id: str,
        region: str,
        document: PolicyDocument,
        role: str = _RESPONDER,
        gate: Gate | None = None,
    ) -> clients.Session:
        """Opens a session as ``containment.contract.member_session`` does, or returns an open one.

        One that a passing fault kept from being opened is opened anew: it would fail all checks.
        ``role``: the environment variable with a further role's name; the monitor function has
        roles of its own by the names of those of the function that contains.

        Raises RoleUnavailable where it has no such role.
        """
        name = os.environ.get(_MONITOR if role == _RESPONDER else role)
        if not name:
            raise RoleUnavailable(f"the monitor function has no role in place of {role}")
        document = session_policy.only_reading(self._read.get(role) or document)
        key = account_id, region, name, json.dumps(document, sort_keys=True)
        with self._lock:
            if key not in self._opened or self._opened[key].failed_in_passing():
                arn = f"arn:{self._partition}:iam::{account_id}:role/{name.removeprefix('/')}"
                self._opened[key] = clients.Session(
                    arn, self._name, region, document, config=clients.CHECK_CONFIG
                )
            return self._opened[key]

    def check_role(self, account_id: str, region: str, role: str = _RESPONDER) -> None:
        """Raises RoleUnavailable where the account has no role for the monitor function."""
        self.assume(account_id, region, policy(allow(("sts:GetCallerIdentity",))), role).wait()
