"""Variables of plans in two accounts, which take twice the time: tests of the members' policies
share them.
"""

from __future__ import annotations

from tests.support.terraform_tools import Json

_ACTING: Json = {
    "remediations": {"CryptoCurrency:EC2/BitcoinTool.B!DNS": "auto"},
    "organization_id": "o-sandbox001",
}
# Nothing but the default beside a type that acts
DEFAULTS: Json = _ACTING
# Every role of the response, with all that a switch can give it
EVERY_ROLE: Json = {
    **_ACTING,
    "ec2_instance": {"restore": True, "finish": "terminate", "untrack_connections": True},
    "iam_principal": {
        "restore": True,
        "remediate": ["instances", "policies", "security_groups", "sharing"],
        "rotate_key": {"reader_arns": ["arn:aws:iam::222222222222:role/owner"]},
    },
}
