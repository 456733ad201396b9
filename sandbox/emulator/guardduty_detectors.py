"""GuardDuty's detectors: made, shown, changed and deleted."""

from __future__ import annotations

from . import guardduty_features as features
from .guardduty_organization import is_a_member, may_be_deleted
from .guardduty_plane import ApiError, Call, Json, Plane, Routes, create_detector, now

ROUTES = Routes()
_HAS_MEMBERS = (
    "The request is rejected because the current account cannot delete detector while it has"
    " invited or associated members."
)
# AWS says that a member cannot; the sentence is the sandbox's.
_MANAGED = (
    "The request is rejected because the protection plans of a member account are set by its"
    " administrator account."
)


@ROUTES.add("POST|GET", "/detector")
def detectors(plane: Plane, call: Call) -> Json:
    if call.method == "GET":
        return {"detectorIds": list(plane.detectors)}
    if plane.detectors:
        raise ApiError(
            "The request is rejected because a detector already exists for the current account."
        )
    return {"detectorId": create_detector(plane, call.body)}


def _data_sources(found: list[Json]) -> Json:
    on = {feature["name"] for feature in found if feature["status"] == "ENABLED"}

    def status(name: str) -> Json:
        return {"status": "ENABLED" if name in on else "DISABLED"}

    return {
        "cloudTrail": status("CLOUD_TRAIL"),
        "dnsLogs": status("DNS_LOGS"),
        "flowLogs": status("FLOW_LOGS"),
        "s3Logs": status("S3_DATA_EVENTS"),
        "kubernetes": {"auditLogs": status("EKS_AUDIT_LOGS")},
        "malwareProtection": {
            "scanEc2InstanceWithFindings": {"ebsVolumes": status("EBS_MALWARE_PROTECTION")},
            "serviceRole": "",
        },
    }


@ROUTES.add("GET|POST|DELETE", "/detector/{detector}")
def detector(plane: Plane, call: Call) -> Json:
    found = plane.detector(call.path["detector"]).document
    if call.method == "GET":
        return {**found, "dataSources": _data_sources(found["features"])}
    if call.method == "DELETE":
        if not may_be_deleted(plane.detectors[call.path["detector"]]):
            raise ApiError(_HAS_MEMBERS)
        del plane.detectors[call.path["detector"]]
        return {}
    if call.body.get("features") and is_a_member(plane):
        raise ApiError(_MANAGED)
    found["features"] = features.merge(found["features"], call.body.get("features") or [])
    if "enable" in call.body:
        found["status"] = "ENABLED" if call.body["enable"] else "DISABLED"
    if "findingPublishingFrequency" in call.body:
        found["findingPublishingFrequency"] = call.body["findingPublishingFrequency"]
    found["updatedAt"] = now()
    return {}
