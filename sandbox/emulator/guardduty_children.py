"""GuardDuty below the detector: filters, findings, lists, publishing destinations, malware
protection plans, tags.
"""

from __future__ import annotations

import time
import urllib.parse
from typing import Any

from .guardduty_plane import ApiError, Call, Json, Plane, Routes, new_id

ROUTES = Routes()
_SETS = {
    "ipset": "ipSetId",
    "threatintelset": "threatIntelSetId",
    "publishingDestination": "destinationId",
    "threatentityset": "threatEntitySetId",
    "trustedentityset": "trustedEntitySetId",
}


def _place(kept: dict[str, Json], name: str, rank: int) -> None:
    """Put a filter at its rank, from 1 without gaps: the others make room."""
    others = sorted(
        (rule for key, rule in kept.items() if key != name), key=lambda rule: int(rule["rank"])
    )
    if not 1 <= rank <= len(others) + 1:
        raise ApiError("The request is rejected because the parameter rank is out-of-bounds.")
    others.insert(rank - 1, kept[name])
    for position, rule in enumerate(others, 1):
        rule["rank"] = position


@ROUTES.add("POST|GET", "/detector/{detector}/filter")
def filters(plane: Plane, call: Call) -> Json:
    kept = plane.detector(call.path["detector"]).children["filter"]
    if call.method == "GET":
        return {"filterNames": list(kept)}
    fields = ("name", "description", "action", "rank", "findingCriteria", "tags")
    name = call.body["name"]
    before = dict(kept)
    kept[name] = {key: call.body.get(key) for key in fields}
    try:
        _place(kept, name, call.body.get("rank") or len(kept))
    except ApiError:
        kept.clear()
        kept.update(before)
        raise
    return {"name": name}


@ROUTES.add("GET|POST|DELETE", "/detector/{detector}/filter/{name}")
def filter_by_name(plane: Plane, call: Call) -> Json:
    kept = plane.detector(call.path["detector"]).children["filter"]
    name = call.path["name"]
    if name not in kept:
        raise ApiError("The request is rejected since no such resource found.")
    if call.method == "GET":
        return kept[name]
    if call.method == "DELETE":
        del kept[name]
        for position, rule in enumerate(
            sorted(kept.values(), key=lambda rule: int(rule["rank"])), 1
        ):
            rule["rank"] = position
        return {}
    _place(kept, name, call.body.get("rank") or kept[name]["rank"])
    kept[name].update(
        {key: value for key, value in call.body.items() if value is not None and key != "rank"}
    )
    return {"name": name}


def _criterion_matches(finding: Json, path: str, wanted: Json) -> bool:
    value: Any = finding
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    equals = wanted.get("equals") or wanted.get("eq")
    text = str(value).lower() if isinstance(value, bool) else str(value)
    if equals and text not in equals:
        return False
    least = wanted.get("greaterThanOrEqual", wanted.get("gte"))
    return least is None or (isinstance(value, (int, float)) and value >= least)


@ROUTES.add("POST", "/detector/{detector}/findings")
def finding_ids(plane: Plane, call: Call) -> Json:
    criteria = (call.body.get("findingCriteria") or {}).get("criterion", {})
    kept = plane.detector(call.path["detector"]).children["findings"]
    found = [
        name
        for name, finding in kept.items()
        if all(_criterion_matches(finding, path, wanted) for path, wanted in criteria.items())
    ]
    return {"findingIds": found, "nextToken": ""}


@ROUTES.add("POST", "/detector/{detector}/findings/{operation}")
def finding_operation(plane: Plane, call: Call) -> Json:
    kept = plane.detector(call.path["detector"]).children["findings"]
    names = [name for name in call.body.get("findingIds", []) if name in kept]
    operation = call.path["operation"]
    if operation == "get":
        return {"findings": [kept[name] for name in names]}
    if operation == "statistics":
        return {"findingStatistics": {"countBySeverity": {}}}
    for name in names:
        if operation in ("archive", "unarchive"):
            kept[name]["service"]["archived"] = operation == "archive"
        elif operation == "feedback":
            kept[name]["service"]["userFeedback"] = call.body["feedback"]
    return {}


