"""One principal within one incident, and what every step of this playbook shares."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from guardduty_response.containment.contract import Context, Target
from guardduty_response.containment.role_policies import OLDER
from guardduty_response.containment.session_entries import parse_time
from guardduty_response.containment.session_holder import CHAINED_HOURS, HOURS, SessionHolder
from guardduty_response.decision.finding import get
from guardduty_response.playbooks.iam_principal.identify import principal_of

if TYPE_CHECKING:
    from guardduty_response.aws.api import AwsAnswer
    from guardduty_response.containment.session_holder import Lookup
    from guardduty_response.containment.target_context import Settings


class PrincipalContext(SessionHolder):
    """``identity``: the principal the finding names. ``deny_all``: the ARN of AWSDenyAll."""

    def __init__(self, context: Context, target: Target) -> None:
        super().__init__(context, target)
        self.identity = principal_of(self)
        self.deny_all = f"arn:{context.config.partition}:iam::aws:policy/AWSDenyAll"

    @property
    def iam_name(self) -> str:
        """The name that IAM has of the user or role."""
        return self.identity.user or self.identity.role

    @property
    def unique_id(self) -> str:
        """The unique ID (AIDA…, AROA…) by the plan, else by the finding; else empty."""
        return str(self.scope("unique_id") or self.identity.unique_id)

    @property
    def sessions_option(self) -> str:
        return "user_role_sessions"

    @property
    def session_hours(self) -> int:
        return CHAINED_HOURS if self.identity.role else HOURS

    def own_lookups(self) -> list[Lookup]:
        """A role session's name is the ``Username`` of its calls."""
        pairs = []
        if name := self.identity.user or self.identity.session:
            pairs.append(("Username", name))
        if self.identity.key.startswith("ASIA"):
            pairs.append(("AccessKeyId", self.identity.key))
        return pairs

    def is_caller(self, identity: object) -> bool:
        """A user of the same name in another account, and another role's session of the same name,
        answer to the same ``Username``.
        """
        caller = get(identity, "principalId")
        if self.identity.session:
            return bool(self.unique_id) and caller == f"{self.unique_id}:{self.identity.session}"
        is_user = get(identity, "type") == "IAMUser"
        return is_user and (not self.unique_id or caller == self.unique_id)

    @property
    def role_wide(self) -> bool:
        """Whether all older sessions of the role are denied: by option, because the finding names
        no session, or because another finding's containment has done so.
        """
        recorded = (self.before_state("sessions") or {}).get("policies") or {}
        if OLDER in recorded or f"sessions/{OLDER}" in self.before_states:
            return True
        return self.options["revoke_sessions"] == "role" or not self.identity.session

    @property
    def since(self) -> datetime:
        """The begin of the finding's time range: log_window_minutes before its first event."""
        service = self.context.finding.detail.get("service")
        first = get(service, "eventFirstSeen") or self.context.finding.detail.get("createdAt")
        try:
            began = parse_time(str(first))
        except ValueError:
            began = datetime.now(UTC)
        if not began.tzinfo:
            began = began.replace(tzinfo=UTC)
        minutes = float(self.context.config.evidence.get("log_window_minutes") or 60)
        return began - timedelta(minutes=minutes)


@dataclass
class PrincipalState:
    """What was read, by item, and why an item could not be read."""

    settings: Settings = field(default_factory=dict)
    read_errors: dict[str, str] = field(default_factory=dict)


def list_all(call: Callable[..., AwsAnswer], key: str, **request: object) -> list[AwsAnswer]:
    """Returns the entries of every page of an IAM list."""
    entries: list[AwsAnswer] = []
    while True:
        page = call(**request)
        entries += page[key]
        if not page.get("IsTruncated"):
            return entries
        request["Marker"] = page["Marker"]
