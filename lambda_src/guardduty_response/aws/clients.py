"""botocore clients: lazily made, cached, and, for a member account, signed with a narrowed session.

botocore instead of boto3, and its data trimmed to what is used (``models/``), halve the cold start
(benchmarks/README.md).
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from copy import copy
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import botocore.loaders
import botocore.session
from botocore.config import Config as ClientConfig
from botocore.credentials import Credentials, ReadOnlyCredentials
from botocore.exceptions import BotoCoreError, ClientError

from guardduty_response import __version__
from guardduty_response.aws.errors import error_code, is_transient
from guardduty_response.errors import RoleUnavailable, SessionPolicyTooLarge

if TYPE_CHECKING:
    from botocore.session import Session as BotocoreSession

    from guardduty_response.aws.api import AwsAnswer, AwsClient, PolicyDocument

# A call that hangs at every attempt must end before the shortest time-out of a function (60 s), so
# that the function itself says what hung: four attempts of at most 2 + 10 s, and between them at
# most 1, 2 and 4 s (standard mode), are 55 s. What answers more slowly is polled for.
ATTEMPTS, CONNECT_SECONDS, READ_SECONDS = 4, 2, 10
_CONFIG = ClientConfig(
    retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
    connect_timeout=CONNECT_SECONDS,
    read_timeout=READ_SECONDS,
    max_pool_connections=32,
    user_agent_extra=f"guardduty-response/{__version__}",
)
# A message that cannot be sent waits in the outbox, so a function waits for it half as long.
_SNS_CONFIG = _CONFIG.merge(ClientConfig(retries={"mode": "standard", "total_max_attempts": 2}))
# A check that hangs is repeated minutes later, and two reads must fit into a function's 120 s:
# three attempts of at most 2 + 5 s, and between them at most 1 and 2 s, are 24 s.
CHECK_CONFIG = _CONFIG.merge(
    ClientConfig(retries={"mode": "standard", "total_max_attempts": 3}, read_timeout=5)
)
_MODELS = Path(__file__).with_name("models")
_LOCK = threading.RLock()  # botocore sessions are not safe to build clients from in parallel
POOL = ThreadPoolExecutor(max_workers=32, thread_name_prefix="aws")
# Calls on POOL wait for the AssumeRole call of a session that was refused and is asked for again,
# so these have threads of their own.
ASSUMING = ThreadPoolExecutor(max_workers=32, thread_name_prefix="assume")

# Answers of an STS endpoint whose Region the role's account has not enabled or whose endpoint it
# deactivated, and of one whose Region the asking account has not enabled (AWS STS API reference,
# AssumeRole; IAM User Guide, "Manage AWS STS in a Region").
_REGION_OFF = frozenset({"RegionDisabledException", "InvalidClientTokenId"})
# The session policy is within its 2,048 characters, and too large as AWS packs it: AWS does not say
# how (AWS STS API reference, AssumeRole).
_PACKED = "PackedPolicyTooLarge"


class Loader(botocore.loaders.Loader):
    """Loads botocore's data, the trimmed files of ``models/`` first.

    Two things cost a cold start 35 ms: looking for a model in the folders of all 400 services, and
    parsing the endpoints of all of them.
    """

    @botocore.loaders.instance_cache
    def list_available_services(self, type_name: str) -> list[str]:
        """Returns the services that have a folder, whatever is in it: what is not there is said
        when it is loaded (botocore's DataNotFoundError).
        """
        folders = filter(os.path.isdir, self.search_paths)
        names = map(os.listdir, folders)
        return sorted({name for found in names for name in found})

    def is_builtin_path(self, path: str) -> bool:
        """Tells whether the endpoints are botocore's: the trimmed ones are, so its rules count."""
        return path.startswith(str(_MODELS)) or bool(super().is_builtin_path(path))


@lru_cache(maxsize=1)
def _loader() -> Loader:
    """One for all sessions: service models are parsed once a container, not once a role session
    (0.1 s each).
    """
    # botocore reads it with a session, which takes 5 ms to make, for a file that no function has
    named = os.environ.get("AWS_DATA_PATH", "")
    paths = [str(Path(path).expanduser()) for path in named.split(os.pathsep) if path]
    return Loader(extra_search_paths=[str(_MODELS), *paths])


@lru_cache(maxsize=1)
def _own() -> BotocoreSession:
    session = botocore.session.Session()
    session.register_component("data_loader", _loader())
    return session


@lru_cache(maxsize=32)
def client(service: str, region: str | None = None) -> AwsClient:
    """A client with the function's own credentials, in the function's own Region unless another
    is named.
    """
    config = _SNS_CONFIG if service == "sns" else _CONFIG
    with _LOCK:
        return _own().create_client(service, region_name=region, config=config)


class _Pending(Credentials):
    """Credentials whose AssumeRole call is still under way: clients can be built meanwhile,
    signing waits.
    """

    def __init__(
        self, future: Future[ReadOnlyCredentials], permit: Callable[[], None] | None = None
    ) -> None:
        super().__init__("pending", "pending")
        self._future, self._permit = future, permit

    def get_frozen_credentials(self) -> ReadOnlyCredentials:
        credentials = self._future.result()
        if self._permit:
            self._permit()
        return credentials


class Session:
    """A role session in another account, limited by a session policy.

    ``policy``: an IAM policy document, at most 2,048 characters as JSON (AWS STS AssumeRole). The
    call starts at once in the background; the first use of a client raises RoleUnavailable if the
    role cannot be assumed, or the botocore error itself when asking again may help.
    ``permit``: called before each request is signed; what it raises, the request raises.
    ``config``: time-outs and attempts of its clients.
    """

    def __init__(
        self,
        role_arn: str,
        name: str,
        region: str,
        policy: PolicyDocument,
        permit: Callable[[], None] | None = None,
        config: ClientConfig = _CONFIG,
    ) -> None:
        self._config = config
        self.role_arn, self.region, self._permit = role_arn, region, permit
        document = json.dumps(policy, separators=(",", ":"))
        self._future: Future[ReadOnlyCredentials] = ASSUMING.submit(
            _assume, role_arn, name, document, region
        )
        self._session: BotocoreSession | None = None
        self._clients: dict[tuple[str, str], AwsClient] = {}

    def wait(self) -> None:
        """Waits until the role is assumed. Raises RoleUnavailable, or the botocore error itself
        when asking again may help.
        """
        self._future.result()

    def too_large(self) -> bool:
        """Tells, once AWS STS has answered, whether its session policy is too large as AWS packs
        it.
        """
        return isinstance(self._future.exception(), SessionPolicyTooLarge)

    def failed_in_passing(self) -> bool:
        """Tells whether the role could not be assumed, and asking again may help."""
        error = self._future.exception() if self._future.done() else None
        return error is not None and not isinstance(error, RoleUnavailable)

    def client(self, service: str, region: str = "") -> AwsClient:
        """A client in the session's Region, or in another one."""
        key = service, region or self.region
        with _LOCK:
            if key not in self._clients:
                if self._session is None:
                    # A new session would set its handlers up again, for 10 ms and more each. The
                    # credentials are all that differs, and botocore takes them by this attribute
                    self._session = copy(_own())
                    self._session._credentials = _Pending(  # type: ignore[attr-defined]
                        self._future, self._permit
                    )
                self._clients[key] = self._session.create_client(
                    service, region_name=key[1], config=self._config
                )
            return self._clients[key]


def _assume(role_arn: str, name: str, policy: str, region: str) -> ReadOnlyCredentials:
    """Asks STS of the function's own Region, and of ``region`` where the first is not in use in one
    of the two accounts.

    ``region`` is where the resource is, so both accounts use it; sessions of any Regional endpoint
    work in every Region.
    """
    account, own = role_arn.split(":")[4], client("sts")
    refused: list[str] = []
    for place in dict.fromkeys((own.meta.region_name, region)):
        sts = client("sts", place) if refused else own
        try:
            got = sts.assume_role(
                RoleArn=role_arn, RoleSessionName=name[:64], Policy=policy, DurationSeconds=900
            )
        except (ClientError, BotoCoreError) as error:
            if is_transient(error):
                raise
            if error_code(error).removesuffix("Exception") == _PACKED:
                raise SessionPolicyTooLarge(
                    f"cannot assume {role_arn} in account {account} ({error}). The role is there:"
                    f" AWS STS does not take the session policy, of {len(policy)} characters, that"
                    " narrows it to this resource. Nothing that you deploy changes that: contain"
                    " the resource by hand (runbook), and report it as a bug of this module."
                ) from error
            if error_code(error) not in _REGION_OFF:
                raise RoleUnavailable(
                    f"cannot assume {role_arn} in account {account} ({error}). Deploy"
                    " modules/responder-role there with this deployment's output"
                    " for_member_accounts, and check that the role's trust names this"
                    " deployment's function role."
                ) from error
            refused.append(f"{place} ({error_code(error)})")
        else:
            keys = got["Credentials"]
            return ReadOnlyCredentials(
                keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"]
            )
    raise RoleUnavailable(
        f"cannot assume {role_arn}: account {account} or this one does not use AWS STS in"
        f" {' nor in '.join(refused)}. Whether the role is there was not looked at. In account"
        f" {account}, enable one of these Regions, or activate its STS endpoint (IAM console,"
        " Account settings)."
    )


def request_id(response: AwsAnswer) -> str:
    return str(response.get("ResponseMetadata", {}).get("RequestId", ""))


def execution_ended(arn: str) -> bool:
    """Whether a state machine's execution no longer runs; False when that cannot be read (its
    lease then runs out).
    """
    try:
        return (
            str(client("stepfunctions").describe_execution(executionArn=arn)["status"]) != "RUNNING"
        )
    except ClientError:
        return False
