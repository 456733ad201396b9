"""boto3 clients for the sandbox's accounts."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from typing import Any

import boto3
import botocore.session
from botocore.config import Config
from botocore.loaders import Loader, create_loader

from . import settings


@dataclass(frozen=True)
class Aws:
    """The local AWS: one endpoint for every service, Region and account."""

    endpoint: str
    region: str = settings.REGION

    def client(
        self,
        service: str,
        account: str = settings.MEMBER_ACCOUNT,
        *,
        region: str | None = None,
        **credentials: str,
    ) -> Any:
        """Return a client of an account's root user, or of the credentials given (boto3's ``aws_*``
        names).
        """
        if not credentials:
            return _root_client(self.endpoint, region or self.region, service, account)
        return _client(self.endpoint, region or self.region, service, credentials)

    def at(self, region: str) -> Aws:
        """Return the same, with clients of another Region."""
        return replace(self, region=region)


@functools.cache
def _root_client(endpoint: str, region: str, service: str, account: str) -> Any:
    # Clients are safe to share between threads, and slow to make.
    keys = {"aws_access_key_id": account, "aws_secret_access_key": settings.SECRET}
    return _client(endpoint, region, service, keys)


def _client(endpoint: str, region: str, service: str, keys: dict[str, str]) -> Any:
    config = Config(
        retries={"max_attempts": 2, "mode": "standard"},
        connect_timeout=5,
        read_timeout=settings.PATIENCE,
        s3={"addressing_style": "path"},
        signature_version="s3v4" if service == "s3" else None,
        inject_host_prefix=False,
    )
    session: Any = botocore.session.get_session()
    session.register_component("data_loader", _loader())
    new_session: Any = boto3.session.Session
    return new_session(botocore_session=session, region_name=region, **keys).client(
        service, endpoint_url=endpoint, config=config
    )


@functools.cache
def _loader() -> Loader:
    """Return what reads the services' models: each once, not once for each account and Region."""
    return create_loader(botocore.session.get_session().get_config_variable("data_path"))
