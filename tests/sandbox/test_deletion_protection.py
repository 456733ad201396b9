"""The incident table has the state before every containment: a destroy stops at it until somebody
says that it may go.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox.clients import Aws
from tests.sandbox.response_lab import ACCOUNT, INCIDENT, Applied, P

pytestmark = pytest.mark.terraform
TABLE = f"{INCIDENT}.aws_dynamodb_table.incidents"
KEY = {"pk": {"S": "inc-1"}, "sk": {"S": "META"}}


def test_a_destroy_leaves_the_table_until_the_protection_is_off(aws: Aws, tmp_path: Path) -> None:
    made = Applied(aws, tmp_path)
    made.apply_parts(TABLE)
    dynamodb = aws.client("dynamodb", ACCOUNT)
    dynamodb.put_item(TableName=f"{P}-incidents", Item=KEY)

    code, output = made.destroy()
    assert code != 0
    assert "protect" in output, output[-4000:]
    assert dynamodb.get_item(TableName=f"{P}-incidents", Key=KEY)["Item"] == KEY

    main = made.root / "main.tf"
    main.write_text(
        main.read_text().replace("name_prefix", "deletion_protection = false\n  name_prefix")
    )
    assert "1 changed, 0 destroyed" in made.apply_parts(TABLE)
    code, output = made.destroy()
    assert code == 0, output[-4000:]
    assert f"{P}-incidents" not in dynamodb.list_tables()["TableNames"]
