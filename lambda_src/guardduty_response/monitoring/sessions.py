"""Opens the session of a batch of checks: one for all of them, which can only read."""

from __future__ import annotations

import json
import os
import re
import threading
from typing import TYPE_CHECKING

from guardduty_response.aws import clients
from guardduty_response.containment import session_policy
from guardduty_response.containment.gate import Gate
from guardduty_response.containment.target_context import allow, policy
from guardduty_response.errors import RoleUnavailable

if TYPE_CHECKING:
    from guardduty_response.aws.api import PolicyDocument

_RESPONDER = "GDR_RESPONDER_ROLE"


class BatchSessions:
    """Opens sessions of the monitor's member role. ``read``: the IAM actions of all checks.

    A playbook that does not say which these are gets a session for each set of reading actions.
    """

    def __init__(self, partition: str, name: str, read: tuple[str, ...]) -> None:
        self._partition = partition
        self._name = re.sub(r"[^\w+=,.@-]", "-", name)  # AWS STS, RoleSessionName
        self._read = policy(allow(read)) if read else None
        self._opened: dict[tuple[str, str, str], clients.Session] = {}
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
        Raises RoleUnavailable where another role than that of the playbook is asked for.
        """
        if role != _RESPONDER:
            raise RoleUnavailable(f"the monitor function has no role in place of {role}")
        document = session_policy.only_reading(self._read or document)
        key = account_id, region, json.dumps(document, sort_keys=True)
        with self._lock:
            if key not in self._opened or self._opened[key].failed_in_passing():
                name = os.environ["GDR_MONITOR_ROLE"]
                arn = f"arn:{self._partition}:iam::{account_id}:role/{name.removeprefix('/')}"
                self._opened[key] = clients.Session(
                    arn, self._name, region, document, config=clients.CHECK_CONFIG
                )
            return self._opened[key]

    def check_role(self, account_id: str, region: str) -> None:
        """Raises RoleUnavailable where the account has no role for the monitor function."""
        self.assume(account_id, region, policy(allow(("sts:GetCallerIdentity",)))).wait()
