"""Where a sentence ends, in English and German; nothing of the text is lost.

In each case the sentences are separated by " | ".
"""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from triptych.data.sentences import LANGUAGES, split_sentences
from triptych.errors import UsageError

ENGLISH = [
    "One sentence only",
    "He came. | She left.",
    "He came! | She left? | They stayed.",
    "What?! | No way!!! | Yes.",
    "Mr. Smith met Mrs. Jones. | They talked.",
    "Dr. No is a film. | I saw it.",
    "Prof. Lee, Gen. Grant and Sgt. Pepper met St. Peter. | He smiled.",
    "Fruit, e.g. Apples and pears, is good. | Eat it.",
    "The best one, i.e. Peter's, won. | Hooray!",
    "Apples, pears, etc. are fruit. | So are plums.",
    "He sells apples, pears, etc. | The shop is small.",
    "The U.S. Senate voted. | It was late.",
    "He lives in the U.S. | He likes it.",
    "We met at 5 p.m. on Monday. | It rained.",
    "We met at 5 p.m. | The train was late.",
    "It was 5 p.m. Eastern time. | I slept.",
    "J. R. R. Tolkien wrote it. | I read it.",
    "J.R.R. Tolkien wrote it. | I read it.",
    "George W. Bush and J. A. Smith spoke. | We listened.",
    "Take vitamin C. | It helps.",
    "He went and so did I. | Peter stayed.",
    "Pi is 3.14 or so. | E is 2.718.",
    "It costs $5.50. | That is cheap.",
    "It was 1999. | Peter was born.",
    "No. 5 is alive. | No. | I won't go.",
    "See Fig. 3 and p. 12. | There it is.",
    "He works for Apple Inc. in Ohio. | He is rich.",
    "He works for Apple Inc. | He is rich.",
    "Martin Luther King Jr. was there. | So was I.",
    "On Jan. 5 it snowed. | In Feb. it rained.",
    "Smith et al. Showed it in 2020.",
    "Italy vs. France was dull. | Nobody scored.",
    "She has a Ph.D. in physics. | He has a Ph.D. | They are rich.",
    'He said, "I am here." | Then he left.',
    'He said: "Go." | "Where?" | "Home."',
    '"Stop!" she cried. | He ran.',
    '"Stop!" Mary Smith said. | He ran.',
    '"Stop!" | Mary ran.',
    "“Is it you?” asked Tom. | “Yes.”",
    "It is ‘fine.’ | We go.",
    "(He was late.) | She waited.",
    "He came (I saw him. Really!) and left. | She stayed.",
    "They met (in the U.S.) Congress members. | It was hot.",
    "He lives here (see p. 5). | Go there.",
    "Wait... what? | I see.",
    "I waited... | Peter came.",
    "Well ... I don't know. | Do you?",
    "Hm… | Maybe.",
    "He quoted [...] Peter and left. | Good.",
    "Visit example.com today. | Ask for Node.js there.",
    "1. Introduction to all. | 2. Methods of work.",
    "He arrived. | – She left.",
    "- One thing. | - Another thing.",
    "Is iOS good? iPhones have it. | Yes.",
    "Version 2.0. | New things.",
    "He won. | 5 people cried.",
    "End.No space here. | Good.",
    "First paragraph without stop\n\n | Second one",
    "A line\nbroken in the middle. | Next.",
    "Henry VIII. had six wives. | He was king.",
]

