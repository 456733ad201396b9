"""One call of AWS, said once: a client makes it, and people see it as the AWS CLI's command."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from botocore import xform_name

if TYPE_CHECKING:
    from guardduty_response.aws.api import AwsAnswer, AwsClient

CLI_NAMES = {"s3": "s3api"}  # where the AWS CLI names a service as botocore does not


class AwsCall(NamedTuple):
    """``operation``: as botocore's clients name it, ``update_access_key``."""

    service: str
    operation: str
    request: Mapping[str, object]

    def make(self, client: AwsClient) -> AwsAnswer:
        """Makes the call and returns the answer."""
        return dict(getattr(client, self.operation)(**self.request))

    @property
    def text(self) -> str:
        """The command without ``aws`` and the Region, each value quoted for a shell."""
        words = [CLI_NAMES.get(self.service, self.service), self.operation.replace("_", "-")]
        for name, value in self.request.items():
            words += _option(xform_name(name, "-"), value)
        return " ".join(words)

    def command(self, region: str) -> str:
        """Returns the whole command. IAM has no Region."""
        where = "" if self.service == "iam" else f" --region {shlex.quote(region)}"
        return f"aws {self.text}{where}"


def _option(name: str, value: object) -> list[str]:
    if isinstance(value, bool):
        return [f"--{name}" if value else f"--no-{name}"]
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return [f"--{name}", *map(shlex.quote, value)]
    text = str(value) if isinstance(value, str | int) else json.dumps(value, separators=(",", ":"))
    return [f"--{name}", shlex.quote(text)]