@ROUTES.add("GET|POST", "/detector/{detector}/(?P<kind>" + "|".join(_SETS) + ")")
def sets(plane: Plane, call: Call) -> Json:
    kind = call.path["kind"]
    kept = plane.detector(call.path["detector"]).children[kind]
    if call.method == "GET" and kind == "publishingDestination":
        return {
            "destinations": [
                {
                    "destinationId": name,
                    "destinationType": item["destinationType"],
                    "status": "PUBLISHING",
                }
                for name, item in kept.items()
            ]
        }
    if call.method == "GET":
        return {
            _SETS[kind] + "s": [name for name, item in kept.items() if item["status"] != "DELETED"]
        }
    name = new_id()
    active = "ACTIVE" if call.body.get("activate") else "INACTIVE"
    kept[name] = {key: value for key, value in call.body.items() if key != "clientToken"}
    kept[name]["status"] = "PUBLISHING" if kind == "publishingDestination" else active
    return {_SETS[kind]: name}


@ROUTES.add("GET|POST|DELETE", "/detector/{detector}/(?P<kind>" + "|".join(_SETS) + ")/{name}")
def set_by_id(plane: Plane, call: Call) -> Json:
    kind = call.path["kind"]
    name = call.path["name"]
    kept = plane.detector(call.path["detector"]).children[kind]
    if name not in kept:
        raise ApiError("The request is rejected since no such resource found.")
    if call.method == "DELETE" and kind == "publishingDestination":
        del kept[name]
        return {}
    if call.method == "DELETE":
        # AWS still answers for a deleted list, and callers wait to read this
        kept[name]["status"] = "DELETED"
        return {}
    if call.method == "POST":
        kept[name].update(call.body)
        if "activate" in call.body:
            kept[name]["status"] = "ACTIVE" if call.body["activate"] else "INACTIVE"
        return {}
    document = {key: value for key, value in kept[name].items() if key != "activate"}
    if kind == "publishingDestination":
        return {**document, "destinationId": name, "publishingFailureStartTimestamp": 0}
    return document


@ROUTES.add("POST|GET", "/malware-protection-plan")
def plans(plane: Plane, call: Call) -> Json:
    if call.method == "GET":
        return {
            "malwareProtectionPlans": [{"malwareProtectionPlanId": name} for name in plane.plans]
        }
    name = new_id()[:20]
    plane.plans[name] = {
        "arn": f"arn:aws:guardduty:{plane.region}:{plane.account}:malware-protection-plan/{name}",
        "role": call.body["role"],
        "protectedResource": call.body["protectedResource"],
        "actions": call.body.get("actions") or {"tagging": {"status": "DISABLED"}},
        "createdAt": time.time(),
        "status": "ACTIVE",
        "statusReasons": [],
        "tags": call.body.get("tags") or {},
    }
    return {"malwareProtectionPlanId": name}


@ROUTES.add("GET|PATCH|DELETE", "/malware-protection-plan/{name}")
def plan_by_id(plane: Plane, call: Call) -> Json:
    name = call.path["name"]
    if name not in plane.plans:
        raise ApiError(
            "The malware protection plan does not exist.", "ResourceNotFoundException", 404
        )
    if call.method == "DELETE":
        del plane.plans[name]
        return {}
    if call.method == "PATCH":
        kept = plane.plans[name]
        # its prefixes alone: the bucket stays
        asked = call.body.pop("protectedResource", {}).get("s3Bucket", {})
        kept.update(call.body)
        kept["protectedResource"]["s3Bucket"].update(asked)
        return {}
    return plane.plans[name]


@ROUTES.add("GET|POST|DELETE", "/tags/(?P<arn>.+)")
def tags(plane: Plane, call: Call) -> Json:
    kept = plane.tags.setdefault(urllib.parse.unquote(call.path["arn"]), {})
    if call.method == "GET":
        return {"tags": kept}
    if call.method == "POST":
        kept.update(call.body["tags"])
    for key in call.query.get("tagKeys", []) if call.method == "DELETE" else []:
        kept.pop(key, None)
    return {}
