"""What a run of ELMo makes of its text before it trains."""

from pathlib import Path
from typing import Any

import pytest

from triptych.recipes.elmo_data import ElmoCorpus
from triptych.recipes.elmo_run import ElmoData
from triptych.tokenizers.words import Words


def test_each_text_is_read_once_for_its_words_and_once_for_its_ids(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "t.txt").write_text("b a b\nc b d\n")
    (tmp_path / "v.txt").write_text("z a y\n")
    texts = (str(tmp_path / "t.txt"),), (str(tmp_path / "v.txt"),)
    read: list[tuple[str, ...]] = []
    original = ElmoCorpus._sentences

    def sentences(self: ElmoCorpus, inputs: tuple[str, ...]) -> Any:
        read.append(inputs)
        return original(self, inputs)

    monkeypatch.setattr(ElmoCorpus, "_sentences", sentences)
    data = ElmoData(text=texts[0], valid_text=texts[1], vocab_size=5)
    corpus = ElmoCorpus(data, tmp_path / "run")
    corpus.prepare(None)
    assert sorted(read) == sorted([*texts, *texts])
    predicted, words = corpus.vocabulary(), Words.load(tmp_path / "run" / "tokenizer")
    assert predicted.tokens(range(3, predicted.vocab_size)) == ["b", "a"]
    assert words.tokens(range(3, words.vocab_size)) == ["b", "a", "c", "d", "z", "y"]
