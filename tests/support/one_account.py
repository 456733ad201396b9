"""Plans the module and the responder role in one account, which takes half the time."""

from __future__ import annotations

from pathlib import Path

from tests.support.terraform_tools import Planner


class OneAccountPlanner(Planner):
    """Plans the member's roles in the security account: their policies name that account,
    everything else is the same. With a single provider block, the shared provider process serves
    the plan.
    """

    def __init__(self, scratch: Path, endpoint: str) -> None:
        super().__init__(scratch, endpoint)
        providers, main = self.root / "providers.tf", self.root / "main.tf"
        head, block, _ = providers.read_text().split("provider ")[:3]
        providers.write_text(f"{head}provider {block}")
        main.write_text(main.read_text().replace("  providers = { aws = aws.member }\n", ""))
