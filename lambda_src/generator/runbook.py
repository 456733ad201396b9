"""Makes the table of a runbook that says what each control does, and how a person does it by
hand.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from guardduty_response.containment.control import AnyControl
from guardduty_response.containment.declared import Example

BEGIN, END = "<!-- controls -->", "<!-- end -->"
_NOTICE = "<!-- Written by lambda_src/generate.py: change the controls, not this table. -->"
_HEAD = (
    "| control | containment | critical | contain by hand | restore by hand | option |",
    "|---|---|---|---|---|---|",
)
# A playbook's options of its manifest: path -> rule
Options = Mapping[str, Mapping[str, object]]


def with_table(page: str, text: str, examples: Iterable[Example], options: Options) -> str:
    """Returns a runbook's text with the table between its markers. Raises ValueError, which names
    the page, without them.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{page} has no place for the table of controls: add {BEGIN} and {END}")
    return f"{before}{BEGIN}\n{_NOTICE}\n\n{table(examples, options)}\n{END}{after}"


def table(examples: Iterable[Example], options: Options) -> str:
    """Returns the table, each example a row."""
    rows = [_row(example, options) for example in examples]
    return "\n".join((*_HEAD, *rows)) + "\n"


def defaults(options: Options) -> dict[str, object]:
    """Returns the options of a playbook for which nothing is set."""
    return {path: rule.get("default") for path, rule in options.items() if "." not in path}


def contained(example: Example) -> Mapping[str, object]:
    """Returns what containment gives each value."""
    return example.contained or example.control.pending


def sentence(example: Example) -> str:
    """Says what containment makes of the setting, as a participle."""
    return example.text or example.control.contained_text(contained(example))


def commands(example: Example) -> list[str]:
    """Returns every command that the table has for an example."""
    control, new = example.control, contained(example)
    before = control.values(control.current)
    containing = [control.full_command(name, value) for name, value in new.items()]
    if example.restored:
        return containing
    return containing + [_restoring(example, name, before[name]) for name in new]


def _row(example: Example, options: Options) -> str:
    control, new = example.control, contained(example)
    before = control.values(control.current)
    cells = (
        f"`{control.name}` ({example.resource})",
        sentence(example),
        _critical(control),
        _lines(_code(control.full_command(name, value)) for name, value in new.items()),
        example.restored
        or _lines(
            _back(
                example,
                name,
                before[name],
                value,
            )
            for name, value in new.items()
        ),
        _option(example, options),
    )
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _critical(control: AnyControl) -> str:
    if control.label:
        return "no: a label"
    if control.minor:
        return "no: else PARTIAL; undone later, it is no loss"
    return "yes: else FAILED" if control.critical else "no: else PARTIAL"


def _back(example: Example, name: str, before: object, now: object) -> str:
    """Returns the command that restores a value, or why none can, with what comes nearest."""
    control = example.control
    command = _code(_restoring(example, name, before))
    if reason := control.irreversible(name, before, now):
        return f"{reason}: {command}"
    if reason := control.retained(name, before, now):
        return f"{reason}. To do it all the same: {command}"
    return command


def _restoring(example: Example, name: str, before: object) -> str:
    control = example.control
    settings = control.state.settings
    current = settings[control.item]
    if example.after is not None:
        settings[control.item] = example.after
    try:
        return control.full_command(name, before)
    finally:
        settings[control.item] = current


def _option(example: Example, options: Options) -> str:
    path = example.option or example.control.option
    if not path:
        return "always"
    if path not in options:
        raise ValueError(
            f"the manifest has no option {path}, which the control {example.control.name} names:"
            " add it to playbook.yaml"
        )
    chosen = example.control.target_context.options[path]
    default = options[path].get("default")
    if isinstance(default, bool):
        return f"`{path}`, {'on' if default else 'off'} by default"
    return f"`{path} = {chosen}`{', the default' if chosen == default else ''}"


def _code(command: str) -> str:
    return f"`{command}`"


def _lines(cells: Iterable[str]) -> str:
    return "<br>".join(cells)
