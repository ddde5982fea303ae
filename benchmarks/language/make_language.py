"""A made-up language: training rows, and lm-eval documents that ask for sentences that were not trained.

    python benchmarks/language/make_language.py

80 English words have a made-up word each, drawn from syllables. A sentence begins with the verb; its adjective comes
last, behind a particle that says whether the noun lives (`ka`) or not (`mo`). A model that is trained on 1,024
sentences has to store words, which takes rank, and rules, which hold for all; the documents are other sentences, so
they measure what was understood. In `language_words` the wrong choices have another word of the same kind, in
`language_grammar` the other particle, the English order, or both. `language_choice` has 64 documents of each kind,
again of other sentences, to choose settings on.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
LIVING = "dog cat horse cow pig bear wolf fox lion tiger bird duck goose eagle owl fish king queen doctor farmer"
THINGS = (
    "house door window table chair bed lamp book letter car train boat ship plane bridge road knife bottle clock hat"
)
ADJECTIVES = "red green blue yellow black white old young big small long short fat thin fast slow hot cold wet dry"
VERBS = (
    "fell waited vanished moved stopped shone burned broke grew shrank returned arrived left turned rolled jumped "
    "sank floated froze melted"
)
SYLLABLES = [a + b for a in "bdfgklmnprstvz" for b in "aeiou"]
PARTICLES = {"living": "ka", "things": "mo"}
N_TRAINED, N_TEST, N_CHOICE = 1024, 256, 64
Words = tuple[str, str, str]
Rows = list[dict[str, Any]]


class Language:
    """The dictionary, and the rules."""

    def __init__(self, rng: random.Random) -> None:
        """Draw a word of two syllables for every English word, no two alike."""
        self.kinds = (ADJECTIVES.split(), LIVING.split() + THINGS.split(), VERBS.split())
        english = [word for kind in self.kinds for word in kind]
        made_up = rng.sample([a + b for a, b in product(SYLLABLES, SYLLABLES)], len(english))
        self.words = dict(zip(english, made_up, strict=True))

    def translation(self, words: Words, *, wrong_particle: bool = False, english_order: bool = False) -> str:
        """Return the sentence of an adjective, a noun and a verb, if asked for with a mistake.

        Example:
            >>> Language(random.Random(1)).translation(("red", "dog", "slept"))
            'tubu laze ka gasa'
        """
        adjective, noun, verb = (self.words[word] for word in words)
        kind = "living" if (words[1] in LIVING.split()) != wrong_particle else "things"
        order = [PARTICLES[kind], adjective, noun] if english_order else [noun, PARTICLES[kind], adjective]
        return " ".join([verb, *order])

    def other_words(self, words: Words, slot: int, rng: random.Random) -> list[Words]:
        """Return the words with three others in place of one of them; a noun keeps its particle."""
        nouns = LIVING if words[1] in LIVING.split() else THINGS
        kind = nouns.split() if slot == 1 else self.kinds[slot]
        others = rng.sample([word for word in kind if word != words[slot]], 3)
        return [(*words[:slot], other, *words[slot + 1 :]) for other in others]  # type: ignore[misc]


def prompt(words: Words) -> str:
    """Return what is asked."""
    return f"English: The {' '.join(words)}.\nKelvan:"


def document(words: Words, right: str, wrong: Sequence[str], rng: random.Random) -> dict[str, Any]:
    """Return a document with its choices in random order."""
    choices = [right, *wrong]
    rng.shuffle(choices)
    return {"query": prompt(words), "choices": choices, "gold": choices.index(right)}


def asked_for_words(language: Language, sentences: Sequence[Words], rng: random.Random) -> Rows:
    """Return a document for each sentence; adjective, noun and verb take turns."""
    rows = []
    for number, words in enumerate(sentences):
        others = language.other_words(words, number % 3, rng)
        wrong = [language.translation(other) for other in others]
        rows.append(document(words, language.translation(words), wrong, rng))
    return rows


def asked_for_grammar(language: Language, sentences: Sequence[Words], rng: random.Random) -> Rows:
    """Return a document for each sentence, whose words are right in every choice."""
    mistakes = ({"wrong_particle": True}, {"english_order": True}, {"wrong_particle": True, "english_order": True})
    return [
        document(words, language.translation(words), [language.translation(words, **kind) for kind in mistakes], rng)
        for words in sentences
    ]


def language() -> dict[str, Rows]:
    """Return the rows of every file by its name; no sentence is in two of them."""
    rng = random.Random(1)
    made_up = Language(rng)
    sentences = rng.sample(list(product(*made_up.kinds)), N_TRAINED + 2 * N_TEST + 2 * N_CHOICE)
    trained, rest = sentences[:N_TRAINED], sentences[N_TRAINED:]
    words, grammar, choice = rest[:N_TEST], rest[N_TEST : 2 * N_TEST], rest[2 * N_TEST :]
    return {
        "train": [{"prompt": prompt(of), "completion": f" {made_up.translation(of)}"} for of in trained],
        "language_words": asked_for_words(made_up, words, rng),
        "language_grammar": asked_for_grammar(made_up, grammar, rng),
        "language_choice": [
            *asked_for_words(made_up, choice[:N_CHOICE], rng),
            *asked_for_grammar(made_up, choice[N_CHOICE:], rng),
        ],
    }


def as_text(trained: Rows) -> str:
    """Return what was trained as plain text, for calibration."""
    return "\n\n".join(row["prompt"] + row["completion"] for row in trained) + "\n"


if __name__ == "__main__":
    for name, rows in language().items():
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (HERE / f"{name}.jsonl").write_text(text, encoding="utf-8")
    (HERE / "train.txt").write_text(as_text(language()["train"]), encoding="utf-8")
