"""Finds in CloudTrail the sessions that a target's credentials got of roles, and sessions these got
in turn.

The target's own calls are asked for by its name, and those of a few sessions by theirs: the console
and CloudShell sign a session's calls with keys that no event issued, but CloudTrail names the same
``principalId``. What many sessions did is read from all AssumeRole and AssumeRoot events of a
Region. CloudTrail shows a call some minutes late, so this runs when containing and once more when
the rest has ended.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from guardduty_response.aws import clients
from guardduty_response.cloudtrail import query, regions
from guardduty_response.containment.session_entries import parse_time
from guardduty_response.containment.session_holder import (
    HOURS,
    ChainedSession,
    Lookup,
    SessionHolder,
)
from guardduty_response.containment.target_context import AWS_ERRORS
from guardduty_response.decision.finding import get, text
from guardduty_response.errors import ResponseError

if TYPE_CHECKING:
    from guardduty_response.cloudtrail.event import CloudTrailRecord

# What a session lives when nothing says how long (AWS STS API Reference, DurationSeconds)
DEFAULT_SECONDS = {"AssumeRole": 3600, "AssumeRoot": 900}
CLOCK_SECONDS = 300  # what clocks may differ
SECONDS = 30  # for all lookups while the verdict waits
# Lookups by a name or a key, in all: containment's verdict waits for them, and LookupEvents takes
# two calls a second. What more sessions did is read from the events of ISSUING.
QUERIES = 12
ASSUME_ROLE, ASSUME_ROOT = ("EventName", "AssumeRole"), ("EventName", "AssumeRoot")
ISSUING = (ASSUME_ROOT, ASSUME_ROLE)  # AssumeRoot first: there are few, and the time is short
# As CloudTrail shows when credentials end: "Oct 25, 2024, 9:07:11 PM", without commas before.
EXPIRATION = "%b %d %Y %I:%M:%S %p"


@dataclass
class _Search:
    """What was asked and found so far. ``remarks``: what could not be looked at, by Region;
    ``began``: when the first session was got.

    ``callers``: the access keys and the ``principalId`` of the sessions that were taken, with the
    time since when they may call. ``given``: what others got, by the same two of who got it.
    """

    pending: list[Lookup]
    asked: set[Lookup] = field(default_factory=set)
    found: dict[str, ChainedSession] = field(default_factory=dict)
    taken: dict[ChainedSession, Lookup] = field(default_factory=dict)
    callers: dict[str, float] = field(default_factory=dict)
    given: dict[str, list[ChainedSession]] = field(default_factory=dict)
    remarks: dict[str, str] = field(default_factory=dict)
    began: float = field(default_factory=time.time)

    def take(self, session: ChainedSession) -> None:
        """Keeps the session that ends last of those with the same name, and has it asked for."""
        self.began = min(self.began, session.began)
        known = self.found.get(session.userid)
        if known is None or session.ends > known.ends:
            self.found[session.userid] = session
        # A name may be others', too, and what was got before by that name is theirs.
        since = session.began - CLOCK_SECONDS
        for caller in filter(None, (session.key, session.userid)):
            self.callers[caller] = min(since, self.callers.get(caller, since))
        self.taken[session] = lookup = _lookup_of(session)
        self._ask(lookup)

    def keep(self, identity: object, session: ChainedSession) -> None:
        """Keeps what somebody got who is not known yet: a session that is taken later, maybe."""
        key, principal = get(identity, "accessKeyId"), get(identity, "principalId")
        for caller in {text(key, 40), text(principal, 200)} - {""}:
            self.given.setdefault(caller, []).append(session)

    def follow(self) -> None:
        """Takes what the sessions got that were taken, and what these got in turn."""
        callers = list(self.callers)
        while callers:
            caller = callers.pop()
            since, got = self.callers[caller], self.given.pop(caller, [])
            if earlier := [session for session in got if session.began < since]:
                self.given[caller] = earlier
            for session in got:
                if session.began >= since:
                    self.take(session)
                    callers += filter(None, (session.key, session.userid))

    def ask_keys(self, names: set[Lookup]) -> None:
        """Has sessions asked for by their keys, of which the lookups by name were cut off: others
        may call under such a name, and whoever gets a session chooses it.
        """
        for session, lookup in self.taken.items():
            if lookup in names and session.key:
                self._ask(("AccessKeyId", session.key))

    def _ask(self, lookup: Lookup) -> None:
        if lookup[1] and lookup not in self.asked and lookup not in self.pending:
            self.pending.append(lookup)

    @property
    def waiting(self) -> int:
        """How many sessions, or lookups of the target itself, are still to be asked for."""
        ways = ({lookup, ("AccessKeyId", each.key)} for each, lookup in self.taken.items())
        return sum(not way.isdisjoint(self.pending) for way in ways) or len(self.pending)


def _lookup_of(session: ChainedSession) -> Lookup:
    """Returns what CloudTrail knows a session's calls by: a session of root has its key alone."""
    name = session.userid.partition(":")[2]
    return ("Username", name) if name else ("AccessKeyId", session.key)


