"""LookupEvents and ListRegions, which moto lacks."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from botocore.awsrequest import AWSResponse

from tests.unit.playbooks.iam_principal.cloudtrail_identities import matches_lookup

Json = dict[str, Any]
Answer = tuple[AWSResponse, Json]


def _answer(content: Json) -> Answer:
    response = AWSResponse("", 200, {}, None)  # type: ignore[arg-type]  # plain headers
    return response, {**content, "ResponseMetadata": {"RequestId": "r"}}


def list_regions(enabled: list[str]) -> Callable[..., Answer]:
    """Answer ListRegions, four Regions a page."""

    def answer(params: Json, **_: Any) -> Answer:
        request = json.loads(params["body"])
        assert set(request["RegionOptStatusContains"]) == {"ENABLED", "ENABLED_BY_DEFAULT"}
        start = int(request.get("NextToken") or 0)
        names = enabled[start : start + 4]
        page = [{"RegionName": name, "RegionOptStatus": "ENABLED"} for name in names]
        more = {"NextToken": str(start + 4)} if len(enabled) > start + 4 else {}
        return _answer({"Regions": page, **more})

    return answer


@dataclass
class CloudTrailStandIn:
    """``trail``: what CloudTrail has, {at, region, record}; ``asked``: the requests it got,
    {region, key, value, start, end, token, at}; ``page``: events of a page.
    """

    trail: list[Json] = field(default_factory=list)
    asked: list[Json] = field(default_factory=list)
    page: int = 50

    def lookup_events(self, region: str, params: Json, **_: Any) -> Answer:
        request = json.loads(params["body"])
        (attribute,) = request["LookupAttributes"]
        key, value = attribute["AttributeKey"], attribute["AttributeValue"]
        start, end = request["StartTime"], request["EndTime"]
        token = int(request.get("NextToken") or 0)
        self.asked.append(
            {
                "region": region,
                "key": key,
                "value": value,
                "start": start,
                "end": end,
                "token": token,
                "at": time.monotonic(),
            }
        )
        found = [
            entry
            for entry in self.trail
            if entry["region"] == region
            and start <= entry["at"] <= end
            and matches_lookup(
                entry["record"]["userIdentity"],
                key,
                value,
            )
        ]
        found.sort(key=lambda entry: -float(entry["at"]))
        page = [_event(entry) for entry in found[token : token + self.page]]
        more = {"NextToken": str(token + self.page)} if len(found) > token + self.page else {}
        return _answer({"Events": page, **more})


def _event(entry: Json) -> Json:
    return {
        "EventId": entry["record"]["eventID"],
        "EventName": entry["record"]["eventName"],
        "EventTime": datetime.fromtimestamp(entry["at"], UTC),
        "CloudTrailEvent": json.dumps(entry["record"]),
    }
