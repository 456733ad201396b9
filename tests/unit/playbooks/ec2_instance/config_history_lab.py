"""Helpers of the tests of AWS Config's history of an instance: what AWS Config has, and what was
kept of it.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from guardduty_response.containment.contract import Target
from guardduty_response.evidence.items import EvidenceItem
from guardduty_response.playbooks.ec2_instance.evidence import config_history

from tests.unit.playbooks.ec2_instance.ec2_lab import REGION
from tests.unit.playbooks.ec2_instance.evidence_lab import EvidenceLab, short

Json = dict[str, Any]
INSTANCE, INTERFACE, GROUP = (
    "AWS::EC2::Instance",
    "AWS::EC2::NetworkInterface",
    "AWS::EC2::SecurityGroup",
)


def contained(lab: EvidenceLab) -> Target:
    lab.build()
    [lab.ids["interface"]] = lab.groups()
    target = lab.plan()
    lab.respond(target)
    return target


def resources(lab: EvidenceLab) -> list[tuple[str, str]]:
    return [
        (INSTANCE, lab.ids["instance"]),
        (INTERFACE, lab.ids["interface"]),
        (GROUP, lab.ids["group"]),
    ]


def recorded(lab: EvidenceLab, *agos: float) -> list[Json]:
    """Lets AWS Config have items of every resource."""
    return [
        item
        for type, id in resources(lab)
        for item in lab.config.recorded(
            type,
            id,
            REGION,
            *agos,
        )
    ]


def collected(lab: EvidenceLab, target: Target) -> EvidenceItem:
    item = lab.collect(config_history, target)[-1]
    assert short(lab.policies)
    return item


def lines(lab: EvidenceLab) -> list[Json]:
    return [
        json.loads(line)
        for name in sorted(lab.stored)
        if "/config-history/items-" in name
        for line in lab.lines(name)
    ]


def kept(lab: EvidenceLab) -> list[tuple[str, float]]:
    """(resource id, second of the capture) of every line, in order."""
    return [
        (
            line["resourceId"],
            datetime.fromisoformat(line["configurationItemCaptureTime"]).timestamp(),
        )
        for line in lines(lab)
    ]


def of(items: list[Json]) -> list[tuple[str, float]]:
    return [
        (item["resourceId"], item["configurationItemCaptureTime"].timestamp()) for item in items
    ]


def summary(lab: EvidenceLab) -> Json:
    name = f"{lab.ids['instance']}/config-history/summary.json"
    found: Json = json.loads(lab.stored[name])
    return found
