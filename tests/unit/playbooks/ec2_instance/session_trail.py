"""CloudTrail in the lab's account: the calls by which credentials of the instance got sessions of
roles, and sessions that these got in turn.
"""

from __future__ import annotations

import json
import time
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tests.unit.playbooks.ec2_instance.lab_calls import MEMBER, REGION
from tests.unit.playbooks.iam_principal import cloudtrail_identities
from tests.unit.playbooks.iam_principal.cloudtrail_identities import session

if TYPE_CHECKING:
    from tests.unit.playbooks.ec2_instance.ec2_lab import Lab

Json = dict[str, Any]
ELSEWHERE = "eu-west-1"  # a Region that is enabled too
OTHER = "999999999999"


@dataclass
class SessionTrail:
    """``events``: (seconds since 1970, Region, record)."""

    regions: list[str] = field(default_factory=lambda: [REGION, ELSEWHERE])
    events: list[tuple[float, str, Json]] = field(default_factory=list)

    def list_regions(self, _: Json) -> Json:
        return {"Regions": [{"RegionName": name} for name in self.regions]}

    def look_up(self, asked: Json) -> Json:
        """Answers LookupEvents, 50 events a page, newest first."""
        [attribute] = asked["LookupAttributes"]
        key, wanted = attribute["AttributeKey"], attribute["AttributeValue"]
        start = asked["StartTime"]
        since = start if isinstance(start, (int, float)) else start.timestamp()
        found = [
            (at, record)
            for at, region, record in sorted(self.events, key=lambda event: -event[0])
            if region == asked["Region"] and at + 1 >= since and _matches(record, key, wanted)
        ]
        first = int(asked.get("NextToken") or 0)
        page = [_shown(at, record) for at, record in found[first : first + 50]]
        more = {"NextToken": str(first + 50)} if len(found) > first + 50 else {}
        return {"Events": page, **more}

    def call(
        self, name: str, caller: Json, ago: float = 60, region: str = REGION, **more: Any
    ) -> None:
        """Adds a call of ``ago`` seconds ago."""
        at = time.time() - ago
        when = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        record: Json = {"eventID": str(uuid.uuid4()), "eventName": name, "eventTime": when}
        record |= {"eventSource": "sts.amazonaws.com", "userIdentity": caller, **more}
        self.events.append((at, region, record))


def _matches(record: Json, key: str, wanted: str) -> bool:
    if key == "EventName":
        return bool(record["eventName"] == wanted)
    if key == "ResourceName":
        return wanted in json.dumps(record.get("requestParameters"))
    return cloudtrail_identities.matches_lookup(record["userIdentity"], key, wanted)


def _shown(at: float, record: Json) -> Json:
    return {
        "EventId": record["eventID"],
        "EventTime": datetime.fromtimestamp(at, UTC),
        "CloudTrailEvent": json.dumps(record),
    }


def role_id(lab: Lab, role: str) -> str:
    """Returns the unique ID of a role of the account; it is made where there is none."""
    iam = lab.see("iam")
    try:
        return str(iam.get_role(RoleName=role)["Role"]["RoleId"])
    except iam.exceptions.NoSuchEntityException:
        made = iam.create_role(RoleName=role, AssumeRolePolicyDocument="{}")
        return str(made["Role"]["RoleId"])


def of_instance(lab: Lab, **more: Any) -> Json:
    """The instance's credentials, as CloudTrail shows who calls with them."""
    return session(
        lab.ids["instance"],
        "app",
        role_id(lab, "app"),
        "ASIAINSTANCE",
        **more,
    )


def of_session(lab: Lab, role: str, name: str, key: str) -> Json:
    """A session of another role, likewise."""
    return session(
        name,
        role,
        role_id(lab, role),
        key,
    )


def assume_role(
    lab: Lab,
    role: str,
    name: str,
    key: str,
    caller: Json | None = None,
    account: str = MEMBER,
    seconds: int = 3600,
    ago: float = 60,
    **more: Any,
) -> str:
    """The caller, the instance unless another is given, gets a session of a role that lives so
    many seconds. Returns its aws:userid.
    """
    unique_id = role_id(lab, role) if account == MEMBER else "AROAELSEWHERE0000001"
    ends = datetime.fromtimestamp(time.time() - ago + seconds, UTC)
    said = ends.strftime("%b %d, %Y, %I:%M:%S\u202f%p").replace(" 0", " ")
    lab.got.call(
        "AssumeRole",
        caller or of_instance(lab),
        ago,
        requestParameters={
            "roleArn": f"arn:aws:iam::{account}:role/{role}",
            "roleSessionName": name,
        },
        responseElements={
            "credentials": {"accessKeyId": key, "sessionToken": "x", "expiration": said},
            "assumedRoleUser": {"assumedRoleId": f"{unique_id}:{name}"},
        },
        **more,
    )
    return f"{unique_id}:{name}"


def policies(lab: Lab, role: str) -> dict[str, Json]:
    """Returns the inline policies of a role: name -> document."""
    iam = lab.see("iam")
    names = iam.list_role_policies(RoleName=role)["PolicyNames"]
    return {
        name: iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
        for name in names
    }


def denied(lab: Lab, role: str) -> list[str]:
    """Returns the sessions that are denied on a role by name, with a date."""
    document = policies(lab, role).get(lab.deny_name()) or {"Statement": []}
    conditions = [statement["Condition"] for statement in document["Statement"]]
    return sorted(
        userid
        for condition in conditions
        if "aws:TokenIssueTime" in condition.get("DateLessThan", {})
        for userid in condition["StringEquals"]["aws:userid"]
    )
