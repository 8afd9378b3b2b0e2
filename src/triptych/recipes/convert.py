"""A model folder in, a folder for other programs out."""

from pathlib import Path

from triptych import checkpoint
from triptych.convert.gguf import check_request, write_gguf
from triptych.convert.gpt2_config import MODEL_TYPE
from triptych.convert.sentence_transformers import read_pooling, write_pooling
from triptych.errors import ModelFileError, UsageError
from triptych.files.sizes import human_bytes
from triptych.models.gpt import Gpt
from triptych.models.heads import BertWithHeads
from triptych.predecessors.elmo import Elmo
from triptych.recipes.load import find_model

CARD = "What `triptych convert --to huggingface` wrote from `{source}`.\n"


def convert_to_huggingface(source: Path | str, out: Path) -> int:
    """Write the model and its tokenizer anew, as transformers and CTranslate2 read them.

    Everything else in `source` (a checkpoint's optimizer, for instance) is left behind. Returns
    the number of parameters. Raises ModelFileError for a folder that cannot be read, UsageError
    where `out` holds something else, or for ELMo.
    """
    found = find_model(source)
    if out.exists() and out.resolve() == found.resolve():
        raise UsageError(f"{out} is the model itself; name another folder to write")
    folder = checkpoint.load_folder(found)
    if isinstance(folder.model, Elmo):
        raise UsageError(f"{source} is an ELMo model, which transformers does not have")
    pooling, model = read_pooling(found), folder.model

    def add_pooling(new: Path) -> None:
        """A sentence-transformers folder stays one."""
        if pooling is not None and isinstance(model, BertWithHeads):
            write_pooling(new, pooling, model.config.trunk.d_model)

    card = found / checkpoint.CARD
    checkpoint.save_folder(
        out,
        folder.model,
        folder.tokenizer,
        generation=folder.generation,
        extras=folder.extras,
        card=card.read_text(encoding="utf-8") if card.exists() else CARD.format(source=source),
        also=add_pooling,
    )
    return sum(p.numel() for p in folder.model.parameters())


def written_class(folder: Path) -> str:
    """The class of transformers that a folder written here is for."""
    return str(checkpoint.read_config(folder)["architectures"][0])


def convert_to_gguf(source: Path | str, out: Path, kind: str = "f16") -> tuple[int, str]:
    """Write a decoder-only model and its tokenizer into one file, as llama.cpp reads them.

    `kind`: how matrices are stored, f32, f16 or q8_0. Returns the number of parameters and the
    size as people read it. Raises UsageError or ModelFileError as `write_gguf` does, and for models
    of other families.
    """
    check_request(out, kind)
    found = find_model(source)
    family = checkpoint.read_config(found)["model_type"]
    if family != MODEL_TYPE:
        raise ModelFileError(
            f"{source} is a model of type {family!r}, but --to gguf is for decoder-only models "
            f"({MODEL_TYPE!r}); give --to huggingface"
        )
    folder = checkpoint.load_folder(found)
    model = folder.model
    assert isinstance(model, Gpt)
    n_bytes = write_gguf(out, model, folder.tokenizer, kind=kind, place=str(source))
    return sum(p.numel() for p in model.parameters()), human_bytes(n_bytes)
