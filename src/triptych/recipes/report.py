"""A report in one HTML file: no script, nothing fetched, readable on paper and in the dark.

    write_report(path, "A translator", "What was trained, and how well.", [
        Section("Scores", scores([Score("97.1", "BLEU", "1,000 held-out sentences")])),
        Section("Attention", figure(heads_grid(...), "All heads of the decoder.")),
    ])

Every helper escapes the text it is given and returns HTML for a section; pieces are joined by +.
"""

import base64
import errno
import html
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from triptych.errors import DiskFullError, MachineError, UsageError
from triptych.inspection.canvas import BLUE, INK, LINE, MUTED, ORANGE
from triptych.recipes.report_style import MARK, STYLE

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

# What the pictures draw in, and the page's own name for it, so that they follow light and dark.
_THEME = {INK: "ink", MUTED: "muted", LINE: "line", BLUE: "blue", ORANGE: "orange"}


@dataclass(frozen=True)
class Section:
    """One part of a report: a title in plain text and its content as HTML."""

    title: str
    html: str


@dataclass(frozen=True)
class Score:
    """One headline figure: its value as it is to be read, its name, and what it was measured on."""

    value: str
    name: str
    note: str = ""


@dataclass(frozen=True)
class Sample:
    """One translation: `right` words are marked wherever they occur, `wrong` ones in the output.

    `is_right` adds a sign and a word to the output; None adds nothing.
    """

    source: str
    reference: str
    output: str
    right: tuple[str, ...] = ()
    wrong: tuple[str, ...] = ()
    is_right: bool | None = None


