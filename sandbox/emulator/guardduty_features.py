"""GuardDuty's protection plans: their names, the order the API answers in, and what it refuses.

Real behaviour kept: a new detector has every plan on but Runtime Monitoring; RDS Protection is
answered with its configuration, whether or not anybody has set it; the foundational sources cannot
be set; Runtime Monitoring and EKS Runtime Monitoring exclude each other;
configurations come back in an order of the API's own, which differs between detectors and the
organization, whatever order they were sent in.
"""

from __future__ import annotations

import time
from typing import Any, Literal, Required, TypedDict

Json = dict[str, Any]
# A feature says its status in a detector, and what is enabled by itself in an organization.
State = Literal["status", "autoEnable"]


class Feature(TypedDict, total=False):
    """A protection plan, or a configuration of one, as the API writes it."""

    name: Required[str]
    status: str
    autoEnable: str
    updatedAt: float
    additionalConfiguration: list[Feature]


FOUNDATIONAL = ("CLOUD_TRAIL", "DNS_LOGS", "FLOW_LOGS")
_AGENTS = ("EKS_ADDON_MANAGEMENT", "EC2_AGENT_MANAGEMENT", "ECS_FARGATE_AGENT_MANAGEMENT")
# Feature -> its configurations, in the order of a detector; an organization's is the reverse.
CONFIGURATIONS: dict[str, tuple[str, ...]] = {
    "S3_DATA_EVENTS": (),
    "EKS_AUDIT_LOGS": (),
    "EBS_MALWARE_PROTECTION": (),
    "RDS_LOGIN_EVENTS": ("RDS_DATA_RISK",),
    "LAMBDA_NETWORK_LOGS": (),
    "EKS_RUNTIME_MONITORING": ("EKS_ADDON_MANAGEMENT",),
    "RUNTIME_MONITORING": _AGENTS,
    "AI_PROTECTION": (),
    "AI_ANALYST": (),
}
# Off in a new detector. Of those that are paid for by themselves this is the sandbox's guess.
_OFF_AT_FIRST = {"RUNTIME_MONITORING", "EKS_RUNTIME_MONITORING", "AI_PROTECTION", "AI_ANALYST"}
# The administrator's own: no organization sets it for its members.
_NOT_FOR_MEMBERS = {"AI_ANALYST"}
_RUNTIMES = {"RUNTIME_MONITORING", "EKS_RUNTIME_MONITORING"}
INVALID = (
    "The request is rejected because an invalid or out-of-range value is specified as an input"
    " parameter."
)


class Refused(Exception):
    """A request about features that GuardDuty rejects; the text is the answer's message."""


def new_detector() -> list[Feature]:
    """Return the features of a detector that was created without saying which."""
    now = time.time()
    found: list[Feature] = [
        {"name": name, "status": "ENABLED", "updatedAt": now} for name in FOUNDATIONAL
    ]
    for name, configurations in CONFIGURATIONS.items():
        feature: Feature = {
            "name": name,
            "status": "DISABLED" if name in _OFF_AT_FIRST else "ENABLED",
            "updatedAt": now,
        }
        if configurations:
            off: list[Feature] = [
                {"name": configuration, "status": "DISABLED", "updatedAt": now}
                for configuration in configurations
            ]
            feature["additionalConfiguration"] = off
        found.append(feature)
    return found


def _check_names(features: list[Feature], field: State, values: tuple[str, ...]) -> None:
    for feature in features:
        name = feature.get("name")
        items = feature.get("additionalConfiguration") or []
        if name not in CONFIGURATIONS or feature.get(field) not in values:
            raise Refused(INVALID)
        if any(
            item.get("name") not in CONFIGURATIONS[name] or item.get(field) not in values
            for item in items
        ):
            raise Refused(INVALID)
    # AWS says that the pair causes an error; the sentence is the sandbox's.
    if {feature["name"] for feature in features} >= _RUNTIMES:
        raise Refused(
            "The request is rejected because RUNTIME_MONITORING and EKS_RUNTIME_MONITORING exclude"
            " each other."
        )


def _check_state(by_name: dict[str, Feature], field: State, off: str) -> None:
    if all(by_name[name].get(field, off) != off for name in _RUNTIMES):
        raise Refused(
            "The request is rejected because RUNTIME_MONITORING and EKS_RUNTIME_MONITORING exclude"
            " each other."
        )
    for feature in by_name.values():
        on = [item for item in feature.get("additionalConfiguration", []) if item[field] != off]
        if on and feature[field] == off:
            raise Refused(
                f"The request is rejected because {on[0]['name']} needs {feature['name']} to be"
                " enabled."
            )


