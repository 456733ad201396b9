"""What moto lacks of trunk interfaces: finding interfaces by their type, and associations."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto.ec2.models.elastic_network_interfaces import NetworkInterface

ASSOCIATIONS = "DescribeTrunkInterfaceAssociations"


def extend(monkeypatch: pytest.MonkeyPatch) -> None:
    """Adds the filter ``interface-type`` to moto, until the test has ended."""
    value_of = NetworkInterface.get_filter_value

    def value(self: NetworkInterface, filter_name: str, method_name: str | None = None) -> Any:
        if filter_name == "interface-type":
            return self.interface_type
        return value_of(self, filter_name, method_name)

    monkeypatch.setattr(NetworkInterface, "get_filter_value", value)


def refuse_associations(params: Any) -> Any:
    """Answers as EC2 answers a role that is assumed."""
    answer: Any = {
        "Error": {"Code": "UnauthorizedOperation", "Message": "not for an assumed role"},
        "ResponseMetadata": {"HTTPStatusCode": 403},
    }
    raise ClientError(answer, ASSOCIATIONS)
