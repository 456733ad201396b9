"""A new access key for a contained user, put where its owner alone can read it. It works once the user is let out again.

The secret part of the key goes from IAM's answer into Secrets Manager and nowhere else. What can fail is done before there is a
key (the secret, empty, and who may read it); a key that could not be stored is deleted at once.
"""

from __future__ import annotations

import json
import re
from typing import Any

from botocore.exceptions import ClientError

from guardduty_response import aws
from guardduty_response.playbooks.common.part import Outcome
from guardduty_response.playbooks.common.work import DONE, FAILED, SKIPPED, Json, Work, allow, why
from guardduty_response.playbooks.iam_principal import present
from guardduty_response.playbooks.iam_principal.remediate.changes import command
from guardduty_response.record import now

NAME, LINE = "rotation", "rotate_access_key"
USER = "iam_user"
SECRET = ("secretsmanager:CreateSecret", "secretsmanager:TagResource", "secretsmanager:PutResourcePolicy",
          "secretsmanager:DescribeSecret", "secretsmanager:PutSecretValue")  # fmt: skip
THROUGH_KMS = ("kms:GenerateDataKey", "kms:Decrypt")


def run(work: Work) -> str:
    """Rotates, once; returns how it stands in a sentence, empty where it is switched off. Raises what is transient."""
    options = work.options.get("rotate_key")
    if not options or work.target.kind != USER:
        return ""
    before = dict((work.kept.get("evidence") or {}).get(NAME) or {})
    if before and before["outcome"] != Outcome.RUNNING:
        return str(before["detail"])
    outcome, text, task, state, answers = Rotation(work, options, before.get("state") or {}).run()
    _keep(work, before, outcome, text, task, state)
    work.did(LINE, {Outcome.COMPLETE: DONE, Outcome.SKIPPED: SKIPPED}.get(outcome, FAILED), text, answers)
    return text


def _keep(work: Work, before: Json, outcome: Outcome, text: str, task: str, state: Json) -> None:
    entry: Json = {"outcome": outcome, "detail": text, "objects": [], "task": task, "state": state, "request_ids": [],
                   "tries": 0, "since": before.get("since") or now(), "at": now()}  # fmt: skip
    work.keep(NAME, entry)
    work.kept["evidence"][NAME] = entry


Ended = tuple[Outcome, str, str, Json, list[Json]]  # outcome, sentence, what is left to do, state, answers


