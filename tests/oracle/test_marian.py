"""Our encoder-decoder against transformers' MarianMTModel, and what we save against its readers.

Weights are random; every tensor crosses the table of `convert/marian.py`. Both libraries sum in
another order, so numbers agree to 1e-5 and ids must be equal.
"""

import json
import os
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from triptych.checkpoint import load_folder, save_folder
from triptych.convert.marian import from_marian, table, to_marian
from triptych.convert.marian_config import config_from_json
from triptych.decoding.beam import BeamOptions, beam_search
from triptych.decoding.candidates import TokenRoles
from triptych.decoding.greedy import greedy_search
from triptych.models.encoder_decoder import EncoderDecoder, EncoderDecoderConfig
from triptych.tokenizers.bpe import JointBpe
from triptych.tokenizers.sentencepiece import MarianTokenizer

os.environ["HF_HUB_OFFLINE"] = "1"
transformers = pytest.importorskip("transformers")

VOCABULARY, EOS, PAD = 40, 0, 39
LIMIT = 40


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        transformers.logging.set_verbosity_error()
        transformers.logging.disable_progress_bar()
        yield


@dataclass(frozen=True)
class Pair:
    ours: EncoderDecoder
    theirs: Any
    source_ids: torch.Tensor
    source_valid: torch.Tensor
    target_in: torch.Tensor
    labels: torch.Tensor


def shake(model: torch.nn.Module, pad_id: int) -> None:
    """Make every tensor matter, also biases and norms; only the padding row stays zero."""
    for name, parameter in model.named_parameters():
        if "embed_positions" not in name:
            parameter.data += 0.1 * torch.randn_like(parameter)
            if parameter.size(0) > pad_id:
                parameter.data[pad_id] = 0


def learn(model: torch.nn.Module, loss: Callable[[], torch.Tensor], steps: int) -> None:
    """A little training: a random model says one token for ever, which compares nothing."""
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(steps):
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()


def random_marian(seed: int, activation: str) -> Any:
    torch.manual_seed(seed)
    config = transformers.MarianConfig(
        vocab_size=VOCABULARY, d_model=16, encoder_layers=2, decoder_layers=3,
        encoder_attention_heads=4, decoder_attention_heads=4, encoder_ffn_dim=24,
        decoder_ffn_dim=24, activation_function=activation, scale_embedding=True,
        max_position_embeddings=64, pad_token_id=PAD, eos_token_id=EOS, dropout=0.0,
        decoder_start_token_id=PAD, forced_eos_token_id=EOS, attn_implementation="eager",
    )  # fmt: skip
    model = transformers.MarianMTModel(config)
    shake(model, PAD)
    model.final_logits_bias.normal_()
    model.final_logits_bias[0, PAD] = 0
    return model


@pytest.fixture(params=[(0, "swish"), (1, "relu"), (2, "swish"), (3, "gelu")], scope="module")
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    seed, activation = request.param
    generator = torch.Generator().manual_seed(seed)
    source_ids, source_valid = ragged([9, 3, 1, 7], generator)
    labels, label_valid = ragged([5, 8, 2, 1], generator)
    target_in = labels.roll(1, dims=1)
    target_in[:, 0] = PAD
    labels = labels.masked_fill(~label_valid, -100)

    folder = tmp_path_factory.mktemp("marian")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = random_marian(seed, activation)
        batch = {"input_ids": source_ids, "attention_mask": source_valid.long(), "labels": labels}
        learn(theirs, lambda: theirs(**batch).loss, steps=40)
        theirs.eval().save_pretrained(folder)
    config = config_from_json(json.loads((folder / "config.json").read_text()), "config.json")
    ours = EncoderDecoder(config).eval()
    ours.load_state_dict(from_marian(theirs.state_dict(), config, "theirs"))
    return Pair(ours, theirs, source_ids, source_valid, target_in, labels)


