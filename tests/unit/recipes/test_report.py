"""The report: whole, self-contained, escaped, and following its own rules."""

import errno
import re
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser
from pathlib import Path

import pytest

from triptych.errors import DiskFullError, MachineError, UsageError
from triptych.inspection.attention_plots import alignment_matrix
from triptych.inspection.learning_curve import Curve, learning_curve
from triptych.recipes.report import (
    Sample,
    Score,
    Section,
    commands,
    facts,
    figure,
    paragraph,
    report_page,
    samples_table,
    scores,
    table,
    write_report,
)
from triptych.recipes.report_style import STYLE

NASTY = "<script>alert('&')</script>"
PNG = learning_curve({"Loss": [Curve("train", [1, 2], [2.0, 1.0])]}, "png")
SVG = alignment_matrix([[0.75, 0.25]], ["<i>", "b"], ["Ufer"], {(0, 0)}, {(0, 0)})
OTHER_SVG = alignment_matrix([[0.5, 0.5]], ["a", "b"], ["Bank"], {(0, 0)}, {(1, 0)})


class Page(HTMLParser):
    """Reads a page as strictly as a careful reader: what is opened is closed, in order."""

    VOID = ("meta", "img", "br")

    def __init__(self, page):
        super().__init__()
        self.open, self.tags, self.ids, self.links, self.text = [], [], [], [], ""
        self.feed(page)
        assert not self.open, self.open

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        for name, value in attributes:
            if name == "id":
                self.ids.append(value)
            if name in ("src", "href", "xlink:href", "action", "poster", "srcset"):
                self.links.append(value)
            if name == "clip-path":
                self.links.append(value[4:-1])
            assert not name.startswith("on")
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        self.handle_endtag(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


@pytest.fixture
def page():
    parts = [
        Section(NASTY, paragraph(NASTY) + scores([Score(NASTY, NASTY, NASTY)])),
        Section("Run", facts({NASTY: NASTY}) + table([NASTY, "n"], [[NASTY, 12345]])),
        Section("Pictures", figure(SVG, NASTY) + figure(OTHER_SVG, "b") + figure(PNG, NASTY)),
        Section("Samples", samples_table([Sample(NASTY, NASTY, NASTY, ("alert",), ("script",))])),
        Section("Next", commands({NASTY: NASTY})),
    ]
    return report_page(NASTY, NASTY, parts)


def test_text_is_escaped_everywhere_and_the_page_is_well_formed(page):
    read = Page(page)
    assert "script" not in read.tags
    assert "i" not in read.tags
    assert page.count("&lt;script&gt;") >= 14


def test_nothing_is_fetched(page):
    read = Page(page)
    assert read.links
    for link in read.links:
        assert link.startswith(("#", "data:image/png;base64,"))
    assert "link" not in read.tags
    assert "@import" not in STYLE
    assert "url(" not in STYLE


def test_every_id_is_unique_and_every_link_inside_has_its_target(page):
    read = Page(page)
    assert len(read.ids) == len(set(read.ids))
    targets = {link[1:] for link in read.links if link.startswith("#")}
    assert targets
    assert targets <= set(read.ids)


def test_contents_lists_the_sections_in_order():
    text = Page(report_page("T", "L", [Section("One", ""), Section("Two", "")])).text
    assert re.findall("One|Two", text) == ["One", "Two", "One", "Two"]


def test_svg_takes_the_pages_colors_and_stays_xml():
    drawn = figure(SVG, "caption", alt="a picture")
    svg = drawn[drawn.index("<svg") : drawn.index("</svg>") + 6]
    root = ElementTree.fromstring(svg)
    assert root.get("aria-label") == "a picture"
    names = set(re.findall(r"var\((--\w+), #", svg))
    assert names >= {"--ink", "--line", "--muted", "--orange"}
    for name in names:
        assert STYLE.count(f"{name}:") == 3  # light, dark, print


def test_a_picture_must_be_one():
    with pytest.raises(UsageError, match="neither SVG nor PNG"):
        figure(b"GIF89a", "caption")


def test_marks_are_whole_words_in_any_case():
    found = samples_table(
        [Sample("The bank, a banker.", "Am Ufer.", "die BANK am ufer", ("bank", "Ufer"), ("Bank",))]
    )
    assert found.count("<mark") == 4
    assert '<mark class="right">bank</mark>, a banker' in found
    assert '<mark class="wrong">BANK</mark> am <mark class="right">ufer</mark>' in found


def test_samples_say_in_words_whether_they_are_right():
    one = Sample("a", "b", "c", is_right=True)
    assert "✓ right sense" in samples_table([one])
    assert "✗ wrong sense" in samples_table([Sample("a", "b", "c", is_right=False)])
    assert "sense" not in samples_table([Sample("a", "b", "c")])
    assert 'lang="fr"' in samples_table([one], target_language="fr")


def test_tables_set_numbers_right():
    found = table(["word", "n", "share"], [["bank", 12345, 0.98765], ["bat", 2, 1.0]])
    assert found.count('class="number"') == 2 * 3
    assert ">12,345<" in found
    assert ">0.9877<" in found
    with pytest.raises(UsageError, match=r"row 2 .* 1 cells for 2 columns \(a, b\)"):
        table(["a", "b"], [[1, 2], [1]])


def test_the_file_is_the_page(tmp_path):
    path = tmp_path / "report.html"
    path.write_text("old")
    write_report(path, "Übersetzung", "lead", [Section("One", "<p>x</p>")])
    assert path.read_text(encoding="utf-8") == report_page(
        "Übersetzung", "lead", [Section("One", "<p>x</p>")]
    )
    assert list(tmp_path.iterdir()) == [path]


def test_a_report_that_cannot_be_written(tmp_path, monkeypatch):
    with pytest.raises(MachineError, match=r"cannot be written to .*nowhere/report\.html"):
        write_report(tmp_path / "nowhere" / "report.html", "t", "l", [])
    path = tmp_path / "report.html"
    path.write_text("old")

    def full(self, *args, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(DiskFullError, match="No space left"):
        write_report(path, "t", "l", [])
    assert path.read_text() == "old"
