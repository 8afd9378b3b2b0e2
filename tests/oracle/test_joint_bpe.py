"""The tokenizer folder we write, read by transformers: the same ids, the same texts."""

from pathlib import Path

import pytest

from triptych.tokenizers.bpe import JointBpe

LINES = ["A man sits by the river.", "Ein Mann sitzt am Fluss </s>."] * 3
TEXTS = [
    *LINES[:2],
    "</s> <pad><unk> <0x0A> ▁ a",
    "👨‍👩‍👧 e\u0301  \u00a0 x\n",
    "\x00 שלום",
    "",
    "   ",
    "don't ... <</s>>",
]


@pytest.mark.parametrize("lowercase", [False, True])
def test_transformers_reads_it(tmp_path: Path, lowercase: bool) -> None:
    transformers = pytest.importorskip("transformers")
    ours = JointBpe.train(LINES, 300, lowercase=lowercase)
    ours.model_max_length = 128
    ours.save(tmp_path)
    for door in (transformers.AutoTokenizer, transformers.PreTrainedTokenizerFast):
        theirs = door.from_pretrained(tmp_path)
        ids = ours.encode_source(TEXTS)
        assert theirs(TEXTS)["input_ids"] == ids
        assert theirs(text_target=TEXTS)["input_ids"] == ids
        for one in ids:
            text = ours.decode_target(one)
            assert theirs.decode(one, skip_special_tokens=True) == text
            assert theirs.convert_ids_to_tokens(one) == ours.source_tokens(one)
        assert (theirs.eos_token_id, theirs.pad_token_id) == (ours.eos_id, ours.pad_id)
        assert theirs.unk_token_id == ours.unk_id
        assert len(theirs) == ours.vocab_size
        assert theirs.model_max_length == 128