class Rotation:
    def __init__(self, work: Work, options: Json, state: Json) -> None:
        self.work, self.options, self.state = work, options, state
        self.user = work.id
        # Secrets Manager takes letters, digits and /_+=.@- in names; IAM takes a comma too.
        self.name = f"{work.prefix}/{re.sub('[^A-Za-z0-9_+=.@-]', '_', self.user)}/{work.ctx.incident_id}"

    def run(self) -> Ended:
        had = self.work.had("access_keys") or {}
        if "Active" not in had.values():
            return self._ended(Outcome.SKIPPED, f"user {self.user} had no active access key: none is made anew")
        try:
            return self._rotate()
        except Exception as error:
            if aws.transient(error):
                raise
            return self._ended(Outcome.FAILED, f"the access key of {self.user} was not made anew ({why(error)})", self._by_hand())

    def _rotate(self) -> Ended:
        iam = self.work.open(allow(("iam:GetUser", "iam:ListAccessKeys"), "*")).client("iam")
        found = present.identity(iam, "user", self.user)
        keys = present.keys(iam, self.user)
        if found is None or keys is None:
            return self._ended(Outcome.SKIPPED, f"user {self.user} no longer exists: there is no key to make anew")
        arn = str(found["arn"])
        if lost := sorted(set(keys) - set(self.state.get("keys", keys))):
            return self._lost(arn, lost)
        if len(keys) > 1:
            return self._ended(Outcome.FAILED, f"user {self.user} has two access keys, which is all IAM allows: none was made anew",
                               self._by_hand(sorted(keys)))  # fmt: skip
        secret = self._secret()
        self.state = {"keys": sorted(keys), "secret": self.name, "arn": secret}
        _keep(self.work, {}, Outcome.RUNNING, "a new access key is being made", "", self.state)
        return self._make(arn, secret)

    def _secret(self) -> str:
        """The secret's ARN: it is empty, and its readers are named, before there is anything to read."""
        client = self._secrets()
        found = present.there(lambda: client.describe_secret(SecretId=self.name))
        if not found:
            incident = {"Key": f"{self.work.prefix}-incident", "Value": self.work.ctx.incident_id}
            key = {"KmsKeyId": self.options["kms_key_id"]} if self.options.get("kms_key_id") else {}
            found = client.create_secret(
                Name=self.name, Tags=[{"Key": self.work.prefix, "Value": "access-key"}, incident], **key,
                Description=f"New access key of IAM user {self.user}, made when incident {self.work.ctx.incident_id} took its old ones",
            )  # fmt: skip
        document = json.dumps(readers_policy(self.options["reader_arns"]))
        client.put_resource_policy(SecretId=self.name, ResourcePolicy=document, BlockPublicPolicy=True)
        return str(found["ARN"])

    def _make(self, user_arn: str, secret_arn: str) -> Ended:
        iam = self.work.open(allow(("iam:CreateAccessKey", "iam:UpdateAccessKey", "iam:DeleteAccessKey"), user_arn)).client("iam")
        made = iam.create_access_key(UserName=self.user)
        key = made["AccessKey"]
        try:
            value = json.dumps({"access_key_id": key["AccessKeyId"], "secret_access_key": key["SecretAccessKey"]})
            stored = self._secrets().put_secret_value(SecretId=self.name, SecretString=value)
        except Exception as error:  # whatever it is, transient or not: the only copy of the secret part is in this function
            gone = self._take_back(iam, key["AccessKeyId"])
            text = f"the new access key {key['AccessKeyId']} of {self.user} could not be stored ({_code(error)}): {gone}"
            return self._ended(Outcome.FAILED, text, self._by_hand())
        self.state |= {"key": key["AccessKeyId"]}
        text = (f"new access key {key['AccessKeyId']} of {self.user} is in secret {self.name} ({self.work.target.region}), readable "
                f"by {', '.join(self.options['reader_arns'])}. It can do nothing while everything is denied to the user")  # fmt: skip
        return self._ended(Outcome.COMPLETE, text, answers=[made, stored])

    def _take_back(self, iam: Any, key: str) -> str:
        try:
            iam.delete_access_key(UserName=self.user, AccessKeyId=key)
            return "it was deleted"
        except Exception as error:
            failed = _code(error)
        try:
            iam.update_access_key(UserName=self.user, AccessKeyId=key, Status="Inactive")
            return f"it is inactive, deleting it failed ({failed})"
        except Exception:
            return f"it could neither be deleted ({failed}) nor made inactive. Its secret part was kept nowhere"

    def _lost(self, arn: str, keys: list[str]) -> Ended:
        """An attempt ended between making a key and storing it: nobody knows its secret part, so nobody misses it."""
        iam = self.work.open(allow(("iam:UpdateAccessKey",), arn)).client("iam")
        answers = [iam.update_access_key(UserName=self.user, AccessKeyId=key, Status="Inactive") for key in keys]
        text = f"access key {', '.join(keys)} of {self.user} appeared while one was being made anew, and is in no secret: made inactive"
        return self._ended(Outcome.FAILED, text, self._by_hand(keys), answers)

    def _secrets(self) -> Any:
        region, account = self.work.target.region, self.work.target.account_id
        arn = f"arn:{self.work.ctx.config.partition}:secretsmanager:{region}:{account}:secret:{self.name}-??????"
        statements = [allow(SECRET, arn)]
        if self.options.get("kms_key_id"):
            through = {"kms:ViaService": f"secretsmanager.{region}.amazonaws.com"}
            statements.append(allow(THROUGH_KMS, "*", **through))
        return self.work.open(*statements).client("secretsmanager")

    def _by_hand(self, old: list[str] | None = None) -> str:
        first = (
            f"{command('iam delete-access-key', '--user-name', self.user, '--access-key-id', (old or ['KEY'])[0])}, then "
            * bool(old)
        )
        return f"make it anew by hand: {first}{command('iam create-access-key', '--user-name', self.user)}"

    def _ended(self, outcome: Outcome, text: str, task: str = "", answers: list[Json] | None = None) -> Ended:
        return outcome, text, task, self.state, answers or []


def _code(error: Exception) -> str:
    """The error's kind alone: its text may show what was sent."""
    return aws.code(error) if isinstance(error, ClientError) else type(error).__name__


def readers_policy(readers: list[str]) -> Json:
    """Who may read the secret: these and nobody else, whatever IAM allows others in the account.

    Reading alone is denied to others. Who may delete the secret or change this policy is left to the account's own policies, so that
    nobody is locked out by a reader that no longer exists; each of these calls is one that CloudTrail shows.
    """
    read = ["secretsmanager:GetSecretValue", "secretsmanager:BatchGetSecretValue"]
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Sid": "Readers", "Effect": "Allow", "Principal": {"AWS": readers}, "Action": "secretsmanager:GetSecretValue",
             "Resource": "*"},
            {"Sid": "NobodyElse", "Effect": "Deny", "Principal": "*", "Action": read, "Resource": "*",
             "Condition": {"ArnNotEquals": {"aws:PrincipalArn": readers}}},
        ],
    }  # fmt: skip
