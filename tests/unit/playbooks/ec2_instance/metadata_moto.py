"""What moto lacks of ModifyInstanceMetadataOptions: it forgets the options that a call does not
name, takes every option without an endpoint that is enabled, and applies a change at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from moto.core.exceptions import ServiceException
from moto.ec2.models.instances import InstanceBackend, MetadataOptions, Reservation

# As moto's backend takes the options -> as it keeps them
NAMES = {
    "http_tokens": "http_tokens",
    "hop_limit": "http_put_response_hop_limit",
    "http_endpoint": "http_endpoint",
    "http_protocol": "http_protocol_ipv6",
    "metadata_tags": "instance_metadata_tags",
}


@dataclass
class Delay:
    """How many calls of DescribeInstances show that a change is pending; the next one shows that it
    is applied.
    """

    looks: int = 1


def extend(monkeypatch: pytest.MonkeyPatch) -> Delay:
    """Adds to moto what this module's text says it lacks, until the test has ended."""
    delay, left = Delay(), dict[str, int]()
    describe = InstanceBackend.get_reservations_by_instance_ids

    def modify(
        self: InstanceBackend, instance_id: str, dry_run: bool, **options: Any
    ) -> MetadataOptions:
        given = {name: value for name, value in options.items() if value is not None}
        if given.keys() - {"http_endpoint"} and given.get("http_endpoint") != "enabled":
            message = "The HttpEndpoint is not set to 'enabled' in this request."
            raise ServiceException("InvalidParameterValue", message)
        kept = self.get_instance(instance_id).metadata_options
        for name, value in given.items():
            setattr(kept, NAMES[name], value)
        kept.state, left[instance_id] = "pending", delay.looks
        return kept

    def look(
        self: InstanceBackend, instance_ids: list[str], filters: Any = None
    ) -> list[Reservation]:
        for id in instance_ids:
            if left.get(id) == 0:
                self.get_instance(id).metadata_options.state = "applied"
            left[id] = left.get(id, 0) - 1
        return describe(self, instance_ids, filters)

    monkeypatch.setattr(InstanceBackend, "modify_instance_metadata_options", modify)
    monkeypatch.setattr(InstanceBackend, "get_reservations_by_instance_ids", look)
    return delay
