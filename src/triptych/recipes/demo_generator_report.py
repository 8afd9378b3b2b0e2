"""The third panel in the demo's report: the distance to the best possible, and told stories."""

from triptych.recipes.demo_generator import GeneratorDemo
from triptych.recipes.report import Score, Section, facts, figure, paragraph, scores, table
from triptych.recipes.run_curves import GPT_PANELS, curves

N_TOLD = 4


def generator_sections(panel: GeneratorDemo) -> list[Section]:
    """The panel's part of the report."""
    learning = figure(
        curves(panel.run, GPT_PANELS),
        "Loss and the share of tokens guessed right over the updates, on validation stories.",
    )
    return [
        Section("Generator: scores", _scores(panel)),
        Section("Generator: how near to the grammar", _limit(panel)),
        Section("Generator: stories it goes on with", _told(panel)),
        Section("Generator: learning", learning),
    ]


def _scores(panel: GeneratorDemo) -> str:
    score, module = panel.score, panel.generator.module
    items = [
        Score(
            f"{score.ratio:.3f}",
            "times the least loss possible",
            f"{score.n} held-out stories; 5-gram model {score.five_gram_ratio:.3f}",
        ),
        Score(
            f"{panel.share_of_stories:.1%}",
            "of its stories are grammatical",
            f"{len(panel.continued)} drawn after two sentences of held-out stories",
        ),
        Score(f"{panel.seconds:.0f} s", "training", "tokenizer and data included"),
    ]
    shape = module.config
    summary = {
        "training stories": f"{len(panel.split.train):,}",
        "parameters": f"{sum(p.numel() for p in module.parameters()):,}",
        "model": f"{shape.n_layers} layers, {shape.d_model} wide, {shape.n_heads} heads",
        "vocabulary": f"{panel.generator.tokenizer.vocab_size:,} entries (byte-level BPE)",
    }
    return scores(items) + facts(summary)


def _limit(panel: GeneratorDemo) -> str:
    score = panel.score
    text = paragraph(
        "The grammar that wrote the stories knows the exact probability of each. No model can have "
        "a lower loss on average, so the distance to it is known, which no real text can tell. "
        "Whole held-out stories, from the beginning to the end token."
    )
    rows = [
        [name, round(nats / score.n, 2), round(nats / score.n_tokens, 4), f"{nats / least:.3f}"]
        for name, nats, least in (
            ("the grammar itself", score.limit, score.limit),
            ("this model", score.nats, score.limit),
            ("a 5-gram model of words", score.five_gram, score.limit),
        )
    ]
    columns = [f"{score.n} stories", "nats a story", "nats a token", "times the least"]
    unseen = paragraph(
        f"{score.n_unseen} of them have no sentence in common with the training stories; on those "
        f"the model's loss is {score.unseen_ratio:.3f} times the least. Tokens are the model's own "
        f"({score.n_tokens:,})."
    )
    return text + table(columns, rows) + unseen


def _told(panel: GeneratorDemo) -> str:
    text = paragraph(
        "The first two sentences of held-out stories, what the model draws after them, and how the "
        "story really went on. A reader of the grammar, which is no part of the model, tells "
        "whether the grammar could have written the whole."
    )
    rows = [
        [story.given, story.told, story.own, "yes" if story.is_story else "no"]
        for story in panel.continued[:N_TOLD]
    ]
    return text + table(["given", "drawn", "the story's own end", "grammatical"], rows)
