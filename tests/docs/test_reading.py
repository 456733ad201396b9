"""The counting of benchmarks/reading.py."""

from __future__ import annotations

from benchmarks.reading import VAGUE, count

SOURCE = f'''"""A docstring is no code."""

# neither is a comment
def name({VAGUE}: Any) -> Json:
    """Nor this."""
    return f"{{name({VAGUE})!r:>10}} and {{1}}" + (
        "a"
        "b"
    )
'''


def test_what_is_counted() -> None:
    counts = count(SOURCE)
    assert (counts.files, counts.code_lines) == (1, 5)
    # def name ( one : Any ) -> Json : / return f"" + ( / "a" / "b" / )
    assert counts.tokens == 10 + 4 + 1 + 1 + 1
    assert (counts.vague_names, counts.untyped) == (1, 2)
    assert (counts.long_lines, counts.exemptions) == (0, 0)


def test_what_is_too_long_or_exempt_is_counted() -> None:
    long_line = "x = 1  # " + "y" * 100
    counts = count(f"{long_line}\nz = 2  # fmt: " + "skip\n")
    assert (counts.long_lines, counts.exemptions) == (1, 1)


def test_folders_add_up() -> None:
    assert (count(SOURCE) + count("x = 1\n")).tokens == 17 + 3
