"""Finds in CloudTrail the sessions that a principal got of roles, and sessions these got in turn.

The principal's own calls are asked for by its name, those of a few sessions by their keys. What
many sessions did is read from all AssumeRole events of a Region, in one lookup. CloudTrail shows an
AssumeRole call some minutes late, so this runs when containing and once more when the rest has
ended.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from guardduty_response.aws import clients
from guardduty_response.cloudtrail import query
from guardduty_response.decision.finding import get, text
from guardduty_response.errors import ResponseError
from guardduty_response.playbooks.iam_principal import regions
from guardduty_response.playbooks.iam_principal.principal_context import (
    PrincipalContext,
    parse_time,
)

if TYPE_CHECKING:
    from guardduty_response.playbooks.iam_principal.records import CloudTrailRecord

DEFAULT_SECONDS = 3600  # what a session lives when nobody says how long
CLOCK_SECONDS = 300  # what clocks may differ
SECONDS = 30  # for all lookups while the verdict waits
HOURS = 12  # a role session lives no longer (AWS STS AssumeRole, DurationSeconds)
# So long a session lives that was got with a session of a role (role chaining).
CHAINED_HOURS = 1
# Lookups for one principal or key, in all: containment's verdict waits for them, and LookupEvents
# takes two calls a second. What more sessions did is read from all AssumeRole events.
QUERIES = 12
ASSUME_ROLE = ("EventName", "AssumeRole")

# (attribute, value) of LookupEvents
Lookup = tuple[str, str]


@dataclass(frozen=True)
class ChainedSession:
    """A session got by AssumeRole at ``at`` (ISO 8601). ``userid`` is ``AROA…:name``, ``role`` is
    the role's ARN, ``key`` its access key. It began at ``began`` and ends by itself at ``ends``, in
    seconds since 1970.
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


@dataclass
class _Search:
    """What was asked and found so far. ``remarks``: what could not be looked at, by Region;
    ``began``: when the first session was got.
    """

    pending: list[Lookup]
    asked: set[Lookup] = field(default_factory=set)
    found: dict[str, ChainedSession] = field(default_factory=dict)
    remarks: dict[str, str] = field(default_factory=dict)
    began: float = field(default_factory=time.time)

    def take(self, session: ChainedSession) -> None:
        """Keeps the session that ends last of those with the same name, and has it asked for."""
        self.began = min(self.began, session.began)
        known = self.found.get(session.userid)
        if known is None or session.ends > known.ends:
            self.found[session.userid] = session
        if session.key:
            self.pending.append(("AccessKeyId", session.key))