def ragged(lengths: list[int], generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids [B, S] that end in EOS, padded, and which of them are real."""
    size = (len(lengths), max(lengths))
    valid = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    ids = torch.randint(1, PAD, size, generator=generator)
    ids[torch.arange(len(lengths)), torch.tensor(lengths) - 1] = EOS
    return ids.masked_fill(~valid, PAD), valid


def our_logits(pair: Pair) -> torch.Tensor:
    return pair.ours.logits(pair.ours(pair.source_ids, pair.source_valid, pair.target_in))


def test_parameter_counts_are_equal(pair: Pair) -> None:
    theirs = {
        id(parameter): parameter.numel()
        for name, parameter in pair.theirs.named_parameters()
        if "embed_positions" not in name
    }
    assert sum(p.numel() for p in pair.ours.parameters()) == sum(theirs.values())


def test_logits_and_loss_agree(pair: Pair) -> None:
    with torch.no_grad():
        theirs = pair.theirs(
            input_ids=pair.source_ids, attention_mask=pair.source_valid.long(), labels=pair.labels
        )
        ours = our_logits(pair)
        loss = F.cross_entropy(ours.flatten(0, 1), pair.labels.flatten())
    real = pair.labels != -100
    torch.testing.assert_close(ours[real], theirs.logits[real], rtol=0, atol=1e-5)
    torch.testing.assert_close(loss, theirs.loss, rtol=0, atol=1e-6)


def test_gradients_agree_in_train_mode(pair: Pair) -> None:
    """To 1e-5 of the largest; dropout is 0."""
    pair.theirs.train().zero_grad()
    pair.ours.train().zero_grad()
    pair.theirs(
        input_ids=pair.source_ids, attention_mask=pair.source_valid.long(), labels=pair.labels
    ).loss.backward()
    F.cross_entropy(our_logits(pair).flatten(0, 1), pair.labels.flatten()).backward()
    gradients = {name: p.grad for name, p in pair.ours.named_parameters()}
    gradients["final_logits_bias"] = torch.zeros(VOCABULARY)  # a buffer on both sides
    ours = to_marian(gradients, pair.ours.config)
    theirs = {name: p.grad for name, p in pair.theirs.named_parameters() if p.grad is not None}
    largest = max(float(gradient.abs().max()) for gradient in theirs.values())
    compared = 0
    for entry in table(pair.ours.config):
        if entry.theirs in theirs:
            difference = (ours[entry.theirs] - theirs[entry.theirs]).abs().max()
            assert difference <= 1e-5 * largest, entry.theirs
            compared += 1
    assert compared == len(ours) - 1
    pair.theirs.eval()
    pair.ours.eval()


def their_ids(pair: Pair, **options: Any) -> list[list[int]]:
    generated = pair.theirs.generate(
        input_ids=pair.source_ids, attention_mask=pair.source_valid.long(), do_sample=False,
        max_length=LIMIT + 1, bad_words_ids=[[PAD]], forced_eos_token_id=EOS, **options,
    )  # fmt: skip
    return [[i for i in row if i != PAD] for row in generated.tolist()]


ROLES = TokenRoles(start_id=PAD, eos_id=EOS, banned_ids=(PAD,))  # as transformers bans it


@torch.no_grad()
def test_greedy_ids_are_equal(pair: Pair) -> None:
    cache = pair.ours.start_decoding(pair.source_ids, pair.source_valid)
    found = greedy_search(pair.ours.next_logits, cache, ROLES, [LIMIT] * 4)
    assert [list(h.token_ids) for h in found] == their_ids(pair, num_beams=1)


@torch.no_grad()
@pytest.mark.parametrize("beam_size", [2, 4])
def test_beam_ids_are_equal(pair: Pair, beam_size: int) -> None:
    """Both searches are exhaustive here: they stop when nothing better can come."""
    cache = pair.ours.start_decoding(pair.source_ids, pair.source_valid)
    options = BeamOptions(beam_size=beam_size, patience=float("inf"))
    found = beam_search(pair.ours.next_logits, cache, ROLES, [LIMIT] * 4, options=options)
    theirs = their_ids(pair, num_beams=beam_size, length_penalty=1.0, early_stopping="never")
    assert [list(row[0].token_ids) for row in found] == theirs


SENTENCES = ["a cat sat on the mat", "Katze", "the dog sits under the tree, and sleeps", "ein Ü!"]
TRANSLATIONS = ["die Katze sass", "a cat on a mat", "", "sie schläft unter dem Baum"]


def padded(rows: list[list[int]], pad_id: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids [B, S] and which of them are real."""
    ids = torch.full((len(rows), max(map(len, rows))), pad_id)
    for row, values in zip(ids, rows, strict=True):
        row[: len(values)] = torch.tensor(values)
    return ids, ids != pad_id


@pytest.fixture(params=["joint BPE", "OPUS-MT"], scope="module")
def saved(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of ours with random weights and either kind of tokenizer."""
    tokenizer: Any
    if request.param == "OPUS-MT":
        data_dir = request.getfixturevalue("data_dir")
        tokenizer = MarianTokenizer.load(data_dir / "tokenizers" / "marian-fr-en")
    else:
        tokenizer = JointBpe.train([*SENTENCES, "die Katze sitzt auf der Matte"] * 9, 300)
    torch.manual_seed(1)
    model = EncoderDecoder(
        EncoderDecoderConfig(
            vocab_size=tokenizer.vocab_size, d_model=16, d_ff=24, n_heads=4, n_encoder_layers=2,
            n_decoder_layers=2, activation="silu", max_seq_len=64, pad_id=tokenizer.pad_id,
            eos_id=tokenizer.eos_id, start_id=tokenizer.pad_id,
        )
    )  # fmt: skip
    shake(model, tokenizer.pad_id)
    model.final_logits_bias[: tokenizer.pad_id].normal_()
    source_ids, source_valid = padded(tokenizer.encode_source(SENTENCES), tokenizer.pad_id)
    target_ids, target_valid = padded(tokenizer.encode_target(TRANSLATIONS), tokenizer.pad_id)
    target_in = torch.cat([torch.full((4, 1), tokenizer.pad_id), target_ids[:, :-1]], dim=1)

    def loss() -> torch.Tensor:
        hidden = model(source_ids, source_valid, target_in)
        logits = model.logits(hidden[target_valid])[:, : tokenizer.pad_id]  # never predicted
        return F.cross_entropy(logits, target_ids[target_valid])

    learn(model, loss, steps=200)
    folder = tmp_path_factory.mktemp("saved") / "model"
    save_folder(folder, model, tokenizer, extras={"recipe": {"seed": 1}}, card="# A model")
    return folder


def our_translations(folder: Path, roles: dict[str, Any], **options: Any) -> list[list[int]]:
    """Ids with end of sentence, by beam search (greedy: one beam)."""
    loaded = load_folder(folder)
    config = loaded.model.config
    source = padded(loaded.tokenizer.encode_source(SENTENCES), config.pad_id)
    with torch.no_grad():
        cache = loaded.model.start_decoding(*source)
        found = beam_search(
            loaded.model.next_logits,
            cache,
            TokenRoles(config.start_id, config.eos_id, **roles),
            [LIMIT] * len(SENTENCES),
            options=BeamOptions(**options),
        )
    ids = [list(hypotheses[0].token_ids) for hypotheses in found]
    assert len(set(map(len, ids))) > 2, "these translations are too much alike to compare"
    return ids


def test_what_we_save_transformers_loads_unchanged(saved: Path) -> None:
    ours = load_folder(saved)
    model, report = transformers.AutoModelForSeq2SeqLM.from_pretrained(
        saved, output_loading_info=True
    )
    tokenizer = transformers.AutoTokenizer.from_pretrained(saved)
    assert not any(report[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    batch = tokenizer(SENTENCES, return_tensors="pt", padding=True)
    expected = ours.tokenizer.encode_source(SENTENCES)
    masked = zip(batch["input_ids"], batch["attention_mask"].bool(), strict=True)
    assert [ids[mask].tolist() for ids, mask in masked] == expected

    target = torch.randint(0, 200, (len(SENTENCES), 5), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        theirs = model(**batch, decoder_input_ids=target).logits
        valid = batch["attention_mask"].bool()
        logits = ours.model.logits(ours.model(batch["input_ids"], valid, target))
    torch.testing.assert_close(logits, theirs, rtol=0, atol=1e-5)

    pad = ours.model.config.pad_id
    for beam_size in (1, 4):
        generated = model.generate(
            **batch, num_beams=beam_size, max_length=LIMIT + 1, early_stopping="never"
        )
        theirs_ids = [[i for i in row if i != pad] for row in generated.tolist()]
        patience = 1.0 if beam_size == 1 else float("inf")
        roles = {"banned_ids": (pad,)}
        assert theirs_ids == our_translations(saved, roles, beam_size=beam_size, patience=patience)
        texts = tokenizer.batch_decode(generated, skip_special_tokens=True)
        assert texts == [ours.tokenizer.decode_target(ids) for ids in theirs_ids]


def test_what_we_save_ctranslate2_converts_unchanged(saved: Path) -> None:
    ctranslate2 = pytest.importorskip("ctranslate2")
    converter = ctranslate2.converters.TransformersConverter(str(saved))
    converted = converter.convert(str(saved.parent / "ctranslate2"), force=True)
    translator = ctranslate2.Translator(converted, device="cpu", intra_threads=1)
    names = transformers.AutoTokenizer.from_pretrained(saved).convert_ids_to_tokens
    config = load_folder(saved).model.config
    rows = load_folder(saved).tokenizer.encode_source(SENTENCES)
    for beam_size in (1, 4):
        results = translator.translate_batch(
            [names(ids) for ids in rows],
            beam_size=beam_size,
            min_decoding_length=0,
            max_decoding_length=LIMIT,
        )
        ours = our_translations(
            saved, {"outside_ids": (config.pad_id,)}, beam_size=beam_size, at_limit="unfinished"
        )
        ours = [[i for i in ids if i != config.eos_id] for ids in ours]
        assert [result.hypotheses[0] for result in results] == [names(ids) for ids in ours]


def test_what_transformers_saves_we_load(saved: Path, tmp_path: Path) -> None:
    """Back again through their save_pretrained, with the tokenizer's files copied."""
    model = transformers.AutoModelForSeq2SeqLM.from_pretrained(saved)
    ours = load_folder(saved)
    ours.tokenizer.save(tmp_path)
    for dtype in (torch.float32, torch.float16):
        model.to(dtype).save_pretrained(tmp_path)
        again = load_folder(tmp_path).model.state_dict()
        for name, tensor in ours.model.state_dict().items():
            assert torch.equal(again[name], tensor.to(dtype).float()), name
