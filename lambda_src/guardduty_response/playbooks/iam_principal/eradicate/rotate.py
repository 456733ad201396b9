"""A new access key for a contained user, put where its owner alone can read it. It works once the
user is let out again.

The secret part of the key goes from IAM's answer into Secrets Manager and nowhere else. What can
fail is done before there is a key (the secret, empty, and who may read it); a key that could not be
stored is deleted at once.
"""

from __future__ import annotations

import json
import re
from typing import Any

from botocore.exceptions import ClientError

from guardduty_response.aws import clients
from guardduty_response.aws.errors import error_code, is_transient
from guardduty_response.containment.target_context import (
    DONE,
    FAILED,
    SKIPPED,
    Json,
    TargetContext,
    allow,
    describe_error,
)
from guardduty_response.evidence.items import Outcome
from guardduty_response.incident.repository import now
from guardduty_response.playbooks.iam_principal import resource_state
from guardduty_response.playbooks.iam_principal.eradicate.changes import command

NAME, LINE, USER, TRIES = "rotation", "rotate_access_key", "iam_user", 5
SECRET = (
    "secretsmanager:CreateSecret",
    "secretsmanager:TagResource",
    "secretsmanager:PutResourcePolicy",
    "secretsmanager:DescribeSecret",
    "secretsmanager:PutSecretValue",
)
KEYS = ("iam:CreateAccessKey", "iam:UpdateAccessKey", "iam:DeleteAccessKey")
CROSS_ACCOUNT = (
    "rotate_key.kms_key_id must be a customer managed key whose policy lets them and that account"
    " use it (aws/secretsmanager is its own account's alone), and reader_arns must name them whole"
)
THROUGH_KMS = ("kms:GenerateDataKey", "kms:Decrypt")
Ended = tuple[Outcome, str, str, list[Json]]  # outcome, sentence, what is left to do, answers


def run(principal: TargetContext) -> tuple[str, bool]:
    """Rotates, once: how it stands in a sentence, empty where it is switched off, and whether to
    ask again.
    """
    options = principal.options.get("rotate_key")
    if not options or principal.target.kind != USER:
        return "", False
    before = dict((principal.stored.get("evidence") or {}).get(NAME) or {})
    if before and before["outcome"] != Outcome.RUNNING:
        return str(before["detail"]), False
    rotation = Rotation(principal, options, before)
    try:
        outcome, text, task, answers = rotation.run()
    except Exception as error:
        tries = int(before.get("tries") or 0) + 1
        if is_transient(error) and tries <= TRIES:
            rotation.keep(Outcome.RUNNING, f"asked again: {describe_error(error)}", tries=tries)
            return "", True
        outcome, text, task, answers = (
            Outcome.FAILED,
            rotation.failed(describe_error(error)),
            rotation.by_hand(),
            [],
        )
    rotation.keep(outcome, text, task)
    principal.log_action(
        LINE, {Outcome.COMPLETE: DONE, Outcome.SKIPPED: SKIPPED}.get(outcome, FAILED), text, answers
    )
    return text, False


