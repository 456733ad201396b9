"""A new access key for a contained user, stored where its owner alone can read it. It works once
containment is undone.

The secret part of the key goes from IAM's answer into Secrets Manager and nowhere else. What can
fail is done before the key exists (creating the empty secret, naming its readers); a key that could
not be stored is deleted at once.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, cast

from botocore.exceptions import ClientError

from guardduty_response.aws import clients
from guardduty_response.aws.conflicts import retry_on_conflict
from guardduty_response.aws.errors import error_code, is_transient
from guardduty_response.containment.target_context import (
    DONE,
    FAILED,
    SKIPPED,
    TargetContext,
    allow,
    describe_error,
)
from guardduty_response.evidence.items import EvidenceItem, Outcome
from guardduty_response.playbooks.iam_principal import resource_state
from guardduty_response.playbooks.iam_principal.eradicate.records import (
    RotateKeyOption,
    RotationState,
)
from guardduty_response.playbooks.iam_principal.records import AwsAnswer, AwsClient, PolicyDocument
from guardduty_response.playbooks.iam_principal.reversals.changes import command

if TYPE_CHECKING:
    from guardduty_response.incident.model import EvidenceEntry

NAME, ACTION_NAME = "rotation", "rotate_access_key"
USER = "iam_user"
TRIES = 5
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


class RotationResult(NamedTuple):
    """How the rotation ended: ``text`` says it, ``task`` is what a person has to do, or empty."""

    outcome: Outcome
    text: str
    task: str = ""
    answers: Sequence[AwsAnswer] = ()


def run(principal: TargetContext) -> tuple[str, bool]:
    """Rotate the key, once.

    Returns (a sentence, empty where rotation is switched off; whether to try again).
    """
    options = principal.options.get("rotate_key")
    if not options or principal.target.kind != USER:
        return "", False
    entry = dict((principal.stored.get("evidence") or {}).get(NAME) or {})
    stored = cast("EvidenceEntry", entry)
    if stored and stored["outcome"] != Outcome.RUNNING:
        return stored["detail"], False
    rotation = Rotation(principal, options, stored)
    try:
        result = rotation.run()
    except Exception as error:
        tries = int(stored.get("tries") or 0) + 1
        if is_transient(error) and tries <= TRIES:
            rotation.store(Outcome.RUNNING, f"tried again: {describe_error(error)}", tries=tries)
            return "", True
        text = rotation.failure(describe_error(error))
        result = RotationResult(Outcome.FAILED, text, rotation.manual_task())
    rotation.store(result.outcome, result.text, result.task)
    statuses = {Outcome.COMPLETE: DONE, Outcome.SKIPPED: SKIPPED}
    status = statuses.get(result.outcome, FAILED)
    principal.log_action(ACTION_NAME, status, result.text, result.answers)
    return result.text, False


class Rotation:
    """One rotation; its state is a ``RotationState``."""

    def __init__(
        self, principal: TargetContext, options: RotateKeyOption, stored: EvidenceEntry
    ) -> None:
        self.target_context = principal
        self.reader_arns = options["reader_arns"]
        self.entry = stored
        self.state = cast("RotationState", dict(stored.get("state") or {}))
        self.user = principal.id
        self.kms_key = str(options.get("kms_key_id") or "")
        self.region = str(self.state.get("region") or self._default_region())
        # Secrets Manager takes letters, digits and /_+=.@- in names; IAM takes a comma too.
        user = re.sub("[^A-Za-z0-9_+=.@-]", "_", self.user)
        self.name = f"{principal.prefix}/{user}/{principal.context.incident_id}"

    def _default_region(self) -> str:
        """Return the Region of the KMS key, else the response's own Region.

        It is not the finding's Region: an owner looks in a single place.
        """
        if self.kms_key.startswith("arn:"):
            return self.kms_key.split(":")[3]
        return str(clients.client("sts").meta.region_name)

    def store(self, outcome: Outcome, text: str, task: str = "", tries: int = 0) -> None:
        item = EvidenceItem(outcome, text, task=task, state=self.state)
        self.entry = item.store(self.target_context, NAME, self.entry, tries=tries)

    def failure(self, reason: str) -> str:
        return f"the access key of {self.user} was not replaced ({reason})"

    def manual_task(self, surplus_key: str = "") -> str:
        """Say how a person creates the key, after deleting ``surplus_key`` where it is in the
        way.
        """
        create = command("iam create-access-key", "--user-name", self.user)
        if not surplus_key:
            return f"create a new key by hand: {create}"
        delete = command(
            "iam delete-access-key", "--user-name", self.user, "--access-key-id", surplus_key
        )
        return f"create a new key by hand: {delete} && {create}"

    def _failed(self, reason: str, surplus_key: str = "") -> RotationResult:
        task = self.manual_task(surplus_key)
        return RotationResult(Outcome.FAILED, self.failure(reason), task)

    def run(self) -> RotationResult:
        if "Active" not in (self.target_context.before_state("access_keys") or {}).values():
            text = f"user {self.user} had no active access key: none is created"
            return RotationResult(Outcome.SKIPPED, text)
        iam = self.target_context.open_session(allow(("iam:GetUser", "iam:ListAccessKeys"))).client(
            "iam"
        )
        user = resource_state.identity(iam, "user", self.user)
        keys = resource_state.keys(iam, self.user)
        if user is None or keys is None:
            text = f"user {self.user} no longer exists: there is no key to replace"
            return RotationResult(Outcome.SKIPPED, text)
        created = sorted(set(keys) - set(self.state.get("keys", keys)))
        if created:
            return self._recover(user["arn"], created)
        if len(keys) > 1:
            return self._failed("it has two, which is all that IAM allows", min(keys))
        if unable := self._unable_readers():
            account_id = self.target_context.target.account_id
            return self._failed(
                f"{', '.join(unable)} could never read it: of another account than {account_id}."
                f" {CROSS_ACCOUNT}"
            )
        self._prepare_secret()
        self.state = {"keys": sorted(keys), "secret": self.name, "region": self.region}
        self.store(Outcome.RUNNING, "a new access key is being created")
        return self._create(user["arn"])

    def _recover(self, user_arn: str, created: list[str]) -> RotationResult:
        """Go on after an attempt that created keys and ended before it reported."""
        if len(created) == 1 and self._has_value():
            return self._stored(created[0])
        return self._lost(user_arn, created)

    def _unable_readers(self) -> list[str]:
        """Return the readers of another account that could not read the secret.

        They need a customer managed key, and a principal that the policy can name.
        """
        account_id = self.target_context.target.account_id
        customer_managed = bool(self.kms_key) and not self.kms_key.endswith(
            "alias/aws/secretsmanager"
        )
        foreign = [reader for reader in self.reader_arns if reader.split(":")[4] != account_id]
        return sorted(reader for reader in foreign if not customer_managed or _is_pattern(reader))

    # -- the secret --------------------------------------------------------------------------------

    def _secrets(self) -> AwsClient:
        partition = self.target_context.context.config.partition
        account_id = self.target_context.target.account_id
        arn = f"arn:{partition}:secretsmanager:{self.region}:{account_id}:secret:{self.name}-??????"
        statements = [allow(SECRET, arn)]
        if self.kms_key:
            service = f"secretsmanager.{self.region}.amazonaws.com"
            statements.append(allow(THROUGH_KMS, **{"kms:ViaService": service}))
        return self.target_context.open_session(*statements).client("secretsmanager", self.region)

    def _has_value(self) -> bool:
        client = self._secrets()
        found = resource_state.unless_gone(lambda: client.describe_secret(SecretId=self.name))
        return bool(found and found.get("VersionIdsToStages"))

    def _prepare_secret(self) -> None:
        """Create the secret, empty, and name its readers before there is anything to read."""
        client = self._secrets()
        if not resource_state.unless_gone(lambda: client.describe_secret(SecretId=self.name)):
            self._create_secret(client)
        document = json.dumps(readers_policy(self.reader_arns))
        client.put_resource_policy(
            SecretId=self.name, ResourcePolicy=document, BlockPublicPolicy=True
        )

    def _create_secret(self, client: AwsClient) -> None:
        prefix = self.target_context.prefix
        incident_id = self.target_context.context.incident_id
        key = {"KmsKeyId": self.kms_key} if self.kms_key else {}
        client.create_secret(
            Name=self.name,
            Tags=[
                {"Key": prefix, "Value": "access-key"},
                {"Key": f"{prefix}-incident", "Value": incident_id},
            ],
            Description=f"New access key of IAM user {self.user}, from incident {incident_id}",
            **key,
        )

    # -- the key -----------------------------------------------------------------------------------

    def _create(self, user_arn: str) -> RotationResult:
        iam = self.target_context.open_session(allow(KEYS, user_arn)).client("iam")
        created = retry_on_conflict(partial(iam.create_access_key, UserName=self.user))
        key = created["AccessKey"]
        key_id = key["AccessKeyId"]
        value = {"access_key_id": key_id, "secret_access_key": key["SecretAccessKey"]}
        try:
            stored = self._secrets().put_secret_value(
                SecretId=self.name, SecretString=json.dumps(value)
            )
        except Exception as error:
            # Transient errors too: the only copy of the secret part is in this call.
            outcome = self._take_back(iam, key_id)
            return self._failed(
                f"the new key, {key_id}, could not be stored: {_code(error)}; {outcome}"
            )
        return self._stored(key_id, created, stored)

    def _stored(self, key_id: str, *answers: AwsAnswer) -> RotationResult:
        self.state["key"] = key_id
        text = (
            f"new access key {key_id} of {self.user} is in secret {self.name} ({self.region}),"
            f" readable by {', '.join(self.reader_arns)}. It can do nothing while the user is"
            " denied everything"
        )
        return RotationResult(Outcome.COMPLETE, text, "", answers)

    def _take_back(self, iam: AwsClient, key_id: str) -> str:
        """Delete the key, or else make it inactive; say what became of it."""
        try:
            retry_on_conflict(
                partial(iam.delete_access_key, UserName=self.user, AccessKeyId=key_id)
            )
            return "it was deleted"
        except Exception as error:
            code = _code(error)
        try:
            iam.update_access_key(UserName=self.user, AccessKeyId=key_id, Status="Inactive")
            return f"it is inactive, deleting it failed ({code})"
        except Exception:
            return (
                f"it could neither be deleted ({code}) nor made inactive; its secret part was"
                " kept nowhere"
            )

    def _lost(self, user_arn: str, key_ids: list[str]) -> RotationResult:
        """Make keys inactive that an attempt created and did not store.

        Nobody knows their secret part, so nobody misses them.
        """
        iam = self.target_context.open_session(allow(KEYS[1:2], user_arn)).client("iam")
        answers = [
            iam.update_access_key(UserName=self.user, AccessKeyId=key_id, Status="Inactive")
            for key_id in key_ids
        ]
        result = self._failed(
            f"{', '.join(key_ids)} was created meanwhile and is in no secret: made inactive",
            key_ids[0],
        )
        return result._replace(answers=answers)


def _is_pattern(arn: str) -> bool:
    return bool(set(arn) & set("*?"))


def _code(error: Exception) -> str:
    """Return the error's code alone: its text may show what was sent."""
    return error_code(error) if isinstance(error, ClientError) else type(error).__name__


def readers_policy(readers: list[str]) -> PolicyDocument:
    """Return the policy by which these readers alone read the secret, whatever IAM allows others.

    Only reading is denied to others. The account's own policies decide who may delete the secret or
    change this policy: a reader that no longer exists locks nobody out, and CloudTrail shows these
    calls. The response itself cannot read it either. A pattern (``role/app-*``) cannot be a
    principal: whoever matches it reads by its own policies.
    """
    read = ["secretsmanager:GetSecretValue", "secretsmanager:BatchGetSecretValue"]
    named = [reader for reader in readers if not _is_pattern(reader)]
    allowed: dict[str, object] = {
        "Sid": "Readers",
        "Effect": "Allow",
        "Principal": {"AWS": named},
        "Action": read[0],
        "Resource": "*",
    }
    denied: dict[str, object] = {
        "Sid": "NobodyElse",
        "Effect": "Deny",
        "Principal": "*",
        "Action": read,
        "Resource": "*",
        "Condition": {"ArnNotLike": {"aws:PrincipalArn": readers}},
    }
    return {"Version": "2012-10-17", "Statement": [allowed, denied] if named else [denied]}
