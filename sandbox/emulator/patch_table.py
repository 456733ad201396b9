"""The table of patches in README.md, made from the code: ``python -m sandbox.emulator.patch_table``
writes it anew.
"""

from __future__ import annotations

from pathlib import Path

from . import patch_modules
from .patch_documents import document_of, upstream_of
from .patching import PATCHES, Patch

README = Path(__file__).parent / "README.md"
BEGIN = "<!-- patches: begin -->"
END = "<!-- patches: end -->"
_HEAD = ("| patch | AWS behaviour it restores | AWS document | upstream |", "|---|---|---|---|")


def _row(item: Patch) -> str:
    address = document_of(item.name)
    if address:
        name = address.rsplit("/", 1)[-1].removesuffix(".html").removeprefix("API_")
        document = f"[{name}]({address})"
    else:
        document = "–"
    behaviour = item.restores.replace("|", "\\|")
    return f"| `{item.name}` | {behaviour} | {document} | {upstream_of(item)} |"


def table() -> str:
    """Return the table of all patches of both processes, by package and in the order they are
    applied.
    """
    patch_modules.install(patch_modules.GATEWAY + patch_modules.MOTO)
    packages = list(dict.fromkeys(item.package for item in PATCHES.values()))
    sections = []
    for package in packages:
        rows = [_row(item) for item in PATCHES.values() if item.package == package]
        sections.append("\n".join([f"### {package} ({len(rows)})", "", *_HEAD, *rows]))
    return "\n\n".join(sections)


def between_marks(text: str) -> str:
    """Return what stands between the marks of a README."""
    return text.split(BEGIN, 1)[1].split(END, 1)[0].strip()


def main() -> None:
    """Write the table into the README."""
    before, rest = README.read_text().split(BEGIN, 1)
    after = rest.split(END, 1)[1]
    README.write_text(f"{before}{BEGIN}\n\n{table()}\n\n{END}{after}")


if __name__ == "__main__":
    main()
