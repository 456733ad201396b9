"""The parameters of a call as CloudTrail records them."""

from __future__ import annotations

from typing import Any


def parameters(flat: dict[str, Any], *, items: bool) -> dict[str, Any]:
    """A query-protocol request as CloudTrail records it: nested, names in lower camel case, lists as {items: [...]} for EC2.

    AWS names a few lists otherwise than the request does; the one the response goes by is named so here.
    """
    tree: dict[str, Any] = {}
    for name, value in flat.items():
        if name in ("Action", "Version"):
            continue
        path = name.replace("SecurityGroupId.", "GroupSet.", 1) + ".GroupId" if name.startswith("SecurityGroupId.") else name
        *way, last = [part for part in path.split(".") if part not in ("member", "entry")]
        node = tree
        for part in way:
            node = node.setdefault(part, {})
            if not isinstance(node, dict):
                break
        else:
            node[last] = value
    shaped: dict[str, Any] = _shape(tree, items)
    return shaped


def _shape(node: Any, items: bool) -> Any:
    if not isinstance(node, dict):
        return node
    if node and all(name.isdigit() for name in node):
        values = [_shape(value, items) for value in node.values()]
        return {"items": values} if items else values
    return {name[:1].lower() + name[1:]: _shape(value, items) for name, value in node.items()}
