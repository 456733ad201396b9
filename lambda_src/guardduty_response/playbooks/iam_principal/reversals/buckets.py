"""The reversal of what opens a bucket to the public."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from guardduty_response.aws.errors import is_transient
from guardduty_response.containment.aws_call import AwsCall
from guardduty_response.decision.finding import get
from guardduty_response.playbooks.iam_principal import resource_state
from guardduty_response.playbooks.iam_principal.reversals.changes import Change
from guardduty_response.playbooks.iam_principal.reversals.reversal import (
    MANUAL,
    NotReversed,
    Reversal,
    fixed,
    on,
)

if TYPE_CHECKING:
    from guardduty_response.playbooks.iam_principal.reversals.records import PublicAccessBlock

BUCKETS = "arn:${partition}:s3:::*"
# Amazon S3 User Guide, "Predefined groups": everybody, and everybody with an AWS account.
EVERYBODY = ("/global/AllUsers", "/global/AuthenticatedUsers")


class Bucket(Reversal["dict[str, PublicAccessBlock]", "PublicAccessBlock"]):
    """All four settings of the bucket's public access block are switched on. The record has
    ``bucket`` and ``block`` ({} when there was none).

    The policy and the ACL stay, and no longer let the public in.
    """

    category, what, service = "buckets", "bucket", "s3"
    undoes = (
        "s3:PutBucketPolicy",
        "s3:PutBucketAcl",
        "s3:DeleteBucketPublicAccessBlock",
        "s3:PutBucketPublicAccessBlock",
    )
    named_by = fixed(bucket="p.bucketName")
    fields = ("block",)
    wants = resource_state.BLOCKED
    thing = "bucket {bucket}"
    resource = "s3:::{bucket}"
    title = "public access block of bucket {bucket}"
    done_text = "public access to bucket {bucket} is blocked"
    contained_as = "public access to bucket {bucket} blocked; its policy and ACL stay as they are"
    unknown = (
        "not undone: whether bucket {bucket} was open before is not known (AWS Config may show it)."
        " Block public access unless it is meant to be public"
    )
    reads = on(
        BUCKETS, "s3:GetBucketPublicAccessBlock", "s3:GetBucketPolicyStatus", "s3:GetBucketAcl"
    )
    # IAM has a single action for putting and deleting.
    contains = restores = on(BUCKETS, "s3:PutBucketPublicAccessBlock")

    @classmethod
    def applies(cls, change: Change) -> bool:
        asked = get(change.parameters, "PublicAccessBlockConfiguration")
        return (
            change.name != "PutBucketPublicAccessBlock"
            or not isinstance(asked, dict)
            or not resource_state.all_blocked(asked)
        )

    @classmethod
    def replaced(cls, change: Change) -> tuple[str, ...]:
        return (f"bucket/{change.request_text('bucketName')}",)

    def read(self) -> dict[str, PublicAccessBlock]:
        self.unique_id = bucket = self.record["bucket"]
        self.read_ids.add(bucket)
        self.touched = [self.arn, bucket]
        call = partial(resource_state.public_access_block, self.client, bucket)
        return {"block": self.there(call)}

    def refuse(self) -> None:
        if resource_state.all_blocked(self.present["block"]) or self._public():
            return
        what = "ACL" if self.event.name == "PutBucketAcl" else "policy"
        text = (
            f"the {what} of bucket {self.record['bucket']} was changed; it does not make it public,"
            " it may let other accounts in"
        )
        raise NotReversed(MANUAL, text)

    def _public(self) -> bool:
        """Tells whether what was set makes the bucket public; assumed where it cannot be read."""
        bucket = self.record["bucket"]
        try:
            if self.event.name == "PutBucketPolicy":
                return resource_state.public_policy(self.client, bucket)
            if self.event.name == "PutBucketAcl":
                grants = self.client.get_bucket_acl(Bucket=bucket)["Grants"]
                uris = [str(grant["Grantee"].get("URI", "")) for grant in grants]
                return any(uri.endswith(EVERYBODY) for uri in uris)
        except Exception as error:
            if is_transient(error):
                raise
        return True

    def wanted(self, name: str, value: PublicAccessBlock | None) -> PublicAccessBlock:
        return value if value and resource_state.all_blocked(value) else self.wants

    def call(self, name: str, value: PublicAccessBlock) -> AwsCall:
        request = {"Bucket": self.record["bucket"]}
        if not value:
            return AwsCall("s3", "delete_public_access_block", request)
        block = {"PublicAccessBlockConfiguration": value}
        return AwsCall("s3", "put_public_access_block", {**request, **block})

    def instead_of_unknown(self) -> str:
        return self.full_command("block", self.wants)

    def instead(self) -> str:
        if self.event.name in ("PutBucketPolicy", "PutBucketAcl"):
            operation = f"get_bucket_{self.event.name[9:].lower()}"
            return self.shown(operation, Bucket=self.record["bucket"])
        return super().instead()

    def left(self, name: str, before: PublicAccessBlock, now: PublicAccessBlock | None) -> bool:
        return resource_state.all_blocked(now)