def merge(current: list[Feature], new: list[Feature]) -> list[Feature]:
    """Return a detector's features with some of them set, by name; Refused leaves ``current`` as it
    was.
    """
    _check_names(new, "status", ("ENABLED", "DISABLED"))
    by_name = {feature["name"]: feature.copy() for feature in current}
    for feature in new:
        kept = by_name.setdefault(feature["name"], {"name": feature["name"]})
        kept["status"] = feature["status"]
        kept["updatedAt"] = time.time()
        extra = {item["name"]: item for item in kept.get("additionalConfiguration", [])}
        if feature["status"] == "DISABLED":
            extra = {name: {**item, "status": "DISABLED"} for name, item in extra.items()}
        for item in feature.get("additionalConfiguration") or []:
            extra[item["name"]] = {
                "name": item["name"],
                "status": item["status"],
                "updatedAt": time.time(),
            }
        order = CONFIGURATIONS[feature["name"]]
        if order:
            kept["additionalConfiguration"] = [extra[name] for name in order if name in extra]
    if new:
        for name in _RUNTIMES:
            by_name.setdefault(name, {"name": name, "status": "DISABLED"})
        _check_state(by_name, "status", "DISABLED")
    return list(by_name.values())


def new_organization() -> list[Feature]:
    """Return the features of an organization that nobody has configured."""
    return [
        {
            "name": name,
            "autoEnable": "NONE",
            "additionalConfiguration": [
                {"name": configuration, "autoEnable": "NONE"}
                for configuration in reversed(configurations)
            ],
        }
        for name, configurations in CONFIGURATIONS.items()
        if name not in _NOT_FOR_MEMBERS
    ]


def merge_organization(current: list[Feature], new: list[Feature]) -> list[Feature]:
    """Return the organization's features with some of them set."""
    _check_names(new, "autoEnable", ("ALL", "NEW", "NONE"))
    if _NOT_FOR_MEMBERS & {feature["name"] for feature in new}:
        raise Refused(INVALID)
    by_name = {feature["name"]: feature.copy() for feature in current}
    for feature in new:
        kept = by_name[feature["name"]]
        kept["autoEnable"] = feature["autoEnable"]
        wanted = {
            item["name"]: item["autoEnable"]
            for item in feature.get("additionalConfiguration") or []
        }
        kept["additionalConfiguration"] = [
            {**item, "autoEnable": wanted.get(item["name"], item["autoEnable"])}
            for item in kept["additionalConfiguration"]
        ]
    _check_state(by_name, "autoEnable", "NONE")
    return list(by_name.values())


def enabled_by(organization: list[Feature], *values: str) -> list[Feature]:
    """Return what an organization's setting enables in a member, as a request: the features with
    one of these values.
    """
    found: list[Feature] = []
    for feature in organization:
        if feature["autoEnable"] in values:
            items = [
                item["name"]
                for item in feature["additionalConfiguration"]
                if item["autoEnable"] in values
            ]
            on: list[Feature] = [{"name": name, "status": "ENABLED"} for name in items]
            found.append(
                {"name": feature["name"], "status": "ENABLED", "additionalConfiguration": on}
            )
    return found


def data_sources(organization: list[Feature]) -> Json:
    """Return an organization's plans, as its deprecated data sources show them."""
    on = {feature["name"] for feature in organization if feature["autoEnable"] != "NONE"}

    def auto(name: str) -> Json:
        return {"autoEnable": name in on}

    return {
        "s3Logs": auto("S3_DATA_EVENTS"),
        "kubernetes": {"auditLogs": auto("EKS_AUDIT_LOGS")},
        "malwareProtection": {
            "scanEc2InstanceWithFindings": {"ebsVolumes": auto("EBS_MALWARE_PROTECTION")}
        },
    }


def of_data_sources(sent: Json) -> list[Feature]:
    """Return the plans that deprecated data sources set: they know NEW and NONE, not ALL."""
    findings = (sent.get("malwareProtection") or {}).get("scanEc2InstanceWithFindings") or {}
    wanted = {
        "S3_DATA_EVENTS": sent.get("s3Logs"),
        "EKS_AUDIT_LOGS": (sent.get("kubernetes") or {}).get("auditLogs"),
        "EBS_MALWARE_PROTECTION": findings.get("ebsVolumes"),
    }
    return [
        {"name": name, "autoEnable": "NEW" if source["autoEnable"] else "NONE"}
        for name, source in wanted.items()
        if source
    ]


def for_all(organization: list[Feature]) -> set[str]:
    """Return the plans and configurations that the organization sets for ALL."""
    found = {feature["name"] for feature in organization if feature["autoEnable"] == "ALL"}
    for feature in organization:
        for item in feature["additionalConfiguration"]:
            if item["autoEnable"] == "ALL":
                found.add(f"{feature['name']}/{item['name']}")
    return found


def overruled(organization: list[Feature], new: list[Feature]) -> str | None:
    """Return the first name in a request that the organization sets for ALL, or None."""
    everybody = for_all(organization)
    for feature in new:
        items = feature.get("additionalConfiguration") or []
        for name in (feature["name"], *(f"{feature['name']}/{item['name']}" for item in items)):
            if name in everybody:
                return str(name)
    return None
