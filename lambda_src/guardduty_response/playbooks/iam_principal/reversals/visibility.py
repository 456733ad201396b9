"""Reversals of what blinds: stopped trails, suspended detectors. Both stay on when restored: a
mistaken containment did not take the monitoring away.
"""

from __future__ import annotations

from functools import partial

from botocore.exceptions import ClientError

from guardduty_response.aws.errors import error_code
from guardduty_response.containment.aws_call import AwsCall
from guardduty_response.containment.control import ValueType
from guardduty_response.decision.finding import get
from guardduty_response.playbooks.iam_principal import resource_state
from guardduty_response.playbooks.iam_principal.reversals.changes import Change
from guardduty_response.playbooks.iam_principal.reversals.reversal import (
    MANUAL,
    FieldsType,
    NotReversed,
    Reversal,
    fixed,
    on,
)

TRAILS = "arn:${partition}:cloudtrail:*:${account_id}:trail/*"
DETECTORS = "arn:${partition}:guardduty:*:${account_id}:detector/*"


class Watching(Reversal[FieldsType, ValueType]):
    """What watches, and was switched off. ``stays``: what is told of it when it is on again."""

    stays = ""

    def as_before(self, name: str, before: ValueType, now: ValueType | None) -> bool:
        return bool(now != self.wants)

    def retained(self, name: str, before: ValueType, now: ValueType | None) -> str:
        return self.text(self.stays)

    def state_text(self, name: str, value: ValueType | None) -> str:
        return f"{self.named(name)} is off, as before"


class Trail(Watching[dict[str, bool | None], bool | None]):
    """A stopped trail logs again. The record has ``trail`` and ``logging``."""

    category, what, service = "trails", "trail", "cloudtrail"
    undoes = ("cloudtrail:StopLogging",)
    named_by = fixed(trail="p.name")
    fields = ("logging",)
    wants = True
    title = "trail {trail}"
    done_text = "trail {trail} is logging"
    stays = "trail {trail} was stopped and logs again; it stays on"
    reads = on(TRAILS, "cloudtrail:GetTrailStatus")
    contains = on(TRAILS, "cloudtrail:StartLogging")

    @property
    def arn(self) -> str:
        trail = str(self.record["trail"])
        own = self.own_arn(self.text("cloudtrail:{region}:{account}:trail/{trail}"))
        return trail if trail.startswith("arn:") else own

    def read(self) -> dict[str, bool | None]:
        trail = self.record["trail"]
        if self.arn.split(":")[4] != self.target_context.target.account_id:
            raise NotReversed(MANUAL, f"trail {trail} belongs to another account")
        self.touched = [self.arn]
        found = resource_state.unless_gone(partial(self.client.get_trail_status, Name=trail))
        return {"logging": bool(found["IsLogging"]) if found else None}

    def refuse(self) -> None:
        if self.present["logging"] is not None:
            return
        trail = self.record["trail"]
        again = self.shown(
            "create_trail", IsMultiRegionTrail=True, S3BucketName="BUCKET", Name=trail
        )
        raise NotReversed(MANUAL, f"trail {trail} no longer exists: create it again", again)

    @property
    def contained_as(self) -> str:  # type: ignore[override]
        since = self.event.at[:20]
        return f"trail {{trail}} logging again; it has no log of what happened since {since}"

    def call(self, name: str, value: bool | None) -> AwsCall:
        operation = "start_logging" if value else "stop_logging"
        return AwsCall("cloudtrail", operation, {"Name": self.record["trail"]})


class Detector(Watching[dict[str, str | None], str | None]):
    """A suspended detector is switched on again. The record has ``detector`` and ``status``
    (ENABLED or DISABLED).
    """

    category, what, service = "detectors", "detector", "guardduty"
    undoes = ("guardduty:UpdateDetector",)
    named_by = fixed(detector="p.detectorId")
    fields = ("status",)
    wants = "ENABLED"
    resource = "guardduty:{region}:{account}:detector/{detector}"
    title = "GuardDuty detector {detector}"
    done_text = "GuardDuty detector {detector} is on"
    contained_as = "GuardDuty detector {detector} switched on again"
    stays = "GuardDuty detector {detector} was switched off and is on again; it stays on"
    reads = on(DETECTORS, "guardduty:GetDetector")
    contains = on(DETECTORS, "guardduty:UpdateDetector")

    @classmethod
    def applies(cls, change: Change) -> bool:
        return get(change.parameters, "enable") in (False, "false")

    def read(self) -> dict[str, str | None]:
        self.touched = [self.arn]
        try:
            found = self.client.get_detector(DetectorId=self.record["detector"])
        except ClientError as error:
            # GuardDuty answers BadRequest for a detector that does not exist (any more).
            if error_code(error) != "BadRequestException" or "not owned" not in str(error):
                raise
            return {"status": None}
        return {"status": str(found["Status"])}

    def refuse(self) -> None:
        if self.present["status"] is None:
            again = self.shown("create_detector", Enable=True)
            detector = self.record["detector"]
            text = f"detector {detector} no longer exists: create it again"
            raise NotReversed(MANUAL, text, again)

    def call(self, name: str, value: str | None) -> AwsCall:
        request = {"Enable": value == self.wants, "DetectorId": self.record["detector"]}
        return AwsCall("guardduty", "update_detector", request)
