"""Training: the size asked for, the same file again, and clear words where it cannot be."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from triptych.errors import DataError, UsageError
from triptych.tokenizers.bpe import JointBpe
from triptych.tokenizers.bpe_training import BYTES

LINES = [
    "A man sits by the river. Ein Mann sitzt am Fluss.",
    "The bank is green. Die Bank ist grün.",
] * 3


def vocabulary(tokenizer: JointBpe) -> list[str]:
    return tokenizer.source_tokens(range(tokenizer.vocab_size))


@pytest.mark.parametrize("vocab_size", [300, 320, 330])
def test_the_size_is_exact(vocab_size: int) -> None:
    tokenizer = JointBpe.train(LINES, vocab_size)
    tokens = vocabulary(tokenizer)
    assert tokenizer.vocab_size == vocab_size == len(set(tokens))
    assert tokens[:2] == ["</s>", "<unk>"]
    assert tokens[2:258] == BYTES
    assert tokens[-1] == "<pad>"
    assert (tokenizer.eos_id, tokenizer.unk_id, tokenizer.pad_id) == (0, 1, vocab_size - 1)


def test_too_small_a_text_says_what_it_can_give() -> None:
    with pytest.raises(DataError, match=r"at most (\d+) vocabulary entries, not 9960") as caught:
        JointBpe.train(LINES, 9960)
    reached = int(str(caught.value).split("at most ")[1].split()[0])
    assert JointBpe.train(LINES, reached).vocab_size == reached
    with pytest.raises(DataError, match=f"at most {reached} "):
        JointBpe.train(LINES, reached + 1)


def test_too_small_a_vocabulary_says_what_it_needs() -> None:
    with pytest.raises(UsageError, match=r"259 reserved ones and the \d+ characters") as caught:
        JointBpe.train(LINES, 100)
    needed = int(str(caught.value).split("ask for ")[1].split()[0])
    assert JointBpe.train(LINES, needed).vocab_size == needed


@pytest.mark.parametrize("lines", [[], ["", " \t", "\n"]])
def test_an_empty_text_is_refused(lines: list[str]) -> None:
    with pytest.raises(DataError, match="every line is empty"):
        JointBpe.train(lines, 400)


def test_rare_characters_are_spelled_in_bytes() -> None:
    tokenizer = JointBpe.train([*LINES, "zweimal zz ç"], 320)
    assert "ç" not in vocabulary(tokenizer)
    assert "z" in vocabulary(tokenizer)
    tokenizer = JointBpe.train([*LINES, "ç"], 270, max_alphabet=5)
    assert len([token for token in vocabulary(tokenizer) if len(token) == 1]) == 5
    assert " " in vocabulary(tokenizer)


def test_min_frequency_stops_the_merges() -> None:
    lines = [*LINES, "man xyxy zwart", "zwart zwart"]  # "xy" twice, "zw" three times
    tokens = vocabulary(JointBpe.train(lines, 310, min_frequency=3))
    assert not [token for token in tokens[258:-1] if "x" in token]
    twice = vocabulary(JointBpe.train(lines, 346, min_frequency=2))
    assert "xy" in "".join(token for token in twice[258:-1] if "x" in token)


def test_reserved_words_in_the_text_are_no_entries() -> None:
    """Text full of reserved words must not teach a merge that spells one."""
    lines = ["a </s> b <pad> c <unk> d <0x0A> e"] * 50
    tokenizer = JointBpe.train(lines, 289)
    assert len(set(vocabulary(tokenizer))) == 289
    token_ids = tokenizer.encode_source(lines[:1])[0]
    assert token_ids.count(tokenizer.eos_id) == 1
    assert tokenizer.decode_target(token_ids) == lines[0]
    merged = [token for token in vocabulary(tokenizer)[258:-1] if len(token.strip(" ")) > 1]
    assert merged
    assert not [token for token in merged if "<" in token or ">" in token or "/" in token]


def test_an_iterator_is_enough() -> None:
    assert vocabulary(JointBpe.train(iter(LINES), 320)) == vocabulary(JointBpe.train(LINES, 320))


def test_the_same_text_gives_the_same_file(tmp_path: Path) -> None:
    """In other processes too (hash tables are seeded anew in each), with ties at every turn."""
    program = (
        "import sys; from pathlib import Path; from triptych.tokenizers.bpe import JointBpe\n"
        "chars = [chr(0x4E00 + i) for i in range(300)]\n"
        "lines = [''.join(chars[i:i + 7]) for i in range(290)] * 2\n"
        "JointBpe.train(lines, 520, max_alphabet=200).save(Path(sys.argv[1]))\n"
    )
    files = []
    for name in ("a", "b", "c"):
        subprocess.run([sys.executable, "-c", program, str(tmp_path / name)], check=True)
        files.append((tmp_path / name / "tokenizer.json").read_bytes())
    assert files[0] == files[1] == files[2]
    assert len(json.loads(files[0])["model"]["vocab"]) == 520
