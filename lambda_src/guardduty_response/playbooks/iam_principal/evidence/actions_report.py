"""What people are told of the listing of a principal's calls: text, task and summary."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from guardduty_response.cloudtrail import query as cloudtrail_query
from guardduty_response.cloudtrail.time_range import TimeRange, iso
from guardduty_response.containment.target_context import TargetContext
from guardduty_response.playbooks.iam_principal.call_records import IssuedSession
from guardduty_response.playbooks.iam_principal.evidence import regional_lookup
from guardduty_response.playbooks.iam_principal.evidence.event_collection import MOST_CHANGES
from guardduty_response.playbooks.iam_principal.evidence.records import (
    Gap,
    ListingState,
    Progress,
)
from guardduty_response.playbooks.iam_principal.ownership import Ownership

MOST_COMMANDS = 5  # in the task; all of them are in summary.json
MOST_NAMED = 3  # Regions and gaps that the text names
TRAIL_LAG = "CloudTrail delivers up to 15 minutes late"
LOOKUP_LAG = f"{TRAIL_LAG}, and LookupEvents knows only management events of 90 days"


@dataclass(frozen=True)
class Report:
    """The report on a completed pass. ``followed``: keys of the sessions that are listed too."""

    SUMMARY = "who called what from where, first and last, with errors; what is missing"

    principal: TargetContext
    ownership: Ownership
    state: ListingState
    progress: Progress
    followed: list[str]
    time_range: TimeRange

    def gaps(self, pass_gaps: list[Gap]) -> list[Gap]:
        """Return everything that is not in the list."""
        gaps = [*self.progress.get("earlier", []), *pass_gaps]
        if self.state.get("fell_back"):
            reason = (
                f"trail_query failed ({self.state['fell_back']}); LookupEvents was used instead"
            )
            command = "repair playbooks.iam_principal.trail_query"
            gaps.append({"region": "trail_query", "why": reason, "command": command})
        if self.state.get("remark"):
            command = "name them in playbooks.iam_principal.lookup_regions"
            reason = self.state["remark"]
            gaps.append({"region": "other Regions", "why": reason, "command": command})
        if self.progress["left_out"]:
            gaps.append(self._omitted_changes())
        # Sessions of another account, beyond the bound, or of a session that is contained alone.
        gaps += [
            self._unlisted_session(session)
            for session in self.progress["issued"]
            if session["key"] not in self.followed
        ]
        return gaps

    def _omitted_changes(self) -> Gap:
        reason = (
            f"{self.progress['left_out']} changes beyond {MOST_CHANGES} a pass are not in"
            " changes-N.json"
        )
        command = f"read {self.principal.id}/actions/round-N/*.jsonl.gz in the evidence bucket"
        return {"region": "changes", "why": reason, "command": command}

    def _unlisted_session(self, session: IssuedSession) -> Gap:
        place = "this account"
        if session["account"] != self.ownership.account:
            place = f"account {session['account']}"
        lookup: cloudtrail_query.LookupQuery = {"key": "AccessKeyId", "value": session["key"]}
        region = self.principal.target.region
        command = cloudtrail_query.command(lookup, self.time_range, region)
        reason = (
            f"it obtained a session of {session['role']} ({session['session']}) at {session['at']},"
            " whose calls are not listed"
        )
        return {"region": place, "why": reason, "command": f"in {place}: {command}"}

    def text(self, gaps: list[Gap]) -> str:
        """Say what was listed, up to when, and what is missing."""
        regions = self.progress.get("regions") or {}
        refusals = {name: regional_lookup.refusal(region) for name, region in regions.items()}
        refused = {name: reason for name, reason in refusals.items() if reason}
        source = self.state["source"]
        if regions:
            source = f"LookupEvents in {len(regions) - len(refused)} Regions"
        sentences = [
            f"{self.state['events']} events of {self.ownership}, {self.state['mutating']} of them"
            f" changes that succeeded, by {source} from {iso(self.time_range.start)}",
            f"cut-off {self.state['cut_off']}: later events are not listed;"
            f" {LOOKUP_LAG if regions else TRAIL_LAG}",
        ]
        if self.followed:
            sentences.append(f"with the calls of {len(self.followed)} sessions that it assumed")
        if refused:
            sentences.append(f"not read: {_named(refused)}")
        others = [gap for gap in gaps if gap["region"] not in refused]
        sentences += [f"{gap['region']}: {gap['why']}" for gap in others[:MOST_NAMED]]
        return "; ".join(sentences)

    def task(self, gaps: list[Gap]) -> str:
        """Say what a person has to read, or return empty."""
        if not gaps:
            return ""
        commands = list(dict.fromkeys(gap["command"] for gap in gaps))
        text = (
            f"read what is missing from the list of {self.ownership}'s calls (cut-off"
            f" {self.state['cut_off']}): {'; '.join(commands[:MOST_COMMANDS])}"
        )
        if len(commands) > MOST_COMMANDS:
            text += f"; {len(commands) - MOST_COMMANDS} more in summary.json"
        return text

    def summary(self, gaps: list[Gap]) -> bytes:
        """Return summary.json."""
        regions = self.progress.get("regions") or {}
        document = {
            "principal": asdict(self.ownership.principal),
            "account_id": self.ownership.account,
            "window": str(self.time_range),
            "cut_off": self.state["cut_off"],
            "round": self.state["round"],
            "read_by": self.state["source"],
            "events": self.state["events"],
            "changes": self.state["mutating"],
            "questions": self.ownership.lookup_attributes(),
            "followed": [
                {**session, "listed": session["key"] in self.followed}
                for session in self.progress["issued"]
            ],
            "regions": {
                name: regional_lookup.refusal(region) or regional_lookup.event_counts(region)
                for name, region in regions.items()
            },
            "left": gaps,
            "calls": cloudtrail_query.calls(self.progress["rows"]),
        }
        return json.dumps(document, indent=1, default=str).encode()


def _named(refused: dict[str, str]) -> str:
    """Return the first refused Regions with their reasons, and how many more there are."""
    first = list(refused.items())[:MOST_NAMED]
    text = ", ".join(f"{name} ({reason[:120]})" for name, reason in first)
    if len(refused) > MOST_NAMED:
        text += f" and {len(refused) - MOST_NAMED} more"
    return text
