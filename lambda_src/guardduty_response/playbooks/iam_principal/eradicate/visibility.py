"""Reversals of what blinds or exposes: public buckets, stopped trails, suspended detectors."""

from __future__ import annotations

from guardduty_response.aws.errors import is_transient
from guardduty_response.containment.target_context import ALREADY
from guardduty_response.decision.finding import get, text
from guardduty_response.playbooks.iam_principal import resource_state
from guardduty_response.playbooks.iam_principal.eradicate.changes import Change
from guardduty_response.playbooks.iam_principal.eradicate.eradication_context import (
    EradicationContext,
)
from guardduty_response.playbooks.iam_principal.eradicate.reversal import (
    MANUAL,
    NotReversed,
    Reversal,
)
from guardduty_response.playbooks.iam_principal.records import AwsAnswer, AwsClient
from guardduty_response.playbooks.iam_principal.reversal_records import (
    BucketRecord,
    DetectorRecord,
    TrailRecord,
)

PublicAccessBlock = dict[str, bool]
# Amazon S3 User Guide, "Predefined groups": everybody, and everybody with an AWS account.
EVERYBODY = ("/global/AllUsers", "/global/AuthenticatedUsers")


class Bucket(Reversal[PublicAccessBlock]):
    """All four settings of the bucket's public access block are switched on.

    The policy and the ACL stay, and no longer let the public in.
    """

    category, record_type = "buckets", "bucket"

    def __init__(self, eradication: EradicationContext, change: Change) -> None:
        super().__init__(eradication, change)
        self.bucket = change.request_text("bucketName")
        self.done_text = f"public access to bucket {self.bucket} is blocked"

    @classmethod
    def applies(cls, change: Change) -> bool:
        asked = get(change.parameters, "PublicAccessBlockConfiguration")
        return (
            change.name != "PutBucketPublicAccessBlock"
            or not isinstance(asked, dict)
            or not resource_state.all_blocked(asked)
        )

    @property
    def _arn(self) -> str:
        return f"arn:{self.eradication.config.partition}:s3:::{self.bucket}"

    def read(self) -> PublicAccessBlock:
        s3 = self.client("s3")
        found = resource_state.public_access_block(s3, self.bucket) if self.bucket else None
        if found is None:
            raise NotReversed(ALREADY, f"bucket {self.bucket} no longer exists")
        if not resource_state.all_blocked(found) and not self._public(s3):
            raise NotReversed(
                MANUAL,
                f"the {'ACL' if self.change.name == 'PutBucketAcl' else 'policy'} of bucket"
                f" {self.bucket} was changed; it does not make it public, it may let other"
                " accounts in",
            )
        return found

    def _public(self, s3: AwsClient) -> bool:
        """Tell whether what was set makes the bucket public; assumed where it cannot be read."""
        try:
            if self.change.name == "PutBucketPolicy":
                return resource_state.public_policy(s3, self.bucket)
            if self.change.name == "PutBucketAcl":
                grants = s3.get_bucket_acl(Bucket=self.bucket)["Grants"]
                return any(
                    str(grant["Grantee"].get("URI", "")).endswith(EVERYBODY) for grant in grants
                )
        except Exception as error:
            if is_transient(error):
                raise
        return True

    def touched_names(self, current: PublicAccessBlock) -> list[str]:
        return [self._arn, self.bucket]

    def pending_change(self, current: PublicAccessBlock) -> str:
        if resource_state.all_blocked(current):
            return ""
        return f"public access to bucket {self.bucket} blocked; its policy and ACL stay as they are"

    def before_state(self, current: PublicAccessBlock) -> BucketRecord:
        return {"bucket": self.bucket, "arn": self._arn, "block": current}

    def undo(self, current: PublicAccessBlock) -> list[AwsAnswer]:
        s3 = self.changing(("s3:PutBucketPublicAccessBlock",), self._arn, "s3")
        return [
            s3.put_public_access_block(
                Bucket=self.bucket, PublicAccessBlockConfiguration=resource_state.BLOCKED
            )
        ]

    def manual_command(self) -> str:
        on = ",".join(f"{name}=true" for name in resource_state.BLOCKED)
        if self.change.name in ("PutBucketPolicy", "PutBucketAcl"):
            return self.command(
                f"s3api get-bucket-{self.change.name[9:].lower()} --bucket", self.bucket
            )
        return self.command(
            "s3api put-public-access-block --public-access-block-configuration",
            on,
            "--bucket",
            self.bucket,
        )


