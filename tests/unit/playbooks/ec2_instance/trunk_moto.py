"""What moto lacks of interfaces: their owners, finding them by their type, and associations."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto.ec2.models.elastic_network_interfaces import NetworkInterface

ASSOCIATIONS = "DescribeTrunkInterfaceAssociations"


def extend(monkeypatch: pytest.MonkeyPatch) -> None:
    """Adds to moto the filter ``interface-type`` and an ``owner`` of interfaces, until the test has
    ended.
    """
    value_of = NetworkInterface.get_filter_value

    def value(self: NetworkInterface, filter_name: str, method_name: str | None = None) -> Any:
        if filter_name == "interface-type":
            return self.interface_type
        return value_of(
            self,
            filter_name,
            method_name,
        )

    def owner_id(self: NetworkInterface) -> str:
        return str(
            getattr(
                self,
                "owner",
                self.ec2_backend.account_id,
            )
        )

    monkeypatch.setattr(
        NetworkInterface,
        "get_filter_value",
        value,
    )
    monkeypatch.setattr(
        NetworkInterface,
        "owner_id",
        property(owner_id),
    )


def refuse_associations(params: Any) -> Any:
    """Answers as EC2 answers a role that is assumed."""
    answer: Any = {
        "Error": {"Code": "UnauthorizedOperation", "Message": "not for an assumed role"},
        "ResponseMetadata": {"HTTPStatusCode": 403},
    }
    raise ClientError(answer, ASSOCIATIONS)
