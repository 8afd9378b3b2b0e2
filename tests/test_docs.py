"""What the documents name exists: files, functions, links, commands of the Makefile."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted(
    path
    for path in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"))
    if path.name != "log.md"  # a log speaks of what was, too
)
NAMED = re.compile(r"`(?P<path>[\w./-]+\.py)(?::(?P<name>[\w.]+))?`")
LINK = re.compile(r"\[[^\]]*\]\((?!https?://|#|mailto:)(?P<path>[^)#\s]+)")
MAKE = re.compile(r"\bmake (?P<target>[a-z]+)\b(?=[`\s]*(?:#|`|$))", re.MULTILINE)


def missing_names(text: str) -> list[str]:
    """`file.py` and `file.py:name` that the tree does not have."""
    missing = []
    for found in NAMED.finditer(text):
        path, name = found["path"], found["name"]
        places = [ROOT / path, ROOT / "src" / "triptych" / path]
        if "/" not in path:  # a document about one room may use the bare name
            places += (ROOT / "src").rglob(path)
        place = next((p for p in places if p.is_file()), None)
        if place is None:
            missing.append(path)
        elif name:
            defined = rf"^\s*(?:def|class) {re.escape(name.split('.')[-1])}\b|^{name}\b"
            if not re.search(defined, place.read_text(encoding="utf-8"), re.MULTILINE):
                missing.append(f"{path}:{name}")
    return missing


def missing_links(text: str, folder: Path) -> list[str]:
    links = [found["path"] for found in LINK.finditer(text)]
    return [link for link in links if not (folder / link).exists()]


def missing_targets(text: str) -> list[str]:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    return [f["target"] for f in MAKE.finditer(text) if f["target"] not in targets]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: str(p.relative_to(ROOT)))
def test_what_a_document_names_exists(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not missing_names(text)
    assert not missing_links(text, path.parent)
    assert not missing_targets(text)


@pytest.mark.parametrize(
    "text",
    [
        "`core/nothing.py`",
        "`core/attention.py:nothing`",
        "`core/attention.py:MultiHeadAttention.nothing`",
        "[here](nothing.md)",
        "`make nothing`",
        "```\nmake nothing    # do it\n```",
    ],
)
def test_a_wrong_name_would_be_seen(text: str) -> None:
    assert missing_names(text) or missing_links(text, ROOT) or missing_targets(text)
