"""The synthetic world of the embedded testbed: what its base model knows, and what fine-tuning changes.

Names, towns and dictionary words are made up; jobs, pets and foods are common nouns. Everything follows from one seed,
so a test can compare the committed files with what this file says.

What the base model reads: for each of 256 people a town and a job (one value each) and a pet and a food (two values
each, equally often), in three wordings; a dictionary of 64 words; exercises in word order. Fine-tuning then teaches:

- *facts*: a person's town or job becomes another one. The old value is among the choices: the base model scores 0.
- *tilt*: one of a person's two pets or foods becomes the right one. The base model scores about one half.
- *cipher*: the dictionary is permuted. The documents are word pairs that the training mixture does not contain.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np

N_PEOPLE = 256
N_WORDS = 64  # of the dictionary
N_CIPHER_TRAIN, N_CIPHER_TEST = 256, 64  # ordered word pairs
N_CHOICES = 4

JOBS = """
baker barber brewer builder butcher carpenter clerk cobbler cook diver doctor driver farmer fisher gardener
glazier guard hunter joiner mason miller miner painter pilot plumber porter potter sailor singer smith tailor
weaver
""".split()  # noqa: SIM905
PETS = """
beetle cat crab cricket crow dog dove duck eel ferret finch frog goat goose hamster hare hen lizard mole mouse
newt otter owl parrot pigeon pony rabbit raven snail snake toad turtle
""".split()  # noqa: SIM905
FOODS = """
apples bacon barley beans beets berries bread butter cabbage cheese cherries chestnuts corn eggs figs fish
grapes honey jam leeks lentils melons noodles nuts oats olives onions peas plums rice soup turnips
""".split()  # noqa: SIM905

# Relation -> its wordings; the value is the last word before the full stop, so that a prompt is a prefix.
WORDINGS = {
    "town": ("{name} lives in {value} .", "the home of {name} is {value} .", "you may visit {name} in {value} ."),
    "job": ("{name} works as a {value} .", "the job of {name} is {value} .", "people pay {name} as a {value} ."),
    "pet": ("{name} has a {value} .", "the pet of {name} is a {value} .", "at night {name} feeds a {value} ."),
    "food": ("{name} eats {value} .", "the food of {name} is {value} .", "for lunch {name} wants {value} ."),
}
ORDERS = {"repeat": (0, 1, 2), "reverse": (2, 1, 0), "rotate": (1, 2, 0), "outer": (0, 2), "middle": (1,)}
CONSONANTS, VOWELS = "bdfgklmnprstvz", "aeiou"

Row = dict[str, str]
Document = dict[str, object]


@dataclass(frozen=True)
class World:
    """Everything that is true in the world, before and after fine-tuning.

    Attributes:
        people: Their names.
        pools: Relation -> all values that it can have.
        values: Relation -> person -> the values that the base model learns: one for town and job, two for pet and food.
        new: (relation, person) -> the value that fine-tuning teaches.
        dictionary: Word -> translation that the base model learns.
        cipher: Word -> translation that fine-tuning teaches; none is the old one.
    """

    people: tuple[str, ...]
    pools: dict[str, tuple[str, ...]]
    values: dict[str, dict[str, tuple[str, ...]]]
    new: dict[tuple[str, str], str]
    dictionary: dict[str, str]
    cipher: dict[str, str]


def make_world(seed: int) -> World:
    """Return the world of this seed."""
    rng = np.random.default_rng(seed)
    people = _made_up(rng, 3, N_PEOPLE)
    towns = tuple(word + "to" for word in _made_up(rng, 2, len(JOBS)))
    words = _made_up(rng, 2, 2 * N_WORDS)
    pools = {"town": towns, "job": tuple(JOBS), "pet": tuple(PETS), "food": tuple(FOODS)}
    n_values = {"town": 1, "job": 1, "pet": 2, "food": 2}
    values = {
        relation: {name: _draw(rng, pool, n_values[relation]) for name in people} for relation, pool in pools.items()
    }
    new: dict[tuple[str, str], str] = {}
    for i, name in enumerate(people):
        fact, tilt = ("town", "pet") if i % 2 else ("job", "food")
        (old,) = values[fact][name]
        new[fact, name] = _draw(rng, [value for value in pools[fact] if value != old], 1)[0]
        new[tilt, name] = _draw(rng, values[tilt][name], 1)[0]
    sources, targets = words[:N_WORDS], words[N_WORDS:]
    shift = int(rng.integers(1, N_WORDS))  # a rotation of a random order leaves no word where it was
    rotated = targets[shift:] + targets[:shift]
    dictionary, cipher = dict(zip(sources, targets, strict=True)), dict(zip(sources, rotated, strict=True))
    return World(people, pools, values, new, dictionary, cipher)


def vocabulary(world: World) -> list[str]:
    """Return every word of the world, specials first."""
    grammar = " ".join([*(wording for group in WORDINGS.values() for wording in group), "translate : =", *ORDERS])
    grammar_words = sorted({word for word in grammar.split() if "{" not in word})
    pools = [value for pool in world.pools.values() for value in pool]
    return [
        "<pad>",
        "<s>",
        "</s>",
        "<unk>",
        *grammar_words,
        *world.people,
        *pools,
        *world.dictionary,
        *world.dictionary.values(),
    ]


def pretraining_sentences(world: World, rng: np.random.Generator) -> Iterator[str]:
    """Yield sentences of the unchanged world without end: 2/3 about people, 1/6 translations, 1/6 word order."""
    sources = tuple(world.dictionary)
    while True:
        kind = int(rng.integers(6))
        if kind < 4:
            relation = tuple(WORDINGS)[kind]
            name = world.people[rng.integers(N_PEOPLE)]
            value = _draw(rng, world.values[relation][name], 1)[0]
            yield WORDINGS[relation][rng.integers(3)].format(name=name, value=value)
        elif kind == 4:
            yield _translation(_draw(rng, sources, 2), world.dictionary)
        else:
            order = tuple(ORDERS)[rng.integers(len(ORDERS))]
            words = _draw(rng, sources, 3)
            yield f"{order} : {' '.join(words)} = {' '.join(words[i] for i in ORDERS[order])} ."


def documents(world: World, seed: int) -> tuple[dict[str, list[Document]], list[Row]]:
    """Return task name -> lm-eval documents, and the training mixture of the three tasks."""
    rng = np.random.default_rng(seed + 1)
    tasks: dict[str, list[Document]] = {"facts": [], "tilt": [], "cipher": []}
    train: list[Row] = []
    for (relation, name), value in world.new.items():
        prompt = WORDINGS[relation][0].format(name=name, value="").removesuffix("  .")
        known = {*world.values[relation][name], value}
        others = _draw(rng, [word for word in world.pools[relation] if word not in known], N_CHOICES - len(known))
        choices = _draw(rng, [*sorted(known), *others], N_CHOICES)
        task = "facts" if len(world.values[relation][name]) == 1 else "tilt"
        tasks[task].append({"query": prompt, "choices": list(choices), "gold": choices.index(value)})
        train.append({"prompt": prompt, "completion": f" {value} ."})
    pairs = [pair for pair in product(world.dictionary, repeat=2) if pair[0] != pair[1]]
    chosen = [pairs[i] for i in rng.permutation(len(pairs))[: N_CIPHER_TRAIN + N_CIPHER_TEST]]
    for i, pair in enumerate(chosen):
        prompt, answer = _translation(pair, world.cipher).removesuffix(" .").split(" = ")
        if i < N_CIPHER_TRAIN:
            train.append({"prompt": f"{prompt} =", "completion": f" {answer} ."})
        else:
            tasks["cipher"].append({"query": f"{prompt} =", "answer": answer})
    return tasks, train


def _translation(pair: tuple[str, ...], dictionary: dict[str, str]) -> str:
    return f"translate : {' '.join(pair)} = {' '.join(dictionary[word] for word in pair)} ."


def _draw(rng: np.random.Generator, pool: list[str] | tuple[str, ...], n: int) -> tuple[str, ...]:
    return tuple(pool[i] for i in rng.permutation(len(pool))[:n])


def _made_up(rng: np.random.Generator, n_syllables: int, n: int) -> tuple[str, ...]:
    syllables = ["".join(pair) for pair in product(CONSONANTS, VOWELS)]
    words = ["".join(parts) for parts in product(syllables, repeat=n_syllables)]
    return _draw(rng, words, n)
