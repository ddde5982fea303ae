"""Make the embedded testbed: its tasks, its training mixture, and the small base model, pre-trained from scratch.

    python benchmarks/make_testbed.py --out aurac/testbed

takes 5 minutes on 2 cores. The text files follow from the seed alone; the weights also from the machine's arithmetic,
so another machine makes a model that is as good, not the same bytes.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from testbed_world import Document, Row, World, documents, make_world, pretraining_sentences, vocabulary
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from tokenizers.processors import TemplateProcessing
from tqdm import tqdm
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast, get_cosine_schedule_with_warmup

CONTEXT, BATCH, LEARNING_RATE = 64, 32, 3e-3


def main(argv: Sequence[str] | None = None) -> None:
    """Write `model/` and `tasks/*.jsonl` under `--out`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=6000)
    args = parser.parse_args(argv)

    world = make_world(args.seed)
    tasks, train = documents(world, args.seed)
    (args.out / "tasks").mkdir(parents=True, exist_ok=True)
    for name, rows in {**tasks, "train": train}.items():
        write_jsonl(args.out / "tasks" / f"{name}.jsonl", rows)

    tokenizer = make_tokenizer(vocabulary(world))
    model = pretrain(world, tokenizer, steps=args.steps, seed=args.seed)
    tokenizer.save_pretrained(args.out / "model")
    model.to(torch.bfloat16).save_pretrained(args.out / "model")


def write_jsonl(path: Path, rows: Sequence[Row] | Sequence[Document]) -> None:
    """Write one JSON object a line."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def make_tokenizer(words: list[str]) -> PreTrainedTokenizerFast:
    """Return a word-level tokenizer that puts `<s>` in front, as scoring and training then both do."""
    tokenizer = Tokenizer(WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = WhitespaceSplit()
    tokenizer.post_processor = TemplateProcessing(
        single="<s> $A", pair="<s> $A $B", special_tokens=[("<s>", words.index("<s>"))]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        unk_token="<unk>",
        model_max_length=CONTEXT,
        clean_up_tokenization_spaces=False,
    )


def pretrain(world: World, tokenizer: PreTrainedTokenizerFast, *, steps: int, seed: int) -> LlamaForCausalLM:
    """Return a Llama trained from scratch on the sentences of the world."""
    torch.manual_seed(seed)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=64,
            intermediate_size=192,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=CONTEXT,
            tie_word_embeddings=True,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, weight_decay=0.0)
    schedule = get_cosine_schedule_with_warmup(optimizer, steps // 20, steps)
    batches = packed_batches(world, tokenizer, np.random.default_rng(seed + 2))
    for _ in (bar := tqdm(range(steps))):
        tokens = next(batches)  # (batch, context)
        loss = model(input_ids=tokens, labels=tokens).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        bar.set_postfix(loss=f"{loss.item():.3f}", refresh=False)
    return model


def packed_batches(
    world: World, tokenizer: PreTrainedTokenizerFast, rng: np.random.Generator
) -> Iterator[torch.Tensor]:
    """Yield (batch, context) token ids; each row begins with a whole sentence and is filled with others."""
    vocab, sentences = tokenizer.get_vocab(), pretraining_sentences(world, rng)
    while True:
        rows = torch.empty(BATCH, CONTEXT, dtype=torch.long)
        for row in rows:
            tokens: list[int] = []
            while len(tokens) < CONTEXT:
                tokens += [
                    tokenizer.bos_token_id,
                    *(vocab[word] for word in next(sentences).split()),
                    tokenizer.eos_token_id,
                ]
            row[:] = torch.tensor(tokens[:CONTEXT])
        yield rows


if __name__ == "__main__":
    main()