def find(
    principal: PrincipalContext, seconds: int = SECONDS
) -> tuple[list[ChainedSession], list[str]]:
    """Returns every session alive that the principal, or a session it got, got by AssumeRole, and
    what could not be looked at, with the command.

    A session may get another session in any Region: what one Region shows is asked in all of
    them. ``seconds``: for all lookups; a round of them gets half of it at most. Raises
    ResponseError when no Region could be asked, and what is transient of listing the Regions.
    """
    until = time.monotonic() + seconds
    session = regions.lookup_session(principal)
    names, remark = regions.enabled(principal, session)
    search = _Search(own_lookups(principal))
    if remark:
        search.remarks[""] = remark
    while search.pending:
        left = min(seconds // 2, int(until - time.monotonic()))
        if left < 1:
            command = query.lookup_command(ASSUME_ROLE, principal.target.region)
            count = len(search.pending)
            search.remarks["more"] = f"no time was left for what {count} sessions did: {command}"
            break
        if len(search.asked) + len(search.pending) > QUERIES:
            _search_all(
                session,
                names,
                search,
                left,
            )
        else:
            _search_once(
                principal,
                session,
                names,
                search,
                left,
            )
    alive = [found for found in search.found.values() if found.ends > time.time()]
    return sorted(alive, key=lambda found: found.at), list(search.remarks.values())


def _search_once(
    principal: PrincipalContext,
    session: clients.Session,
    names: list[str],
    search: _Search,
    seconds: int,
) -> None:
    """Asks every Region the pending lookups."""
    start = datetime.now(UTC) - timedelta(hours=HOURS)
    pairs = search.pending
    search.asked |= set(pairs)
    search.pending = []
    records, troubles = regions.look_up(
        session,
        names,
        pairs,
        start,
        seconds,
    )
    if len(troubles) == len(names) and not records and not search.found:
        raise ResponseError(next(iter(troubles.values())))
    for name, trouble in troubles.items():
        command = _command(pairs[0], name)
        search.remarks[name] = f"{name} not looked at ({trouble}): {command}"
    asked_values = {wanted for _, wanted in search.asked}
    for record in records:
        found = _session_given(record)
        if found and _is_by_principal(record, principal, asked_values):
            search.take(found)
    pending = dict.fromkeys(search.pending)
    search.pending = [lookup for lookup in pending if lookup not in search.asked]


def _search_all(session: clients.Session, names: list[str], search: _Search, seconds: int) -> None:
    """Reads every AssumeRole event since the first session was got, in every Region, and follows
    the pending keys, and those of what they got, through them.
    """
    count = len(search.pending)
    start = datetime.fromtimestamp(search.began - CLOCK_SECONDS, UTC)
    records, troubles = regions.look_up(
        session,
        names,
        [ASSUME_ROLE],
        start,
        seconds,
    )
    for name, trouble in troubles.items():
        search.remarks[f"all {name}"] = (
            f"not known what {count} of its sessions did in {name} ({trouble}):"
            f" {query.lookup_command(ASSUME_ROLE, name)}"
        )
    given: dict[str, list[ChainedSession]] = {}
    for record in records:
        if found := _session_given(record):
            key = text(get(record.get("userIdentity"), "accessKeyId"), 40)
            given.setdefault(key, []).append(found)
    while search.pending:
        lookup = search.pending.pop()
        search.asked.add(lookup)
        for found in given.pop(lookup[1], []):
            search.take(found)


def own_lookups(principal: PrincipalContext) -> list[Lookup]:
    """Returns what CloudTrail knows the principal's own calls by: a role session's name is its
    ``Username``.
    """
    pairs = []
    if name := principal.identity.user or principal.identity.session:
        pairs.append(("Username", name))
    if principal.identity.key.startswith("ASIA"):
        pairs.append(("AccessKeyId", principal.identity.key))
    return pairs


def manual_command(principal: PrincipalContext) -> str:
    """Returns the commands that look up the principal's own calls."""
    region = principal.target.region
    return " ; ".join(_command(lookup, region) for lookup in own_lookups(principal))


def _command(lookup: Lookup, region: str) -> str:
    return f"{query.lookup_command(lookup, region)} (AssumeRole events)"


def _is_by_principal(
    record: CloudTrailRecord, principal: PrincipalContext, known: set[str]
) -> bool:
    """Whether the principal made the call, or a session it got.

    A user of the same name in another account, and another role's session of the same name,
    answer to the same ``Username``.
    """
    identity = record.get("userIdentity")
    if get(identity, "accessKeyId") in known:
        return True
    unique_id = principal.unique_id
    caller = get(identity, "principalId")
    if principal.identity.session:
        return bool(unique_id) and caller == f"{unique_id}:{principal.identity.session}"
    return get(identity, "type") == "IAMUser" and (not unique_id or caller == unique_id)


def _session_given(record: CloudTrailRecord) -> ChainedSession | None:
    """Returns the session that an AssumeRole event gave, None for any other event."""
    if record.get("eventName") != "AssumeRole" or record.get("errorCode"):
        return None
    request = record.get("requestParameters")
    response = record.get("responseElements")
    userid = text(get(response, "assumedRoleUser", "assumedRoleId"), 200)
    role = text(get(request, "roleArn"), 300)
    if not userid.startswith("AROA") or ":role/" not in role:
        return None
    at = text(record.get("eventTime"), 40)
    try:
        began = parse_time(at).timestamp()
    except ValueError:
        began = time.time()
    seconds = get(request, "durationSeconds")
    if not isinstance(seconds, int):
        seconds = DEFAULT_SECONDS
    key = text(get(response, "credentials", "accessKeyId"), 40)
    return ChainedSession(
        userid,
        role,
        key,
        at,
        began,
        began + seconds + CLOCK_SECONDS,
    )
