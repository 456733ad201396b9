"""Loads what release 0.1.0 wrote into its incident table (tests/fixtures/records/0.1.0.json).

The functions of that release wrote it, in moto. Times are seconds before or after the writing
began; they are moved to the last minutes.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from boto3.dynamodb.types import TypeSerializer
from guardduty_response.incident.moments import iso

from tests.support.repository import ROOT
from tests.unit.deployment import BUCKET, TABLE, Deployment

_FILE = ROOT / "tests" / "fixtures" / "records" / "0.1.0.json"
_STARTED = timedelta(minutes=5)  # before now


def load_old_records(deployment: Deployment, playbook: str = "fake") -> dict[str, str]:
    """Writes the records; returns the incidents' IDs by what they are.

    ``playbook``: what their playbook is called here.
    """
    begin = datetime.now(UTC) - _STARTED

    def moved(found: re.Match[str]) -> str:
        return iso(begin + timedelta(seconds=float(found[1])))

    text = re.sub(
        r"\{(-?\d+\.\d{6})\}",
        moved,
        _FILE.read_text(),
    )
    content: dict[str, Any] = json.loads(text)
    for key, body in content["objects"].items():
        deployment.s3.put_object(
            Bucket=BUCKET,
            Key=key,
            Body=body.encode(),
        )
    for item in content["items"]:
        if item["sk"] == "META":
            item["playbook"] = playbook
        # A number with a fraction is a severity; DynamoDB takes decimals only.
        values = json.loads(json.dumps(item), parse_float=Decimal)
        serialized = {name: TypeSerializer().serialize(value) for name, value in values.items()}
        deployment.dynamodb.put_item(TableName=TABLE, Item=serialized)
    return dict(content["incidents"])
