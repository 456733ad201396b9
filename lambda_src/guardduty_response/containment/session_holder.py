"""A target whose credentials may have got sessions of roles, as the search for these knows it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from guardduty_response.containment.target_context import TargetContext

if TYPE_CHECKING:
    from guardduty_response.aws.clients import Session
    from guardduty_response.incident.model import StoredState

HOURS = 12  # a role session lives no longer (AWS STS AssumeRole, DurationSeconds)
# So long a session lives that was got with a session of a role (role chaining).
CHAINED_HOURS = 1

# (attribute, value) of LookupEvents
Lookup = tuple[str, str]


class ChainedSession(NamedTuple):
    """A session got by AssumeRole at ``at`` (ISO 8601). ``userid`` is ``AROA…:name``, ``role`` is
    the role's ARN, ``key`` its access key. It began at ``began`` and ends by itself at ``ends``, in
    seconds since 1970. One got by AssumeRoot has the root's ARN as ``role``, its key as ``userid``.
    """

    userid: str
    role: str
    key: str
    at: str
    began: float
    ends: float

    @property
    def account(self) -> str:
        fields = self.role.split(":")
        return fields[4] if len(fields) >= 6 else ""

    @property
    def is_root(self) -> bool:
        return self.role.endswith(":root")


class SessionHolder(TargetContext):
    """``prepared``: what a search begins with, where it is there already: the session that looks
    up, the Regions, and a remark of those that could not be listed.
    """

    prepared: tuple[Session, list[str], str] | None = None

    @property
    def sessions_option(self) -> str:
        """The option by which sessions of roles are not looked for, or would not be."""
        raise NotImplementedError

    @property
    def looks_for_sessions(self) -> bool:
        return bool(self.options[self.sessions_option])

    @property
    def session_hours(self) -> int:
        """How long a session lives at most that its credentials got of a role."""
        return CHAINED_HOURS

    def own_lookups(self) -> list[Lookup]:
        """Returns what CloudTrail knows its own calls by; none where that is not known."""
        raise NotImplementedError

    def is_caller(self, identity: object) -> bool:
        """Tells whether its own credentials made a call, by the ``userIdentity`` of the record: of
        the calls that the lookups find, some are others'.
        """
        raise NotImplementedError

    def is_denied_already(self, session: ChainedSession) -> bool:
        """Tells whether what denies the target itself denies the session too."""
        return False

    @property
    def acts(self) -> bool:
        """Whether this incident contains the target itself: another incident's containment is
        neither repeated nor judged.
        """
        return not (self.target.attach or self.target.verify_only)

    def evidence_state(self, item: str) -> StoredState:
        """What an evidence item keeps between calls, or an empty dict."""
        stored = (self.stored.get("evidence") or {}).get(item) or {}
        return dict(stored.get("state") or {})
