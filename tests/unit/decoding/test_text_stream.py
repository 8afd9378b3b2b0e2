"""Text that grows, against decoding everything anew after each token."""

import random

import pytest

from triptych.decoding.text_stream import TextStream

SAMPLE = "Stop! Zwölf Boxkämpfer — 日本語, naïve 🦜🦜 end\nStop"


def one_byte(token_ids):
    return bytes(token_ids)


def pieces(stream: TextStream, token_ids) -> list[str]:
    """What each token gives, until a stop string is found; the rest last."""
    found = []
    for token_id in token_ids:
        found.append(stream.push(token_id))
        if stream.found is not None:
            break
    return [*found, stream.finish()]


def slow(token_ids, stop) -> tuple[str, bool]:
    """The definition: after each token, the whole characters so far, cut at the first stop."""
    for n in range(1, len(token_ids) + 1):
        data = bytes(token_ids[:n])
        whole = max((k for k in range(max(0, n - 3), n + 1) if is_utf8(data[:k])), default=n)
        text = data[:whole].decode()
        places = [text.find(word) for word in stop if word in text]
        if places:
            return text[: min(places)], True
    return bytes(token_ids).decode(errors="replace"), False


def is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def test_no_piece_ends_within_a_character():
    stream = TextStream(one_byte)
    found = pieces(stream, SAMPLE.encode())
    assert "".join(found) == stream.text == SAMPLE
    assert "\ufffd" not in "".join(found)
    assert all(len(piece) <= 1 for piece in found)  # a byte completes one character at most
    assert found[-1] == ""  # nothing was held that need not be


@pytest.mark.parametrize("seed", range(300))
def test_stop_strings_are_found_across_tokens(seed):
    rng = random.Random(seed)
    alphabet = rng.choice(["ab", "abc", "aä日🦜"])
    text = "".join(rng.choices(alphabet, k=rng.randint(0, 30)))
    stop = ["".join(rng.choices(alphabet, k=rng.randint(1, 4))) for _ in range(rng.randint(0, 3))]
    stream = TextStream(one_byte, stop)
    found = pieces(stream, text.encode())
    assert ("".join(found), stream.found is not None) == slow(text.encode(), stop)
    assert stream.text == "".join(found)


@pytest.mark.parametrize("seed", range(100))
def test_longer_tokens(seed):
    """A token that completes several stop strings: the text ends before the first of them."""
    rng = random.Random(seed)
    vocabulary = [bytes(rng.choices(b"ab", k=rng.randint(1, 4))) for _ in range(6)]
    ids = [rng.randrange(6) for _ in range(12)]
    stop = ["abba", "ab"[rng.randrange(2)] * 3]
    stream = TextStream(lambda token_ids: b"".join(vocabulary[i] for i in token_ids), stop)
    found, text = "", ""
    for token_id in ids:
        found += stream.push(token_id)
        text += vocabulary[token_id].decode()
        places = [text.find(word) for word in stop if word in text]
        if places:
            assert found == text[: min(places)]
            break
        held = len(text) - len(found)
        assert text.startswith(found)
        assert held < 4
        assert not held or any(word.startswith(text[-held:]) for word in stop)
    else:
        assert found + stream.finish() == text


@pytest.mark.parametrize("seed", range(100))
def test_bytes_that_are_no_text_are_shown_as_the_whole_would_be(seed):
    data = random.Random(seed).choices([0x41, 0xC3, 0xA4, 0xF0, 0x9F, 0xA6, 0x9C, 0xFF], k=20)
    assert "".join(pieces(TextStream(one_byte), data)) == bytes(data).decode(errors="replace")


def test_what_is_held_comes_out_at_the_end():
    stream = TextStream(one_byte, ["</s>"])
    assert "".join(map(stream.push, b"a</s")) == "a"
    assert stream.finish() == "</s"
    assert stream.text == "a</s"
    assert stream.found is None


def test_nothing_follows_a_stop_string():
    stream = TextStream(one_byte, ["\n\n", "END"])
    assert "".join(map(stream.push, b"a\nENDmore")) == "a\n"
    assert stream.found == "END"
    assert stream.finish() == ""
    assert stream.text == "a\n"
