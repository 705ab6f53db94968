"""Small random models as transformers and peft write them, and what they answer there.

Run as `python -m tests.offline.finetune.tiny_models FOLDER`: torch is loaded in that process alone. Writes
a folder a model, and `answers.json`: for each the tokens of some texts and the greedy continuation.
"""

import json
import sys
from pathlib import Path
from typing import Any

TEXTS = (
    "The kettle sings.\n\n\tTwo   spaces, 12345 cups, it's DON'T!",
    "Olá! Até amanhã às 7h, ação é coração. ¿Qué tal, niño?",
    "日本語 и русский 🎭🎭 <|im_start|>user\nhi<|im_end|>",
)
PROMPT = [5, 40, 77, 130, 99, 3, 260, 301]
STEPS = 24
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{%- if message['role'] == 'assistant' %}\n{% generation %}{{ message['content'] }}<|im_end|>{% endgeneration %}\n"
    "{%- else %}\n{{ message['content'] }}<|im_end|>\n{%- endif %}\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
CHAT = [
    {"role": "user", "content": "hi"},
    {"role": "assistant", "content": "ho"},
    {"role": "user", "content": "more"},
]
LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
    r"|\s+(?!\S)|\s+"
)
SHAPE = {
    "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "vocab_size": 520, "max_position_embeddings": 256, "initializer_range": 0.25,
    "bos_token_id": 0, "eos_token_id": 2,
}  # fmt: skip


def tokenizer(rule: str) -> Any:  # Any: a tokenizer of transformers
    """Learned from the texts, cut as `rule` says."""
    from tokenizers import (
        Regex,
        Tokenizer,
        decoders,
        models,
        normalizers,
        pre_tokenizers,
        processors,
        trainers,
    )
    from transformers import PreTrainedTokenizerFast

    made = Tokenizer(models.BPE())
    level: Any = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=rule in {"gpt2", "smollm"})
    if rule == "smollm":
        level = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), level])
    elif rule != "gpt2":
        pattern = LLAMA3 if rule == "llama3" else LLAMA3.replace("{1,3}", "")
        level = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(pattern), "isolated"), level])
    made.pre_tokenizer = level
    if rule == "qwen2":
        made.normalizer = normalizers.NFC()
    made.decoder = decoders.ByteLevel()
    special = ["<|bos|>", "<|im_start|>", "<|im_end|>"]
    trainer = trainers.BpeTrainer(
        vocab_size=500,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    made.train_from_iterator([text for text in TEXTS for _ in range(3)], trainer)
    if rule == "llama3":
        made.post_processor = processors.TemplateProcessing("<|bos|> $A", special_tokens=[("<|bos|>", 0)])
    found = PreTrainedTokenizerFast(tokenizer_object=made, bos_token="<|bos|>", eos_token="<|im_end|>")
    found.chat_template = TEMPLATE
    return found


def make(folder: Path) -> None:
    """All of them."""
    import torch
    import transformers as hf
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(7)
    llama3 = {
        "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 64, "rope_theta": 10000.0,
    }  # fmt: skip
    wanted = {
        "llama": ("gpt2", hf.LlamaConfig(**SHAPE), torch.float32),
        "llama3": (
            "llama3",
            hf.LlamaConfig(**SHAPE, rope_parameters=llama3, tie_word_embeddings=True),
            torch.float32,
        ),
        "odd": (
            "smollm",
            hf.LlamaConfig(**{**SHAPE, "hidden_size": 72, "intermediate_size": 100}),
            torch.float32,
        ),
        "mistral": ("gpt2", hf.MistralConfig(**SHAPE, sliding_window=None), torch.bfloat16),
        "qwen2": ("qwen2", hf.Qwen2Config(**SHAPE, tie_word_embeddings=True), torch.bfloat16),
        "qwen3": ("qwen2", hf.Qwen3Config(**{**SHAPE, "head_dim": 32}), torch.float32),
    }
    answers: dict[str, Any] = {}
    for name, (rule, config, dtype) in wanted.items():
        model = hf.AutoModelForCausalLM.from_config(config).to(dtype)
        with torch.no_grad():
            for parameter_name, parameter in model.named_parameters():
                if "norm" in parameter_name or "bias" in parameter_name:
                    parameter.add_(torch.randn_like(parameter) * 0.2)
        model.save_pretrained(folder / name, max_shard_size="60KB" if name == "mistral" else "5GB")
        kept = tokenizer(rule)
        kept.save_pretrained(folder / name)
        answers[name] = {
            "greedy": greedy(model.float()),
            "texts": [kept.encode(text, add_special_tokens=False) for text in TEXTS],
            "chat": kept.apply_chat_template(CHAT, tokenize=False, add_generation_prompt=True),
        }
        if name in {"llama", "qwen3"}:
            settings = LoraConfig(r=4, lora_alpha=6, use_rslora=name == "qwen3", target_modules="all-linear")
            tuned = get_peft_model(model, settings)
            with torch.no_grad():
                for parameter_name, parameter in tuned.named_parameters():
                    if "lora_" in parameter_name:
                        parameter.copy_(torch.randn_like(parameter) * 0.2)
            tuned.save_pretrained(folder / f"{name}-adapter")
            answers[name]["adapted"] = greedy(tuned)
    (folder / "answers.json").write_text(json.dumps(answers))


def greedy(model: Any) -> list[int]:  # Any: a model of transformers
    """The likeliest tokens after the prompt."""
    import torch

    tokens = list(PROMPT)
    with torch.no_grad():
        for _ in range(STEPS):
            tokens.append(int(model(torch.tensor([tokens])).logits[0, -1].argmax()))
    return tokens[len(PROMPT) :]


if __name__ == "__main__":
    make(Path(sys.argv[1]))
