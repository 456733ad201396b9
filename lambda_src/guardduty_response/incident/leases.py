"""Gives one execution at a time the right to work on a resource (items RESOURCE#arn/LEASE).

``owner``: the ARN of an execution.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, cast

from botocore.exceptions import ClientError

from guardduty_response.aws import clients
from guardduty_response.aws.dynamodb_types import item
from guardduty_response.incident.table import Table, condition_failed

if TYPE_CHECKING:
    from guardduty_response.incident.model import Lease, TargetReference
    from guardduty_response.incident.table import Write

# How long DynamoDB keeps a lease after it was taken; it counts only until ``expires``.
RETENTION_SECONDS = 86400


class Leases:
    """The leases of one deployment. Conditional writes decide, so only one owner can win."""

    def __init__(self, table: Table) -> None:
        self.table = table

    def acquire(
        self, arn: str, owner: str, incident_id: str, seconds: int, instead_of: str = ""
    ) -> Lease | None:
        """Takes or renews the lease on ``arn``. Returns None, or the lease of another owner.

        An expired lease is replaced, and so is that of ``instead_of``: an owner whose execution
        the caller has found to be over.
        """
        at = int(time.time())
        lease: Lease = {
            "owner": owner,
            "incident_id": incident_id,
            "expires": at + seconds,
            "expires_at": at + RETENTION_SECONDS,
        }
        taken = self.table.put_if(
            {"pk": f"RESOURCE#{arn}", "sk": "LEASE", **lease},
            "attribute_not_exists(pk) OR #o = :me OR #o = :replaced OR #e < :now",
            {"#o": "owner", "#e": "expires"},
            {":me": owner, ":replaced": instead_of or owner, ":now": at},
        )
        if taken:
            return None
        other = self.table.get(f"RESOURCE#{arn}", "LEASE")
        if other is None:  # released between the two calls
            return self.acquire(arn, owner, incident_id, seconds)
        return cast("Lease", other)

    def present(self, arn: str) -> Lease | None:
        """Returns the lease on ``arn`` that somebody has at this moment."""
        found = self.table.get(f"RESOURCE#{arn}", "LEASE")
        return cast("Lease", found) if found and found["expires"] >= time.time() else None

    def renewal(self, arn: str, owner: str, seconds: int) -> Write:
        """Returns the write that renews ``owner``'s lease, for a transaction.

        Its condition is not met when the lease is somebody else's, or there is none.
        """
        at = int(time.time())
        return {
            "Update": {
                "Key": item({"pk": f"RESOURCE#{arn}", "sk": "LEASE"}),
                "UpdateExpression": "SET #e = :until, expires_at = :gone",
                "ConditionExpression": "#o = :me",
                "ExpressionAttributeNames": {"#o": "owner", "#e": "expires"},
                "ExpressionAttributeValues": item(
                    {":me": owner, ":until": at + seconds, ":gone": at + RETENTION_SECONDS}
                ),
            }
        }

    def claim(
        self, arn: str, owner: str, incident_id: str, seconds: int, gives_way: str = ""
    ) -> Lease | None:
        """Acquires the lease; takes it over from ``gives_way``, or from an owner whose execution
        has ended.
        """
        other = self.acquire(arn, owner, incident_id, seconds)
        if other and (other["owner"] == gives_way or clients.execution_ended(other["owner"])):
            return self.acquire(arn, owner, incident_id, seconds, other["owner"])
        return other

    def release_all(self, targets: Iterable[TargetReference], owner: str) -> None:
        """Ends ``owner``'s leases on these targets, as an incident or its META names them."""
        for target in targets:
            self.release(target["arn"], owner)

    def release(self, arn: str, owner: str) -> None:
        """Ends ``owner``'s lease. The lease of anybody else stays."""
        try:
            self.table.write(
                self.table.client.delete_item,
                TableName=self.table.name,
                Key=item({"pk": f"RESOURCE#{arn}", "sk": "LEASE"}),
                ConditionExpression="#o = :me",
                ExpressionAttributeNames={"#o": "owner"},
                ExpressionAttributeValues=item({":me": owner}),
            )
        except ClientError as error:
            if not condition_failed(error):
                raise
