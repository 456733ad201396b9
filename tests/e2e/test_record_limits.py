"""What functions may do to the record: give leases back, and never write what decides."""

from __future__ import annotations

import secrets
import time
from types import SimpleNamespace
from typing import Any, cast

import pytest
from guardduty_response.containment.contract import Context, StepResult, Target
from guardduty_response.functions import steps
from guardduty_response.incident.repository import IncidentRepository
from guardduty_response.incident.table import Table

from tests.e2e.e2e_world import MEMBER, PREFIX, SECURITY, World
from tests.e2e.function_credentials import FunctionCredentials, refused

ROLES = [
    *(f"{PREFIX}-{name}-ec2-instance" for name in ("playbook", "collect", "restore")),
    *(f"{PREFIX}-{name}-iam-principal" for name in ("playbook", "collect", "remediate", "restore")),
    *(f"{PREFIX}-monitor-function-{name}" for name in ("ec2-instance", "iam-principal")),
    f"{PREFIX}-incident",
    f"{PREFIX}-watchdog",
]
# Every kind of item but leases.
KEPT = [
    ("INCIDENT#inc-0", "META"),
    ("CONTAINMENT#arn", "STATE"),
    ("BREAKER", "now"),
    ("CONFIG", "CURRENT"),
    ("CONTROL", "TERRAFORM"),
    ("CONTROL", "OPERATOR"),
]
WRITTEN_BY_OTHERS = [key for key in KEPT if key[0] in ("CONFIG", "CONTROL")]


@pytest.fixture(params=ROLES)
def table(request: pytest.FixtureRequest, world: World, as_function: FunctionCredentials) -> Table:
    """The table, as one of the functions may use it."""
    client = world.aws.client("dynamodb", **as_function(request.param))
    return Table(world.outputs["table_name"], client)


def _key(pk: str, sk: str) -> dict[str, Any]:
    return {"pk": {"S": pk}, "sk": {"S": sk}}


def test_every_function_of_the_table_is_tried(world: World) -> None:
    """A role that is added must be named above."""
    found = world.client("lambda", SECURITY).list_functions()["Functions"]
    reading = {
        function["Role"].rpartition("/")[2]
        for function in found
        if "GDR_TABLE" in function.get("Environment", {}).get("Variables", {})
    }
    assert reading == set(ROLES)


@pytest.mark.parametrize("wait", [steps.BUSY_SECONDS, steps.LONG_SECONDS, 20 * 60, 6 * 3600])
def test_a_step_that_waits_gives_its_lease_back(world: World, table: Table, wait: int) -> None:
    """As the function itself does it, for every wait that a step may ask for."""
    arn = f"arn:aws:ec2:us-east-1:{MEMBER}:instance/{secrets.token_hex(8)}"
    record = IncidentRepository(table.name, table.client)
    names = {"execution": "execution", "incident_id": "inc-0"}
    more = {
        "config": None,
        "finding": None,
        "assume": lambda: None,
    }
    context = cast(
        Context,
        SimpleNamespace(
            record=record,
            finding_key="",
            **names,
            **more,
        ),
    )
    target = Target(
        kind="ec2_instance",
        id="i-0a",
        arn=arn,
        account_id=MEMBER,
        region="us-east-1",
    )
    waiting = StepResult(
        done=False,
        wait_seconds=wait,
        detail="snapshots are pending",
    )
    steps._run(
        context,
        "collect",
        target,
        lambda _context, _target: waiting,
    )
    leases = world.items(f"RESOURCE#{arn}")
    assert len(leases) == (1 if wait < steps.LONG_SECONDS else 0)


def test_nothing_but_leases_is_ever_deleted(table: Table) -> None:
    for pk, sk in KEPT:
        refused(
            table.client.delete_item,
            TableName=table.name,
            Key=_key(pk, sk),
        )


def test_no_function_writes_what_decides(world: World, table: Table) -> None:
    before = [item for pk in ("CONFIG", "CONTROL") for item in world.items(pk)]
    for pk, sk in WRITTEN_BY_OTHERS:
        refused(
            table.client.put_item,
            TableName=table.name,
            Item=_key(pk, sk),
        )
        refused(
            table.client.update_item,
            TableName=table.name,
            Key=_key(pk, sk),
            UpdateExpression="SET paused = :paused",
            ExpressionAttributeValues={":paused": {"BOOL": False}},
        )
    put = {"TableName": table.name, "Item": _key("CONTROL", "OPERATOR")}
    refused(table.client.transact_write_items, TransactItems=[{"Put": put}])
    assert [item for pk in ("CONFIG", "CONTROL") for item in world.items(pk)] == before


def test_every_function_reads_what_decides(world: World, table: Table) -> None:
    assert table.get("CONTROL", "TERRAFORM") == {
        "pk": "CONTROL",
        "sk": "TERRAFORM",
        "paused": False,
        "config_sha256": world.outputs["config_sha256"],
    }


def test_a_transaction_takes_a_lease_under_a_condition(table: Table) -> None:
    arn = f"RESOURCE#{secrets.token_hex(8)}"
    checked = {
        "TableName": table.name,
        "Key": _key(arn, "STATE"),
        "ConditionExpression": "attribute_not_exists(pk)",
    }
    lease = {**_key(arn, "LEASE"), "expires": {"N": str(int(time.time()))}}
    table.client.transact_write_items(
        TransactItems=[
            {"ConditionCheck": checked},
            {"Put": {"TableName": table.name, "Item": lease}},
        ]
    )
    assert table.get(arn, "LEASE")