def write_report(path: Path, title: str, lead: str, sections: Sequence[Section]) -> None:
    """Write the page, whole or not at all; title and lead are plain text.

    Raises MachineError when it cannot be written, DiskFullError when there is no room.
    """
    temporary = path.with_name(f".{path.name}.part")
    try:
        temporary.write_text(report_page(title, lead, sections), encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        kind = DiskFullError if error.errno in _NO_ROOM else MachineError
        raise kind(
            f"the report cannot be written to {path} ({error.strerror or error}); make room or"
            " choose another folder."
        ) from error


def report_page(title: str, lead: str, sections: Sequence[Section]) -> str:
    """The whole page as text."""
    names = [f"part-{number}" for number in range(1, len(sections) + 1)]
    links = "".join(
        f'<li><a href="#{name}">{html.escape(section.title)}</a></li>'
        for name, section in zip(names, sections, strict=True)
    )
    body = "".join(
        f'<section id="{name}" aria-labelledby="{name}-title">'
        f'<h2 id="{name}-title">{html.escape(section.title)}</h2>\n{section.html}</section>\n'
        for name, section in zip(names, sections, strict=True)
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{html.escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        f'<header><p class="mark">{MARK}triptych</p><h1>{html.escape(title)}</h1>\n'
        f'<p class="lead">{html.escape(lead)}</p>\n'
        f'<nav aria-label="Contents"><ul>{links}</ul></nav></header>\n'
        f"<main>\n{body}</main>\n</body>\n</html>\n"
    )


def paragraph(text: str) -> str:
    """Plain text as a paragraph."""
    return f"<p>{html.escape(text)}</p>\n"


def scores(items: Sequence[Score]) -> str:
    """Headline figures side by side."""
    cells = "".join(
        f"<div><dt>{html.escape(item.name)}</dt><dd>{html.escape(item.value)}"
        f"{f'<small>{html.escape(item.note)}</small>' if item.note else ''}</dd></div>"
        for item in items
    )
    return f'<dl class="scores">{cells}</dl>\n'


def facts(items: Mapping[str, object]) -> str:
    """A summary: name and value, one a row."""
    rows = "".join(
        f'<tr><th scope="row">{html.escape(name)}</th><td>{html.escape(str(value))}</td></tr>'
        for name, value in items.items()
    )
    return f'<div class="wide"><table class="facts"><tbody>{rows}</tbody></table></div>\n'


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table; columns that hold only numbers are set right. Raises UsageError on ragged rows."""
    cells = [list(row) for row in rows]
    for number, row in enumerate(cells, start=1):
        if len(row) != len(columns):
            raise UsageError(
                f"row {number} of a report's table has {len(row)} cells for {len(columns)} columns"
                f" ({', '.join(columns)}); give one a column."
            )
    right = [
        ' class="number"' if cells and all(_is_number(row[i]) for row in cells) else ""
        for i in range(len(columns))
    ]
    head = "".join(
        f'<th scope="col"{kind}>{html.escape(name)}</th>'
        for name, kind in zip(columns, right, strict=True)
    )
    body = "".join(
        "<tr>"
        + "".join(
            f"<td{kind}>{html.escape(_written(cell))}</td>"
            for cell, kind in zip(row, right, strict=True)
        )
        + "</tr>"
        for row in cells
    )
    return (
        f'<div class="wide"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>\n"
    )


def figure(picture: bytes, caption: str, alt: str = "") -> str:
    """An SVG or PNG picture with its caption; `alt` describes it to those who cannot see it.

    SVG is set into the page and takes its colors; PNG becomes a data URI. Raises UsageError for
    anything else.
    """
    described = html.escape(alt or caption)
    if picture.startswith(b"\x89PNG"):
        data = base64.b64encode(picture).decode("ascii")
        drawn = f'<img alt="{described}" src="data:image/png;base64,{data}">'
    elif b"<svg" in picture[:1000]:
        drawn = _inline_svg(picture.decode("utf-8"), described)
    else:
        raise UsageError(
            f"a picture for the report starts with {picture[:8]!r}: neither SVG nor PNG."
        )
    return (
        f'<figure><div class="wide">{drawn}</div>'
        f"<figcaption>{html.escape(caption)}</figcaption></figure>\n"
    )


def samples_table(
    samples: Sequence[Sample], source_language: str = "en", target_language: str = "de"
) -> str:
    """Source, reference and output of each sample, with the words that matter marked."""
    return "".join(
        '<div class="sample"><dl>'
        + _line("source", source_language, _marked(sample.source, sample.right))
        + _line("reference", target_language, _marked(sample.reference, sample.right))
        + _line(
            "output",
            target_language,
            _marked(sample.output, sample.right, sample.wrong),
            _VERDICTS[sample.is_right],
        )
        + "</dl></div>\n"
        for sample in samples
    )


def commands(lines: Mapping[str, str]) -> str:
    """What to try next: each command under a few words on what it does."""
    return "".join(
        f'<div class="command"><p>{html.escape(purpose)}</p>'
        f"<pre><code>{html.escape(command)}</code></pre></div>\n"
        for purpose, command in lines.items()
    )


_VERDICTS = {
    None: "",
    True: ' <span class="right">✓ right sense</span>',
    False: ' <span class="wrong">✗ wrong sense</span>',
}


def _line(name: str, language: str, content: str, after: str = "") -> str:
    lang = html.escape(language)
    return f'<dt>{name}</dt><dd lang="{lang}" dir="auto" class="{name}">{content}{after}</dd>'


def _marked(text: str, right: Sequence[str], wrong: Sequence[str] = ()) -> str:
    """The text escaped, whole words of `right` and `wrong` marked, whatever their case."""
    kinds = {word.casefold(): "right" for word in right}
    kinds.update({word.casefold(): "wrong" for word in wrong})
    if not kinds:
        return html.escape(text)
    longest_first = sorted((*right, *wrong), key=len, reverse=True)
    pattern = rf"(?<!\w)({'|'.join(re.escape(word) for word in longest_first)})(?!\w)"
    pieces = re.split(pattern, text, flags=re.IGNORECASE)  # text, word, text, word, …, text
    return "".join(
        f'<mark class="{kinds.get(piece.casefold(), "right")}">{html.escape(piece)}</mark>'
        if i % 2
        else html.escape(piece)
        for i, piece in enumerate(pieces)
    )


def _inline_svg(svg: str, described: str) -> str:
    """The picture without its file header, with ids of its own and the page's colors."""
    prefix = sha256(svg.encode("utf-8")).hexdigest()[:8]
    svg = svg[svg.index("<svg") :].strip()
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{prefix}-", svg)
    for color, name in _THEME.items():
        svg = svg.replace(f": {color}", f": var(--{name}, {color})")
    return svg.replace("<svg", f'<svg role="img" aria-label="{described}"', 1)


def _is_number(cell: object) -> bool:
    return isinstance(cell, int | float) and not isinstance(cell, bool)


def _written(cell: object) -> str:
    if isinstance(cell, int) and not isinstance(cell, bool):
        return f"{cell:,}"
    return f"{cell:.4g}" if isinstance(cell, float) else str(cell)
