"""Spaces taken out of corpora of words, and nothing else with them."""

import pytest

from triptych.evaluation.detokenizers import lambada, ptb, wikitext
from triptych.evaluation.language_model import count_words


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (' said , " Hi . " He left . \n', 'said, "Hi." He left.\n'),
        (" = = Early life = = \n", "== Early life ==\n"),
        (" 1 @,@ 000 men , 2 @.@ 5 % , well @-@ known ; ", "1,000 men, 2.5%, well-known;"),
        (
            " the city 's walls ( 3 km ) don 't fall [ 2 ] ",
            "the city's walls (3 km) don't fall [2]",
        ),
        (" Linnaeus ' idea , the ' 70s : $ 5 ", "Linnaeus' idea, the '70s: $5"),
        (" <unk> larvae – a = b ! \n \n", "<unk> larvae – a = b!\n\n"),
        (' one " alone ... \n and " two " ', 'one " alone...\nand "two"'),
        ("", ""),
    ],
)
def test_wikitext(before, after):
    assert wikitext(before) == after


def test_treebank():
    assert ptb(" he did n't buy the firm 's <unk> for $ N at N % \n") == (
        "he didn't buy the firm's <unk> for $N at N%\n"
    )


def test_lambada():
    assert lambada(" “Go,” ``she'' said. ") == '\n"Go," "she" said.'


@pytest.mark.parametrize("name", ["valid.txt", "wiki.valid.raw"])
def test_real_articles_lose_spaces_and_marks_alone(data_dir, name):
    text = (data_dir / "wikitext-2" / name).read_text(encoding="utf-8")
    found = wikitext(text)
    letters = text
    for mark in "-,.":
        letters = letters.replace(f"@{mark}@", mark)
    assert found.replace(" ", "") == letters.replace(" ", "")
    assert text.count(" ") - found.count(" ") > 38_000
    assert "\n".join(map(wikitext, text.split("\n"))) == found
    assert count_words(text, with_line_ends=True) == 217_646  # Merity et al. 2017, Table 1
    assert count_words(text, with_line_ends=False) == 213_886