def prepare(holder: SessionHolder) -> None:
    """Opens the session that looks up, lists the Regions and builds their clients, beside what is
    done before ``find``. What fails here, ``find`` does.
    """
    with suppress(*AWS_ERRORS):
        session = regions.lookup_session(holder)
        names, remark = regions.enabled(holder, session)
        for name in names:
            session.client("cloudtrail", name)
        holder.prepared = session, names, remark


def find(holder: SessionHolder, seconds: int = SECONDS) -> tuple[list[ChainedSession], list[str]]:
    """Returns every session alive that the target, or a session it got, got by AssumeRole or
    AssumeRoot, and what could not be looked at, with the command.

    A session may get another session in any Region: what one Region shows is asked in all of
    them. ``seconds``: for all lookups; a round of them gets half of it at most. Raises
    ResponseError when no Region could be asked, and what is transient of listing the Regions.
    """
    until = time.monotonic() + seconds
    if holder.prepared:
        session, names, remark = holder.prepared
    else:
        session = regions.lookup_session(holder)
        names, remark = regions.enabled(holder, session)
    own = holder.own_lookups()
    search = _Search(own, callers={value: 0.0 for name, value in own if name == "AccessKeyId"})
    if remark:
        search.remarks[""] = remark
    while search.pending:
        left = min(seconds // 2, int(until - time.monotonic()))
        if left < 1:
            command = query.lookup_command(ASSUME_ROLE, holder.target.region)
            count = search.waiting
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
                holder,
                session,
                names,
                search,
                left,
            )
    alive = [found for found in search.found.values() if found.ends > time.time()]
    return sorted(alive, key=lambda found: found.at), list(search.remarks.values())


def _search_once(
    holder: SessionHolder,
    session: clients.Session,
    names: list[str],
    search: _Search,
    seconds: int,
) -> None:
    """Asks every Region the pending lookups: those of sessions since the first was got."""
    start = datetime.now(UTC) - timedelta(hours=HOURS)
    if search.taken:
        start = datetime.fromtimestamp(search.began - CLOCK_SECONDS, UTC)
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
    cut_off = troubles.keys() - search.remarks.keys()
    for name, trouble in troubles.items():
        command = _command(pairs[0], name)
        search.remarks[name] = f"{name} not looked at ({trouble}): {command}"
    for record in records:
        identity = record.get("userIdentity")
        is_own = holder.is_caller(identity)  # a call that got nothing shows a role, too
        if found := _session_given(record):
            if is_own:
                search.take(found)
            else:
                search.keep(identity, found)
    search.follow()
    if cut_off:
        search.ask_keys(set(pairs))