class Trail(Reversal[bool]):
    """A stopped trail logs again."""

    category, record_type = "trails", "trail"

    def __init__(self, eradication: EradicationContext, change: Change) -> None:
        super().__init__(eradication, change)
        self.trail = change.request_text("name")
        self.done_text = f"trail {self.trail} is logging"

    @property
    def _arn(self) -> str:
        if self.trail.startswith("arn:"):
            return self.trail
        return (
            f"arn:{self.eradication.config.partition}:cloudtrail:{self.change.region}:"
            f"{self.target_context.target.account_id}:trail/{self.trail}"
        )

    def read(self) -> bool:
        if self._arn.split(":")[4] != self.target_context.target.account_id:
            raise NotReversed(MANUAL, f"trail {self.trail} belongs to another account")
        found = (
            resource_state.logging(self.client("cloudtrail"), self.trail) if self.trail else None
        )
        if found is None:
            again = self.command(
                "cloudtrail create-trail --is-multi-region-trail --s3-bucket-name BUCKET --name",
                self.trail,
            )
            raise NotReversed(
                MANUAL, f"trail {self.trail} no longer exists: create it again", again
            )
        return found

    def touched_names(self, current: bool) -> list[str]:
        return [self._arn]

    def pending_change(self, current: bool) -> str:
        if current:
            return ""
        return (
            f"trail {self.trail} logging again; it has no log of what happened since"
            f" {self.change.at[:20]}"
        )

    def before_state(self, current: bool) -> TrailRecord:
        return {"trail": self.trail, "arn": self._arn, "logging": current}

    def undo(self, current: bool) -> list[AwsAnswer]:
        client = self.changing(("cloudtrail:StartLogging",), self._arn, "cloudtrail")
        return [client.start_logging(Name=self.trail)]

    def manual_command(self) -> str:
        return self.command("cloudtrail start-logging --name", self.trail)


class Detector(Reversal[str]):
    """A suspended detector is switched on again; its state is ENABLED or DISABLED."""

    category, record_type = "detectors", "detector"

    def __init__(self, eradication: EradicationContext, change: Change) -> None:
        super().__init__(eradication, change)
        self.id = text(get(change.parameters, "detectorId"), 64)
        self.done_text = f"GuardDuty detector {self.id} is on"

    @classmethod
    def applies(cls, change: Change) -> bool:
        return get(change.parameters, "enable") in (False, "false")

    @property
    def _arn(self) -> str:
        return (
            f"arn:{self.eradication.config.partition}:guardduty:{self.change.region}:"
            f"{self.target_context.target.account_id}:detector/{self.id}"
        )

    def read(self) -> str:
        found = resource_state.detector(self.client("guardduty"), self.id) if self.id else None
        if found is None:
            raise NotReversed(
                MANUAL,
                f"detector {self.id} no longer exists: create it again",
                self.command("guardduty create-detector --enable"),
            )
        return found

    def touched_names(self, current: str) -> list[str]:
        return [self._arn]

    def pending_change(self, current: str) -> str:
        return "" if current == "ENABLED" else f"GuardDuty detector {self.id} switched on again"

    def before_state(self, current: str) -> DetectorRecord:
        return {"detector": self.id, "status": current}

    def undo(self, current: str) -> list[AwsAnswer]:
        client = self.changing(("guardduty:UpdateDetector",), self._arn, "guardduty")
        return [client.update_detector(DetectorId=self.id, Enable=True)]

    def manual_command(self) -> str:
        return self.command("guardduty update-detector --enable --detector-id", self.id)
