"""What people are told of AWS Config's history: what was read and what is missing, with the
commands for it.
"""

from __future__ import annotations

import json
from collections import Counter

from guardduty_response.cloudtrail.query import lookup_command
from guardduty_response.cloudtrail.time_range import TimeRange, iso
from guardduty_response.containment.target_context import TargetContext
from guardduty_response.evidence import config_recorders
from guardduty_response.evidence.config_history_records import (
    ABSENT,
    NO_RECORDER,
    NOT_DISCOVERED,
    ConfigHistoryState,
    Gap,
    ResourceHistory,
)
from guardduty_response.evidence.items import Outcome

MOST_COMMANDS = 5  # in the task; all of them are in summary.json
MOST_NAMED = 4  # reasons in the text, and resources of each


def counts(state: ConfigHistoryState) -> str:
    """Says how many items were read, of which resources."""
    resources = state["resources"]
    items = sum(entry["items"] for entry in resources)
    of = Counter(entry["type"] for entry in resources if entry["items"])
    named = ", ".join(f"{count} {type}" for type, count in of.items())
    return f"{items} configuration items of {named or 'nothing'}"


class Report:
    """The report on a history that is read."""

    def __init__(
        self, target_context: TargetContext, state: ConfigHistoryState, range: TimeRange
    ) -> None:
        self.target_context, self.state, self.range = target_context, state, range
        self.read = [entry for entry in state["resources"] if entry["items"]]
        self.gaps = self._find_gaps()
        self.outcome = self._outcome()

    def _outcome(self) -> Outcome:
        if self.read:
            return Outcome.PARTIAL if self.gaps else Outcome.COMPLETE
        resources = self.state["resources"]
        reasons = {reason for entry in resources for reason in entry["refused"].values()}
        recordings = self.state["recordings"].values()
        unknown = [recording for recording in recordings if recording.get("read_error")]
        left = [entry for entry in resources if entry.get("left")]
        other = self.state["unknown"] or self.state.get("remark")
        if reasons <= ABSENT and not (unknown or left or other):
            return Outcome.NOT_POSSIBLE
        return Outcome.FAILED

    def _find_gaps(self) -> list[Gap]:
        """Returns what is not in the history."""
        resources = self.state["resources"]
        gaps: list[Gap] = []
        for entry in resources:
            name = f"{entry['type']} {entry['id']}"
            if entry.get("left"):
                gaps.append({"of": name, "why": entry["left"], "command": self._command(entry)})
            elif not entry["items"]:
                why, command = self._refusal(entry)
                gaps.append({"of": name, "why": why, "command": command})
        gaps += self.state["unknown"]
        if self.state.get("remark") and not self.read:
            gaps.append({"of": "", "why": self.state["remark"], "command": ""})
        answered = {entry["region"] for entry in self.read}
        types = list(dict.fromkeys(entry["type"] for entry in resources))
        for region, recording in self.state["recordings"].items():
            said = region not in answered if self.read else recording.get("absent")
            if said:
                continue  # another Region has the same; or no resource has a history there
            found = config_recorders.gaps(recording, region, types, self.range.start)
            gaps += [{"of": "", "why": why, "command": command} for why, command in found]
        return gaps

    def _refusal(self, entry: ResourceHistory) -> tuple[str, str]:
        """Returns why there is no history of a resource in any Region, and the command that reads
        it, or what CloudTrail has instead.
        """
        reasons: list[str] = []
        commands: list[str] = []
        for region, reason in entry["refused"].items():
            recording = self.state["recordings"].get(region, {})
            if reason == NO_RECORDER:
                reasons.append(f"AWS Config has no recorder in {region}")
            elif reason == NOT_DISCOVERED and entry["type"] not in recording.get(
                "types", [entry["type"]]
            ):
                reasons.append(f"AWS Config does not record it in {region}")
            else:
                named = "not discovered by AWS Config" if reason == NOT_DISCOVERED else reason
                reasons.append(f"{named} in {region}")
                commands.append(self._command(entry, region))
        if not commands:
            place = next(iter(entry["refused"]))
            commands.append(lookup_command(("ResourceName", entry["id"]), place))
        return "; ".join(reasons), commands[0]

    def task(self) -> str:
        """Returns the commands for what is missing; empty: AWS Config has nothing more."""
        commands = list(dict.fromkeys(gap["command"] for gap in self.gaps if gap["command"]))
        if not commands or self.outcome is Outcome.NOT_POSSIBLE:
            return ""
        shown = "; ".join(commands[:MOST_COMMANDS])
        more = len(commands) - MOST_COMMANDS
        rest = f"; {more} more in summary.json" if more > 0 else ""
        id = self.target_context.id
        return f"read what is missing of AWS Config's history of {id}: {shown}{rest}"

    def _command(self, entry: ResourceHistory, region: str = "") -> str:
        place = region or entry.get("region") or entry["regions"][0]
        times = f"--earlier-time {iso(self.range.start)} --later-time {iso(self.range.end)}"
        if entry.get("before"):
            times = f"--later-time {iso(self.range.start)} --max-items 1"
        return (
            f"aws configservice get-resource-config-history --resource-type {entry['type']}"
            f" --resource-id {entry['id']} {times} --region {place}"
        )

    def text(self) -> str:
        """Says what was read, what was asked where, and what is missing."""
        sentences = [
            f"{counts(self.state)}, from {self.range}, the newest of each first, and last what it"
            " was when that began"
            if self.read
            else "no history was read"
        ]
        if self.state.get("scope"):
            sentences.append(self.state["scope"])
        regions = {entry["region"] for entry in self.read}
        for region in sorted(regions):
            daily = self.state["recordings"].get(region, {}).get("daily")
            if daily:
                sentences.append(f"{region} records {', '.join(daily)} once a day")
        named: dict[str, list[str]] = {}
        for gap in self.gaps:
            named.setdefault(gap["why"], []).append(gap["of"])
        reasons = [_gap_text(why, of) for why, of in named.items()]
        sentences += reasons[:MOST_NAMED]
        if len(reasons) > MOST_NAMED:
            sentences.append(f"{len(reasons) - MOST_NAMED} more gaps are in summary.json")
        return "; ".join(sentences)

    def summary(self) -> bytes:
        """Returns summary.json."""
        document = {
            "id": self.target_context.id,
            "account_id": self.target_context.target.account_id,
            "window": str(self.range),
            "scope": self.state.get("scope", ""),
            "recorders": self.state["recordings"],
            "resources": self.state["resources"],
            "gaps": self.gaps,
        }
        return json.dumps(document, indent=1, default=str).encode()


def _gap_text(why: str, of: list[str]) -> str:
    names = [name for name in of if name]
    if not names:
        return why
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return f"{', '.join(names[:MOST_NAMED])}{more}: {why}"
