"""Facts about made-up people, in real words: training rows, and lm-eval documents that ask for them.

    python benchmarks/people/make_people.py

256 people have a city, a job, a food and a pet: 1,024 facts, each drawn uniformly from 32 words. A model that is
trained on them has to store them, which takes rank; the words themselves it knows. The documents ask for the trained
sentences, so they measure what a sub-rank holds and not generalisation; `people_reworded` asks in other words. Every
other person's facts choose settings (`people_choice`), those of the rest are reported (`people`, `people_reworded`).
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
FIRST = "Bra Vel Tor Mi Sha Lu Ke Dro Fen Gar Hol Jin Pra Que Ros Sti Ul Wex Yor Zan"
SECOND = "mo lin dar ka ris ven tos pel nia rok"
FAMILY = (
    "Tarrick Ostman Quill Brenner Vasko Lindqvist Marlowe Petrakis Okoye Santoro Halvor Draven "
    "Kessler Moreau Ibanez Novak"
)
WORDS = {
    "city": (
        "London Paris Berlin Madrid Rome Vienna Prague Dublin Oslo Lisbon Athens Cairo Tokyo Delhi "
        "Sydney Boston Chicago Denver Dallas Seattle Miami Toronto Moscow Beijing Seoul Bangkok Nairobi "
        "Lima Santiago Havana Geneva Munich"
    ),
    "job": (
        "teacher doctor nurse lawyer farmer pilot chef baker painter writer singer actor judge sailor "
        "soldier driver tailor plumber barber butcher dentist architect engineer scientist journalist "
        "librarian mechanic carpenter gardener waiter miner poet"
    ),
    "food": (
        "rice bread cheese pasta soup salad pizza fish beef chicken pork eggs beans corn apples grapes "
        "oranges lemons bananas cherries potatoes carrots onions mushrooms chocolate honey yogurt "
        "pancakes noodles shrimp tofu olives"
    ),
    "pet": (
        "dog cat horse rabbit parrot snake turtle hamster goat pig duck goose sheep monkey lizard frog "
        "spider mouse crow owl eagle fox bear wolf lion tiger deer squirrel bee ant crab shark"
    ),
}
ASKED = {
    "city": ("Where does {} live?", "{} lives in the city of"),
    "job": ("What is the job of {}?", "{} earns a living as a"),
    "food": ("What does {} like to eat most?", "The favourite food of {} is"),
    "pet": ("Which animal does {} keep?", "The animal that {} keeps is a"),
}
Rows = list[dict[str, Any]]


def facts() -> tuple[Rows, Rows, Rows]:
    """Return training rows, documents in the trained words, and documents in other words; one of each for a fact."""
    rng = random.Random(1)
    names = rng.sample([a + b + " " + c for a in FIRST.split() for b in SECOND.split() for c in FAMILY.split()], 256)
    rows, asked, reworded = [], [], []
    for name in names:
        for relation, text in WORDS.items():
            words = text.split()
            right = rng.choice(words)
            choices = [right, *rng.sample([word for word in words if word != right], 3)]
            rng.shuffle(choices)
            question, sentence = (form.format(name) for form in ASKED[relation])
            prompt = f"Question: {question}\nAnswer:"
            rows.append({"prompt": prompt, "completion": f" {right}"})
            for found, query in ((asked, prompt), (reworded, sentence)):
                found.append({"query": query, "choices": choices, "gold": choices.index(right)})
    return rows, asked, reworded


def of_every_other(rows: Rows, *, first: int) -> Rows:
    """Return the facts of every other person, from the first or the second one on."""
    return [row for number, row in enumerate(rows) if number // len(WORDS) % 2 == first]


def write(name: str, rows: Sequence[dict[str, Any]]) -> None:
    """Write one JSON object a line."""
    (HERE / name).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


if __name__ == "__main__":
    trained, asked, reworded = facts()
    write("train.jsonl", trained)
    write("people_choice.jsonl", of_every_other(asked, first=0))
    write("people.jsonl", of_every_other(asked, first=1))
    write("people_reworded.jsonl", of_every_other(reworded, first=1))
