"""Reads the CONTROL items: whether changes are paused, by whom, and which configuration is new."""

from __future__ import annotations

from contextlib import suppress

from guardduty_response.aws.dynamodb_types import Item, item
from guardduty_response.decision import configuration
from guardduty_response.decision import finding as findings
from guardduty_response.decision.configuration import PAUSED, Config
from guardduty_response.errors import ConfigError
from guardduty_response.incident.repository import IncidentRepository


def pause_reason(record: IncidentRepository) -> str:
    """Returns why a CONTROL item forbids changes, or an empty string. Reads consistently."""
    return paused_by(control_items(record))


def control_items(record: IncidentRepository) -> list[Item]:
    """Returns the CONTROL items, read consistently."""
    return record.table.query(
        KeyConditionExpression="pk = :pk",
        ConsistentRead=True,
        ExpressionAttributeValues=item({":pk": "CONTROL"}),
    )


def paused_by(controls: list[Item]) -> str:
    """Returns which CONTROL item forbids changes, and why, or an empty string.

    CONTROL/TERRAFORM is written by every apply, CONTROL/OPERATOR by people. An item that says
    anything but ``paused: false`` pauses: a misspelt pause must not let changes pass.
    """
    for control in controls:
        if control.get("paused") is False:
            continue
        if control["sk"] == "TERRAFORM":
            return f"{PAUSED} (paused = true in Terraform)"
        who = findings.text(control.get("by"), 200) or "somebody who did not say who they are"
        why = findings.text(control.get("reason"), 500) or "no reason given"
        return f"{PAUSED} by {who} ({why}): item CONTROL/OPERATOR"
    return ""


def newer_config(controls: list[Item], config: Config) -> Config | None:
    """Returns the newest configuration where an apply has not brought it to this function.

    That it cannot be read (its item is not there yet) changes nothing: the function's own holds.
    """
    for control in controls:
        newest = control.get("config_sha256")
        if control["sk"] == "TERRAFORM" and newest and newest != config.sha256:
            with suppress(ConfigError):
                return configuration.read(str(newest))
    return None
