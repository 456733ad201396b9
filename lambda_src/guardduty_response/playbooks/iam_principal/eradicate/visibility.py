"""Reverts of what blinds or exposes: public buckets, stopped trails, suspended detectors."""

from __future__ import annotations

from typing import Any

from guardduty_response.aws.errors import is_transient
from guardduty_response.containment.target_context import ALREADY, Json
from guardduty_response.decision.finding import get, text
from guardduty_response.playbooks.iam_principal import resource_state
from guardduty_response.playbooks.iam_principal.eradicate.changes import Change
from guardduty_response.playbooks.iam_principal.eradicate.reversal import (
    MANUAL,
    Job,
    Revert,
    Settled,
)

# Amazon S3 User Guide, "Predefined groups": everybody, and everybody with an AWS account.
EVERYBODY = ("/global/AllUsers", "/global/AuthenticatedUsers")


class Bucket(Revert):
    """The bucket's public access block, all four of it: the policy and the ACL stay, and let no
    stranger in.
    """

    kind, what = "buckets", "bucket"

    def __init__(self, job: Job, change: Change) -> None:
        super().__init__(job, change)
        self.bucket = change.asked("bucketName")
        self.good = f"public access to bucket {self.bucket} is blocked"

    @classmethod
    def applies(cls, change: Change) -> bool:
        asked = get(change.parameters, "PublicAccessBlockConfiguration")
        return (
            change.name != "PutBucketPublicAccessBlock"
            or not isinstance(asked, dict)
            or not resource_state.blocked(asked)
        )

    @property
    def _arn(self) -> str:
        return f"arn:{self.job.config.partition}:s3:::{self.bucket}"

    def read(self) -> Any:
        s3 = self.client("s3")
        found = resource_state.block(s3, self.bucket) if self.bucket else None
        if found is None:
            raise Settled(ALREADY, f"bucket {self.bucket} is gone")
        if not resource_state.blocked(found) and not self._public(s3):
            raise Settled(
                MANUAL,
                f"the {'ACL' if self.change.name == 'PutBucketAcl' else 'policy'} of bucket"
                f" {self.bucket} was changed; it does not make it public, it may let other"
                " accounts in",
            )
        return found

    def _public(self, s3: Any) -> bool:
        """Whether what was set lets everybody in. What cannot be read is taken to."""
        try:
            if self.change.name == "PutBucketPolicy":
                return resource_state.public_policy(s3, self.bucket)
            if self.change.name == "PutBucketAcl":
                grants = s3.get_bucket_acl(Bucket=self.bucket)["Grants"]
                return any(str(one["Grantee"].get("URI", "")).endswith(EVERYBODY) for one in grants)
        except Exception as error:
            if is_transient(error):
                raise
        return True

    def names(self, now: Any) -> list[str]:
        return [self._arn, self.bucket]

    def todo(self, now: Any) -> str:
        return (
            ""
            if resource_state.blocked(now)
            else (
                f"public access to bucket {self.bucket} blocked; its policy and ACL stay as"
                " they are"
            )
        )

    def before(self, now: Any) -> Json:
        return {"bucket": self.bucket, "arn": self._arn, "block": now}

    def undo(self, now: Any) -> list[Json]:
        s3 = self.changing(("s3:PutBucketPublicAccessBlock",), self._arn, "s3")
        return [
            s3.put_public_access_block(
                Bucket=self.bucket, PublicAccessBlockConfiguration=resource_state.BLOCKED
            )
        ]

    def by_hand(self) -> str:
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


class Trail(Revert):
    kind, what = "trails", "trail"

    def __init__(self, job: Job, change: Change) -> None:
        super().__init__(job, change)
        self.trail = change.asked("name")
        self.good = f"trail {self.trail} is logging"

    @property
    def _arn(self) -> str:
        if self.trail.startswith("arn:"):
            return self.trail
        return (
            f"arn:{self.job.config.partition}:cloudtrail:{self.change.region}:"
            f"{self.target_context.target.account_id}:trail/{self.trail}"
        )

    def read(self) -> Any:
        if self._arn.split(":")[4] != self.target_context.target.account_id:
            raise Settled(MANUAL, f"trail {self.trail} belongs to another account")
        found = (
            resource_state.logging(self.client("cloudtrail"), self.trail) if self.trail else None
        )
        if found is None:
            again = self.command(
                "cloudtrail create-trail --is-multi-region-trail --s3-bucket-name BUCKET --name",
                self.trail,
            )
            raise Settled(MANUAL, f"trail {self.trail} no longer exists: create it again", again)
        return found

    def names(self, now: Any) -> list[str]:
        return [self._arn]

    def todo(self, now: Any) -> str:
        return (
            ""
            if now
            else (
                f"trail {self.trail} logging again; what happened since {self.change.at[:20]} is in"
                " no log of it"
            )
        )

    def before(self, now: Any) -> Json:
        return {"trail": self.trail, "arn": self._arn, "logging": now}

    def undo(self, now: Any) -> list[Json]:
        client = self.changing(("cloudtrail:StartLogging",), self._arn, "cloudtrail")
        return [client.start_logging(Name=self.trail)]

    def by_hand(self) -> str:
        return self.command("cloudtrail start-logging --name", self.trail)


class Detector(Revert):
    kind, what = "detectors", "detector"

    def __init__(self, job: Job, change: Change) -> None:
        super().__init__(job, change)
        self.id = text(get(change.parameters, "detectorId"), 64)
        self.good = f"GuardDuty detector {self.id} is on"

    @classmethod
    def applies(cls, change: Change) -> bool:
        return get(change.parameters, "enable") in (False, "false")

    @property
    def _arn(self) -> str:
        return (
            f"arn:{self.job.config.partition}:guardduty:{self.change.region}:"
            f"{self.target_context.target.account_id}:detector/{self.id}"
        )

    def read(self) -> Any:
        found = resource_state.detector(self.client("guardduty"), self.id) if self.id else None
        if found is None:
            raise Settled(
                MANUAL,
                f"detector {self.id} no longer exists: create it again",
                self.command("guardduty create-detector --enable"),
            )
        return found

    def names(self, now: Any) -> list[str]:
        return [self._arn]

    def todo(self, now: Any) -> str:
        return "" if now == "ENABLED" else f"GuardDuty detector {self.id} switched on again"

    def before(self, now: Any) -> Json:
        return {"detector": self.id, "status": now}

    def undo(self, now: Any) -> list[Json]:
        client = self.changing(("guardduty:UpdateDetector",), self._arn, "guardduty")
        return [client.update_detector(DetectorId=self.id, Enable=True)]

    def by_hand(self) -> str:
        return self.command("guardduty update-detector --enable --detector-id", self.id)