def _search_all(session: clients.Session, names: list[str], search: _Search, seconds: int) -> None:
    """Reads every event of ISSUING since the first session was got, in every Region, and follows
    the sessions that are to be asked for, and what they got, through them.
    """
    count = search.waiting
    start = datetime.fromtimestamp(search.began - CLOCK_SECONDS, UTC)
    records, troubles = regions.look_up(
        session,
        names,
        list(ISSUING),
        start,
        seconds,
    )
    for name, trouble in troubles.items():
        search.remarks[f"all {name}"] = (
            f"not known what {count} of its sessions did in {name} ({trouble}):"
            f" {query.lookup_command(ASSUME_ROLE, name)}"
        )
    for record in records:
        if found := _session_given(record):
            search.keep(record.get("userIdentity"), found)
    search.follow()
    search.asked |= set(search.pending)
    search.pending = []


def manual_command(holder: SessionHolder) -> str:
    """Returns the commands that look up the target's own calls."""
    region = holder.target.region
    return " ; ".join(_command(lookup, region) for lookup in holder.own_lookups())


def _command(lookup: Lookup, region: str) -> str:
    return f"{query.lookup_command(lookup, region)} (AssumeRole events)"


def _session_given(record: CloudTrailRecord) -> ChainedSession | None:
    """Returns the session that an event of ISSUING gave, None for any other event."""
    name = text(record.get("eventName"), 40)
    if name not in DEFAULT_SECONDS or record.get("errorCode"):
        return None
    userid, role = _root(record) if name == "AssumeRoot" else _role(record)
    if not userid or not role:
        return None
    at = text(record.get("eventTime"), 40)
    try:
        began = parse_time(at).timestamp()
    except ValueError:
        began = time.time()
    key = text(get(record.get("responseElements"), "credentials", "accessKeyId"), 40)
    return ChainedSession(userid, role, key, at, began, _end(record, name, began) + CLOCK_SECONDS)


def _role(record: CloudTrailRecord) -> tuple[str, str]:
    """Returns the ``aws:userid`` of the session that AssumeRole gave, and the role's ARN."""
    given = get(record.get("responseElements"), "assumedRoleUser", "assumedRoleId")
    userid = text(given, 200)
    role = text(get(record.get("requestParameters"), "roleArn"), 300)
    return (userid, role) if userid.startswith("AROA") and ":role/" in role else ("", "")


def _root(record: CloudTrailRecord) -> tuple[str, str]:
    """Returns the access key of the session that AssumeRoot gave, and the ARN of the root user,
    which the call names by its ARN or by its account.
    """
    key = text(get(record.get("responseElements"), "credentials", "accessKeyId"), 40)
    named = text(get(record.get("requestParameters"), "targetPrincipal"), 100)
    if named.isdigit():
        partition = text(get(record.get("userIdentity"), "arn"), 300).split(":")[1:2]
        named = f"arn:{''.join(partition) or 'aws'}:iam::{named}:root"
    return (key, named) if named.endswith(":root") else ("", "")


def _end(record: CloudTrailRecord, name: str, began: float) -> float:
    """Returns when the session ends that an event gave: as the answer says, else as was asked."""
    asked = get(record.get("requestParameters"), "durationSeconds")
    seconds = asked if isinstance(asked, int) else DEFAULT_SECONDS[name]
    said = text(get(record.get("responseElements"), "credentials", "expiration"), 40)
    try:
        ends = _parse_expiration(said).timestamp()
    except ValueError:
        return began + seconds
    return ends if began < ends <= began + HOURS * 3600 + CLOCK_SECONDS else began + seconds


def _parse_expiration(said: str) -> datetime:
    """Parses when credentials end, in UTC. Raises ValueError."""
    words = said.replace(",", " ").split()  # some have a narrow space before AM and PM
    if len(words) == 1:
        return parse_time(said)
    return datetime.strptime(" ".join(words), EXPIRATION).replace(tzinfo=UTC)
