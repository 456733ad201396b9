"""boto3 clients for the sandbox's accounts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import boto3
from botocore.config import Config

from . import settings


@dataclass(frozen=True)
class Aws:
    """The local AWS: one endpoint for every service, Region and account."""

    endpoint: str
    region: str = settings.REGION

    def client(self, service: str, account: str = settings.MEMBER_ACCOUNT, **credentials: str) -> Any:
        """A client of an account's root user, or of the credentials given (boto3's ``aws_*`` names)."""
        keys = credentials or {"aws_access_key_id": account, "aws_secret_access_key": settings.SECRET}
        config = Config(
            retries={"max_attempts": 2, "mode": "standard"},
            connect_timeout=5,
            read_timeout=60,
            s3={"addressing_style": "path"},
            signature_version="s3v4" if service == "s3" else None,
            inject_host_prefix=False,
        )
        session = boto3.session.Session(region_name=self.region, **keys)
        factory: Any = session.client
        return factory(service, endpoint_url=self.endpoint, config=config)
