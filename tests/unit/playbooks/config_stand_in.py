"""AWS Config for the labs of all playbooks: moto keeps no history.

It answers where botocore's Stubber answers: after botocore has validated the request, and with an
answer that botocore's model of the service takes. As on AWS, a page of GetResourceConfigHistory
covers seven days at most, so that many are empty and have a token; a deleted recorder's history can
still be read (AWS Config API Reference).
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any

from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import ClientError
from botocore.validate import validate_parameters

Json = dict[str, Any]
DAY = 86400
SPAN = 7 * DAY
ALL: Json = {"allSupported": True, "includeGlobalResourceTypes": False, "resourceTypes": []}


def moment(ago: float) -> datetime:
    """Returns the second of ``ago`` seconds ago."""
    return datetime.fromtimestamp(int(time.time() - ago), UTC)


@dataclass
class ConfigStandIn:
    """``recorders``: Region -> what DescribeConfigurationRecorders and its status answer.
    ``items``: (Region, configuration item). ``asked``: (operation, Region, parameters).
    """

    recorders: dict[str, tuple[Json, Json]] = field(default_factory=dict)
    items: list[tuple[str, Json]] = field(default_factory=list)
    asked: list[tuple[str, str, Json]] = field(default_factory=list)

    def recorder(
        self,
        region: str,
        group: Json | None = None,
        started: float = 400 * DAY,
        stopped: float | None = None,
        mode: Json | None = None,
        **status: Any,
    ) -> None:
        """Makes a recorder. ``started``, ``stopped``: seconds ago; ``group``: what it records."""
        recorder = {
            "name": "default",
            "roleARN": "arn:aws:iam::222222222222:role/config",
            "recordingGroup": ALL if group is None else group,
            "recordingMode": mode or {"recordingFrequency": "CONTINUOUS"},
            "recordingScope": "PAID",
        }
        found = {
            "name": "default",
            "recording": stopped is None,
            "lastStatus": "SUCCESS",
            "lastStartTime": moment(started),
            **status,
        }
        if stopped is not None:
            found["lastStopTime"] = moment(stopped)
        self.recorders[region] = recorder, found

    def recorded(self, type: str, id: str, region: str, *agos: float) -> list[Json]:
        """Records an item of so many seconds ago for each of ``agos``; returns them."""
        made = []
        for ago in agos:
            at = moment(ago)
            item = {
                "version": "1.3",
                "accountId": "222222222222",
                "configurationItemCaptureTime": at,
                "configurationItemStatus": "OK",
                "configurationStateId": str(int(at.timestamp() * 1000)),
                "resourceType": type,
                "resourceId": id,
                "awsRegion": region,
                "configuration": '{"state":"' + str(int(ago)) + '"}',
            }
            self.items.append((region, item))
            made.append(item)
        return made

    def regions_asked(self, operation: str = "GetResourceConfigHistory") -> list[str]:
        return [region for name, region, _ in self.asked if name == operation]

    def ids_asked(self) -> set[str]:
        return {
            params["resourceId"]
            for name, _, params in self.asked
            if name == "GetResourceConfigHistory"
        }

    # -- answering ---------------------------------------------------------------------------------

    def watch(self, client: Any) -> None:
        """Answers a client of AWS Config; of others nothing."""
        if client.meta.service_model.service_name != "config":
            return
        current: Json = {}
        events = client.meta.events
        events.register("before-parameter-build.config-service", partial(_remember, current))
        region = client.meta.region_name
        events.register("before-call.config-service", partial(self._answer, region, current))

    def _answer(self, region: str, current: Json, model: Any, **_: Any) -> Any:
        params = current["params"]
        self.asked.append((model.name, region, params))
        answer = getattr(self, f"_{model.name}")(region, params)
        validate_parameters(answer, model.output_shape)
        found = {**answer, "ResponseMetadata": {"RequestId": "r"}}
        return AWSResponse("", 200, HTTPHeaders(), None), found

    def _DescribeConfigurationRecorders(self, region: str, _: Json) -> Json:
        found = self.recorders.get(region)
        return {"ConfigurationRecorders": [found[0]] if found else []}

    def _DescribeConfigurationRecorderStatus(self, region: str, _: Json) -> Json:
        found = self.recorders.get(region)
        return {"ConfigurationRecordersStatus": [found[1]] if found else []}

    def _GetResourceConfigHistory(self, region: str, params: Json) -> Json:
        assert params["chronologicalOrder"] == "Reverse"
        known = [
            item
            for place, item in self.items
            if place == region
            and (item["resourceType"], item["resourceId"])
            == (params["resourceType"], params["resourceId"])
        ]
        if not known:
            code = (
                "ResourceNotDiscovered"
                if region in self.recorders
                else ("NoAvailableConfigurationRecorder")
            )
            error: Any = {
                "Error": {"Code": f"{code}Exception", "Message": "none"},
                "ResponseMetadata": {"HTTPStatusCode": 400},
            }
            raise ClientError(error, "GetResourceConfigHistory")
        return _page(known, params)


def _remember(current: Json, params: Json, **_: Any) -> None:
    current["params"] = dict(params)


def _page(known: list[Json], params: Json) -> Json:
    """Returns a page: of at most seven days, and at most ``limit`` items. The token is the latest
    time of the next one, and how many items of it were shown.
    """
    times = [item["configurationItemCaptureTime"].timestamp() for item in known]
    first = max(params.get("earlierTime", 0), min(times))
    later, _, shown = str(params.get("nextToken") or f"{params['laterTime']}:0").partition(":")
    end = float(later)
    start = max(end - SPAN, params.get("earlierTime", 0))
    found = [
        item
        for at, item in sorted(zip(times, known, strict=True), key=lambda pair: -pair[0])
        if start < at <= end or at == first == start
    ][int(shown) :]
    page, more = found[: params["limit"]], found[params["limit"] :]
    answer: Json = {"configurationItems": page}
    if more:
        answer["nextToken"] = f"{later}:{int(shown) + len(page)}"
    elif start > first:
        answer["nextToken"] = f"{start}:0"
    return answer
