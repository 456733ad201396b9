"""The control of the tags that say what is contained and by which incident."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from guardduty_response.containment.control import ContextType, Control, StateType, Values

if TYPE_CHECKING:
    from guardduty_response.aws.api import AwsAnswer

# The condition of a role's policy: tags of the response and no other.
OWN_TAGS = {
    "Null": {"aws:TagKeys": "false"},
    "ForAllValues:StringLike": {"aws:TagKeys": "${name_prefix}*"},
}


class Tags(Control[ContextType, StateType, dict[str, str | None], str | None]):
    """Its values: tag -> what it says, None where it is absent."""

    item = "tags"
    label = True
    title = "tag {name}"
    done_text = "tagged"

    # -- what each kind of resource declares, with ``command`` -------------------------------------

    def found_tags(self) -> Mapping[str, str]:
        """Reads the resource's tags."""
        raise NotImplementedError

    def put_tags(self, tags: Mapping[str, str]) -> AwsAnswer:
        raise NotImplementedError

    def remove_tag(self, key: str) -> AwsAnswer:
        raise NotImplementedError

    # -- shared by all -----------------------------------------------------------------------------

    @property
    def placeholder(self) -> str:  # type: ignore[override]
        return self.target_context.prefix

    @property
    def tags(self) -> dict[str, str]:
        """The tags of what is contained."""
        prefix = self.target_context.prefix
        return {prefix: "quarantined", f"{prefix}-incident": self.target_context.opened_by}

    def read(self) -> dict[str, str | None]:
        found = self.found_tags()
        return {key: found.get(key) for key in self.tags}

    def wanted(self, name: str, value: str | None) -> str | None:
        return self.tags.get(name)

    def contained_text(self, pending: Values[str | None]) -> str:
        return "tagged " + ", ".join(f"{key}={tag}" for key, tag in self.tags.items())

    def change(self) -> list[AwsAnswer]:
        return [self.put_tags(self.tags)]

    def write(self, name: str, value: str | None) -> AwsAnswer:
        return self.remove_tag(name) if value is None else self.put_tags({name: value})

    def state_text(self, name: str, value: str | None) -> str:
        return f"tag {name} is {'gone' if value is None else value}"

    def restored_text(self, name: str, before: str | None) -> str:
        return f"tag {name} removed" if before is None else f"tag {name}={before} again"