class Rotation:
    """State: ``keys``: the user's before a new one was made; ``secret``: its name; ``region``: of
    the secret; ``key``: the new one, once it is stored.
    """

    def __init__(self, principal: TargetContext, options: Json, before: Json) -> None:
        self.target_context, self.options, self.since = (
            principal,
            options,
            before.get("since") or now(),
        )
        self.state: Json = dict(before.get("state") or {})
        self.user, self.key = principal.id, str(options.get("kms_key_id") or "")
        # Where its key is; else in the response's own Region, not the finding's: an owner looks in
        # one place.
        there = (
            self.key.split(":")[3]
            if self.key.startswith("arn:")
            else clients.client("sts").meta.region_name
        )
        self.region = str(self.state.get("region") or there)
        # Secrets Manager takes letters, digits and /_+=.@- in names; IAM takes a comma too.
        self.name = (
            f"{principal.prefix}/{re.sub('[^A-Za-z0-9_+=.@-]', '_', self.user)}/"
            f"{principal.context.incident_id}"
        )

    def keep(self, outcome: Outcome, text: str, task: str = "", tries: int = 0) -> None:
        entry: Json = {
            "outcome": outcome,
            "detail": text,
            "objects": [],
            "task": task,
            "state": self.state,
            "request_ids": [],
            "tries": tries,
            "since": self.since,
            "at": now(),
        }
        self.target_context.record_evidence(NAME, entry)
        self.target_context.stored["evidence"][NAME] = entry

    def failed(self, reason: str) -> str:
        return f"the access key of {self.user} was not made anew ({reason})"

    def by_hand(self, old: list[str] | None = None) -> str:
        make = command("iam create-access-key", "--user-name", self.user)
        if not old:
            return f"make it anew by hand: {make}"
        delete = command(
            "iam delete-access-key", "--user-name", self.user, "--access-key-id", old[0]
        )
        return f"make it anew by hand: {delete} && {make}"

    def run(self) -> Ended:
        if "Active" not in (self.target_context.before_state("access_keys") or {}).values():
            return (
                Outcome.SKIPPED,
                f"user {self.user} had no active access key: none is made anew",
                "",
                [],
            )
        iam = self.target_context.open_session(allow(("iam:GetUser", "iam:ListAccessKeys"))).client(
            "iam"
        )
        found, keys = (
            resource_state.identity(iam, "user", self.user),
            resource_state.keys(iam, self.user),
        )
        if found is None or keys is None:
            return (
                Outcome.SKIPPED,
                f"user {self.user} no longer exists: there is no key to make anew",
                "",
                [],
            )
        if lost := sorted(set(keys) - set(self.state.get("keys", keys))):
            return (
                self._stored(lost[0])
                if len(lost) == 1 and self._filled()
                else self._lost(found["arn"], lost)
            )
        if len(keys) > 1:
            return (
                Outcome.FAILED,
                self.failed("it has two, which is all that IAM allows"),
                self.by_hand(sorted(keys)),
                [],
            )
        if barred := self._barred():
            text = (
                f"{', '.join(barred)} could never read it: of another account than"
                f" {self.target_context.target.account_id}. {CROSS_ACCOUNT}"
            )
            return Outcome.FAILED, self.failed(text), self.by_hand(), []
        self._secret()
        self.state = {"keys": sorted(keys), "secret": self.name, "region": self.region}
        self.keep(Outcome.RUNNING, "a new access key is being made")
        return self._make(found["arn"])

    def _barred(self) -> list[str]:
        """Readers of another account, where it takes a customer managed key, and a principal
        that the policy can name.
        """
        own = self.target_context.target.account_id
        shared = bool(self.key) and not self.key.endswith("alias/aws/secretsmanager")
        readers = [one for one in self.options["reader_arns"] if one.split(":")[4] != own]
        return sorted(one for one in readers if not shared or set(one) & set("*?"))

    # -- the secret --------------------------------------------------------------------------------

    def _secrets(self) -> Any:
        region, account = self.region, self.target_context.target.account_id
        arn = (
            f"arn:{self.target_context.context.config.partition}:secretsmanager:{region}:"
            f"{account}:secret:"
            f"{self.name}-??????"
        )
        statements = [allow(SECRET, arn)]
        if self.key:
            statements.append(
                allow(THROUGH_KMS, **{"kms:ViaService": f"secretsmanager.{region}.amazonaws.com"})
            )
        return self.target_context.open_session(*statements).client("secretsmanager", region)

    def _filled(self) -> bool:
        found = resource_state.there(lambda: self._secrets().describe_secret(SecretId=self.name))
        return bool(found and found.get("VersionIdsToStages"))

    def _secret(self) -> None:
        """It is empty, and its readers are named, before there is anything to read."""
        client = self._secrets()
        if not resource_state.there(lambda: client.describe_secret(SecretId=self.name)):
            incident = {
                "Key": f"{self.target_context.prefix}-incident",
                "Value": self.target_context.context.incident_id,
            }
            key = {"KmsKeyId": self.key} if self.key else {}
            client.create_secret(
                Name=self.name,
                Tags=[{"Key": self.target_context.prefix, "Value": "access-key"}, incident],
                **key,
                Description=(
                    f"New access key of IAM user {self.user}, from incident"
                    f" {self.target_context.context.incident_id}"
                ),
            )
        document = json.dumps(readers_policy(self.options["reader_arns"]))
        client.put_resource_policy(
            SecretId=self.name, ResourcePolicy=document, BlockPublicPolicy=True
        )

    # -- the key -----------------------------------------------------------------------------------

    def _make(self, user_arn: str) -> Ended:
        iam = self.target_context.open_session(allow(KEYS, user_arn)).client("iam")
        made = iam.create_access_key(UserName=self.user)
        key = made["AccessKey"]
        try:
            value = json.dumps(
                {"access_key_id": key["AccessKeyId"], "secret_access_key": key["SecretAccessKey"]}
            )
            stored = self._secrets().put_secret_value(SecretId=self.name, SecretString=value)
        except Exception as error:
            # also what would pass: the only copy of the secret part is in this call
            gone = self._take_back(iam, key["AccessKeyId"])
            text = self.failed(
                f"the new one, {key['AccessKeyId']}, could not be stored: {_code(error)}; {gone}"
            )
            return Outcome.FAILED, text, self.by_hand(), []
        return self._stored(key["AccessKeyId"], made, stored)

    def _stored(self, key: str, *answers: Json) -> Ended:
        self.state |= {"key": key}
        where = f"{self.name} ({self.region})"
        text = (
            f"new access key {key} of {self.user} is in secret {where}, readable by"
            f" {', '.join(self.options['reader_arns'])}. It can do nothing while the user is denied"
            " everything"
        )
        return Outcome.COMPLETE, text, "", list(answers)

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
            return (
                f"it could neither be deleted ({failed}) nor made inactive; its secret part was"
                " kept nowhere"
            )

    def _lost(self, arn: str, keys: list[str]) -> Ended:
        """An attempt ended between making a key and storing it: nobody knows its secret part, so
        nobody misses it.
        """
        iam = self.target_context.open_session(allow(KEYS[1:2], arn)).client("iam")
        answers = [
            iam.update_access_key(UserName=self.user, AccessKeyId=key, Status="Inactive")
            for key in keys
        ]
        text = self.failed(
            f"{', '.join(keys)} was made meanwhile and is in no secret: made inactive"
        )
        return Outcome.FAILED, text, self.by_hand(keys), answers