GERMAN = [
    "Er kam. | Sie ging.",
    "Wer? | Ich! | Nein.",
    "Was?! | Niemals!",
    "Dr. Müller und Prof. Meier kamen. | Sie sprachen.",
    "Hr. Schmidt traf Fr. Weber. | Es regnete.",
    "Städte, z. B. Berlin, sind groß. | Dörfer sind klein.",
    "Städte, z.B. Berlin, sind groß. | Dörfer sind klein.",
    "Er kam, d. h. Peter kam. | Gut.",
    "Es gibt u. a. Äpfel. | Birnen auch.",
    "In d. R. Montags, i. d. R. Dienstags. | Gut so.",
    "Äpfel, Birnen usw. sind Obst. | Kohl nicht.",
    "Er kauft Äpfel, Birnen usw. | Der Laden ist klein.",
    "Äpfel bzw. Birnen. | Gut.",
    "Er wohnt in Nr. 5. | Sie in Nr. 7.",
    "Vgl. Abb. 3 und S. 12. | Dort steht es.",
    "Er wohnt in St. Gallen. | Sie in Bern.",
    "Am 3. Oktober feiern wir. | Alle kommen.",
    "Im 19. Jahrhundert war es anders. | Heute nicht.",
    "Der 2. Weltkrieg endete 1945. | Danach war Frieden.",
    "Vom 3.–5. Mai. | Gut.",
    "Am 3. 10. 1990 war es so weit. | Alle freuten sich.",
    "Er starb am 3.10. | Seine Frau lebte weiter.",
    "Es war 1999. | Peter wurde geboren.",
    "Er wurde 80. | Seine Frau auch.",
    "Es kostet 3,5. | Das ist billig.",
    "Ludwig XIV. war König. | Ludwig XIV. Bourbon auch.",
    "Es regierte Ludwig XIV. | Er war eitel.",
    "Im 18. Jh. war es kalt. | Im 19. Jh. | Da war es warm.",
    "J. R. R. Tolkien schrieb es. | Ich las es.",
    "E. T. A. Hoffmann und Johann W. Goethe. | Gut.",
    "Das ist Plan B. | Der ist besser.",
    "Es sind 3 Mio. Menschen. | Das sind viele.",
    "Er sagte: „Ich komme.“ | Dann ging er.",
    "„Komm!“, sagte er. | Sie kam.",
    "„Kommst du?“ fragte er. | „Nein.“",
    "„Hilfe!“ | Peter rannte.",
    "»Ich komme.« | Sie ging. | »Gut!«",
    "Er rief: ‚Halt!‘ | Sie blieb.",
    '"Gut." | "Ja."',
    "(Er kam zu spät.) | Sie wartete.",
    "Er kam (ich sah ihn. Wirklich!) und ging. | Sie blieb.",
    "Er wartete … | Dann kam sie.",
    "Das ist ... Wahnsinn! | Ja.",
    "Er schwieg... | Sie auch.",
    "Dipl.-Ing. Meier kam. | Er blieb.",
    "Die Fa. Müller & Co. KG liefert. | Sie ist pünktlich.",
    "333 v. Chr. war es. | Alexander siegte 333 v. Chr. | Er war jung.",
    "Er fährt in die U.S.A. | Das dauert.",
    "Das kostet ca. 5 Euro. | Oder mehr.",
    "Art. 5 Abs. 2 gilt. | Moderne Art. | Gut.",
    "Es ist 12.30 Uhr. | Komm.",
    "1. Einleitung und Ziel. | 2. Methode.",
    "Gehe zu example.de und lies. | Dann komm.",
    "Ihm gefällt das (z. B.) Kino. | Ihr nicht.",
    "Erst das. | – Dann das.",
]

CASES = [("en", case) for case in ENGLISH] + [("de", case) for case in GERMAN]


@pytest.mark.parametrize(("language", "case"), CASES, ids=[case for _, case in CASES])
def test_cases(language, case):
    expected = [sentence.strip() for sentence in case.split(" | ")]
    assert split_sentences(case.replace(" | ", " "), language) == expected


@pytest.mark.parametrize("language", LANGUAGES)
def test_white_space_is_no_sentence(language):
    assert split_sentences("", language) == []
    assert split_sentences(" \n\t\u00a0 ", language) == []
    assert split_sentences("  a.  \n", language) == ["a."]


def test_an_unknown_language_is_refused():
    with pytest.raises(UsageError, match="no sentence rules for 'fr'; known are en, de"):
        split_sentences("Oui.", "fr")


PIECES = st.sampled_from(
    [*" \n\t.!?…()[]\"'„“”»«‚‘’–-,3\u2028\x1c\x85", ". ", "! ", "z. B. ", "Mr. ", "Er ", "He ", "x"]
)


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(), st.lists(PIECES, max_size=60).map("".join)))
def test_nothing_is_lost_or_changed(paragraph):
    for language in LANGUAGES:
        sentences = split_sentences(paragraph, language)
        assert all(sentence == sentence.strip() and sentence for sentence in sentences)
        assert "".join("".join(sentences).split()) == "".join(paragraph.split())
        begin = 0
        for sentence in sentences:
            begin = paragraph.index(sentence, begin) + len(sentence)


@pytest.mark.parametrize(
    "unit", [".", "(", "a. ", "J. ", "! ", '." ', "A", " ", "(a. ", "1.", "z. B. ", "((a) "]
)
def test_time_grows_with_length_and_no_faster(unit):
    text = unit * (100_000 // len(unit))
    begin = time.perf_counter()
    split_sentences(text, "de")
    assert time.perf_counter() - begin < 5


def test_single_sentences_of_real_data_stay_whole(data_dir):
    """Captions are single sentences, but for the few with an inner stop."""
    for language in ("en", "de"):
        lines = (data_dir / "multi30k" / f"val.{language}").read_text("utf-8").split("\n")[:-1]
        split = [line for line in lines if len(split_sentences(line, language)) > 1]
        assert len(split) < 0.02 * len(lines), split[:5]


def test_joined_sentences_of_real_data_come_apart(data_dir):
    """Lines of news joined to paragraphs of four: how many of the borders are found again."""
    for language in ("en", "de"):
        path = data_dir / "newstest" / f"newstest2013.{language}"
        lines = [line.strip() for line in path.read_text("utf-8").split("\n") if line.strip()]
        lines = [line for line in lines if line[-1] in ".!?" and len(line) > 20]
        found = expected = given = 0
        for begin in range(0, len(lines) - 4, 4):
            group = lines[begin : begin + 4]
            borders = {len("".join("".join(group[:k]).split())) for k in range(1, 4)}
            sentences = split_sentences(" ".join(group), language)
            cuts = {len("".join("".join(sentences[:k]).split())) for k in range(1, len(sentences))}
            found += len(borders & cuts)
            expected += len(borders)
            given += len(cuts)
        assert found / expected > 0.99, (language, found / expected)
        assert found / given > 0.96, (language, found / given)