def _code(error: Exception) -> str:
    """The error's kind alone: its text may show what was sent."""
    return error_code(error) if isinstance(error, ClientError) else type(error).__name__


def readers_policy(readers: list[str]) -> Json:
    """Who may read the secret: these and nobody else, whatever IAM allows others in the account.

    Reading alone is denied to others. Who may delete the secret or change this policy is left to
    the account's own policies: a reader that no longer exists locks nobody out, and CloudTrail
    shows these calls. The response itself cannot read it either. A pattern (``role/app-*``) cannot
    be a principal: whoever matches it reads by its own policies.
    """
    read = ["secretsmanager:GetSecretValue", "secretsmanager:BatchGetSecretValue"]
    named = [one for one in readers if "*" not in one and "?" not in one]
    allowed: Json = {
        "Sid": "Readers",
        "Effect": "Allow",
        "Principal": {"AWS": named},
        "Action": read[0],
        "Resource": "*",
    }
    denied: Json = {
        "Sid": "NobodyElse",
        "Effect": "Deny",
        "Principal": "*",
        "Action": read,
        "Resource": "*",
        "Condition": {"ArnNotLike": {"aws:PrincipalArn": readers}},
    }
    return {"Version": "2012-10-17", "Statement": [allowed, denied] if named else [denied]}
