"""Writes tiny Llama models whose answers are known beforehand, one per environment.

Nothing is downloaded or trained. The weights are set by hand so that a real server, with its
real tokenizer, template and scheduler, answers in a way that a test can predict:

* Every answer is one fixed chain of words that begins with the model's name and version. Whoever
  reads an answer knows which environment gave it, and any lost or mixed byte shows.
* The chain spells an emoji and an accented letter byte by byte, so that the server has to hold back
  half-finished characters, as real models make it do.
* A prompt with `A+B` (single digits) is answered by the sum, and wrongly for an exact share of the
  100 questions, so that an evaluation must arrive at an exactly known score.

How: an embedding is one-hot, and the output matrix maps each token to its successor. One
attention layer looks from the end of the prompt to the nearest question and writes that question's
number into 100 spare dimensions, from which the output matrix reads the answer. All else is zero or
unused.

What must stay true: the same arguments give the same bytes, and no token occurs twice in the chain.
"""

import random
import sys
from dataclasses import dataclass
from pathlib import Path

import gguf
import numpy as np

WIDTH, HEADS, HEAD_WIDTH, FEED_FORWARD = 768, 12, 64, 512
LAYERS = 2
CONTEXT = 4096
CHAIN_WORDS = 160
QUESTIONS = [f"{a}+{b}" for a in range(10) for b in range(10)]

BOS, END, ASSISTANT, PAD = "<|bos|>", "<|end|>", "<|assistant|>", "<|pad|>"
SPECIALS = [BOS, END, "<|system|>", "<|user|>", ASSISTANT, PAD]
TEMPLATE = (
    "<|bos|>{% for m in messages %}"
    "<|{{ m['role'] if m['role'] in ['system', 'user', 'assistant'] else 'user' }}|>"
    "{% if m['content'] is string %}{{ m['content'] }}{% elif m['content'] %}"
    "{% for p in m['content'] %}{% if p['type'] == 'text' %}{{ p['text'] }}{% endif %}{% endfor %}"
    "{% endif %}<|end|>{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


@dataclass(frozen=True)
class Model:
    """What an environment runs, and how many of the 100 questions it gets right."""

    name: str
    version: str
    right: int


BLUE = Model("blue", "1.2.3", 90)
GREEN = Model("green", "1.3.0", 96)
BAD = Model("bad", "1.4.0", 60)


def write(model: Model, directory: Path) -> Path:
    """Writes the model as GGUF and returns the file. A file that is there is complete."""
    path = directory / f"{model.name}.gguf"
    if not path.exists():
        directory.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        vocabulary = Vocabulary(model)
        _save(partial, model, vocabulary, _weights(model, vocabulary))
        partial.rename(path)
    return path


class Vocabulary:
    """Token texts, their kinds, and which token follows which."""

    def __init__(self, model: Model):
        self.texts: list[str] = []
        self.kinds: list[gguf.TokenType] = []
        for byte in range(256):
            self._add(_PRINTABLE[byte])
        self._add(_PRINTABLE[32] * 2)  # the one merge: servers refuse an empty list of merges
        self.special = {text: self._add(text, gguf.TokenType.CONTROL) for text in SPECIALS}
        self.questions = [self._add(text, gguf.TokenType.USER_DEFINED) for text in QUESTIONS]
        self.sums = [self._add(_spell(f" {sum_}")) for sum_ in range(20)]
        self.chain = self._chain(model)
        while len(self.texts) % 64:
            self._add(f"<|unused{len(self.texts)}|>", gguf.TokenType.CONTROL)

    def __len__(self) -> int:
        return len(self.texts)

    def successors(self) -> np.ndarray:
        """For each token the one that follows; whatever is not in the chain starts it."""
        follow = np.full(len(self), self.chain[0])
        follow[self.chain[:-1]] = self.chain[1:]
        follow[self.chain[-1]] = self.special[END]
        follow[self.sums] = self.special[END]
        return follow

    def _add(self, text: str, kind: gguf.TokenType = gguf.TokenType.NORMAL) -> int:
        self.texts.append(text)
        self.kinds.append(kind)
        return len(self.texts) - 1

    def _chain(self, model: Model) -> list[int]:
        head = [self._add(_spell(model.name)), self._add(_spell(f" v{model.version}"))]
        words = [self._add(_spell(f" {word}")) for word in _words(model)]
        crab, accent = list(" 🦀".encode()), list("é".encode())
        chain = head + words[:6] + crab + words[6:12] + accent + words[12:]
        assert len(set(chain)) == len(chain), "a token that occurs twice would end in a loop"
        return chain


def _words(model: Model) -> list[str]:
    """Pseudo-words that only this model says, in an order that only depends on it."""
    chance = random.Random(f"{model.name} {model.version}")
    syllables = [consonant + vowel for consonant in "bdklmnrt" for vowel in "aeio"]
    words: list[str] = []
    while len(words) < CHAIN_WORDS:
        word = "".join(chance.choices(syllables, k=chance.choice([2, 2, 3])))
        if word not in words:
            words.append(word)
    return words


def _weights(model: Model, vocabulary: Vocabulary) -> dict[str, np.ndarray]:
    size = len(vocabulary)
    assert size + len(QUESTIONS) <= WIDTH, "each token and each question needs its own dimension"
    tokens = np.arange(size)
    embedding = np.zeros((size, WIDTH), np.float32)
    embedding[tokens, tokens] = 1
    output = np.zeros((size, WIDTH), np.float32)
    output[vocabulary.successors(), tokens] = 1
    for question, answer in enumerate(_answers(model)):
        output[vocabulary.sums[answer], size + question] = 1
    weights = {
        "token_embd.weight": embedding,
        "output.weight": output,
        "output_norm.weight": np.ones(WIDTH, np.float32),
    }
    noise = np.random.default_rng(7)
    for layer in range(LAYERS):
        attention = _attention(vocabulary) if layer == 0 else _unused_attention(noise)
        tensors = attention | {
            "attn_norm": np.ones(WIDTH, np.float32),
            "ffn_norm": np.ones(WIDTH, np.float32),
            "ffn_gate": _noise(noise, (FEED_FORWARD, WIDTH)),
            "ffn_up": _noise(noise, (FEED_FORWARD, WIDTH)),
            "ffn_down": np.zeros((WIDTH, FEED_FORWARD), np.float32),  # work without an effect
        }
        weights |= {f"blk.{layer}.{name}.weight": tensor for name, tensor in tensors.items()}
    return weights


def _answers(model: Model) -> list[int]:
    """The sum of each question, one too high for those that this model gets wrong."""
    chance = random.Random(f"wrong {model.name} {model.version}")
    wrong = set(chance.sample(range(len(QUESTIONS)), len(QUESTIONS) - model.right))
    sums = [int(text[0]) + int(text[2]) for text in QUESTIONS]
    return [sum_ + (question in wrong) for question, sum_ in enumerate(sums)]


def _attention(vocabulary: Vocabulary) -> dict[str, np.ndarray]:
    """Copies the number of the nearest question to where an answer begins.

    Two heads share the 100 questions, 64 and 36. Every token looks at the first one, whose value
    is nothing, through a pair of dimensions that hardly turns with distance. Tokens that end a
    prompt match questions ten times as strongly, through a pair that turns a little faster, so that
    the nearest question wins.
    """
    still, turning = 2 * 31, 2 * 22
    query, key, value, out = (np.zeros((WIDTH, WIDTH), np.float32) for _ in range(4))
    size = len(vocabulary)
    prompt_ends = [vocabulary.special[ASSISTANT], ord(":"), ord("=")]
    for head in range(2):
        row = head * HEAD_WIDTH
        query[row + still, :size] = 1.02
        key[row + still, vocabulary.special[BOS]] = 1.02
        query[row + turning, prompt_ends] = 3.27
        key[row + turning, vocabulary.questions] = 3.27
    for question, token in enumerate(vocabulary.questions):
        value[question, token] = 1
        # Above the weight that the token itself has, so that the sum beats the chain.
        out[size + question, question] = 4 / np.sqrt(WIDTH)
    return {"attn_q": query, "attn_k": key, "attn_v": value, "attn_output": out}


def _unused_attention(noise: np.random.Generator) -> dict[str, np.ndarray]:
    """A layer that computes as much as any other and whose result is thrown away."""
    tensors = {name: _noise(noise, (WIDTH, WIDTH)) for name in ("attn_q", "attn_k", "attn_v")}
    return tensors | {"attn_output": np.zeros((WIDTH, WIDTH), np.float32)}


def _noise(noise: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    return (noise.standard_normal(shape) * 0.02).astype(np.float32)


def _save(path: Path, model: Model, vocabulary: Vocabulary, weights: dict[str, np.ndarray]) -> None:
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name(model.name)
    writer.add_version(model.version)
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(FEED_FORWARD)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_freq_base(10_000.0)
    writer.add_rope_dimension_count(HEAD_WIDTH)
    writer.add_vocab_size(len(vocabulary))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("llama-bpe")
    writer.add_token_list(vocabulary.texts)
    writer.add_token_types(vocabulary.kinds)
    writer.add_token_merges([f"{_PRINTABLE[32]} {_PRINTABLE[32]}"])
    writer.add_bos_token_id(vocabulary.special[BOS])
    writer.add_eos_token_id(vocabulary.special[END])
    writer.add_pad_token_id(vocabulary.special[PAD])
    writer.add_add_bos_token(True)
    writer.add_chat_template(TEMPLATE)
    for name, tensor in weights.items():
        writer.add_tensor(name, np.ascontiguousarray(tensor, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _printable_bytes() -> list[str]:
    """GPT-2's stand-in for each byte: printable ones stay, the others move above 255."""
    stay = {*range(33, 127), *range(161, 173), *range(174, 256)}
    moved = iter(range(256, 512))
    return [chr(byte if byte in stay else next(moved)) for byte in range(256)]


_PRINTABLE = _printable_bytes()


def _spell(text: str) -> str:
    return "".join(_PRINTABLE[byte] for byte in text.encode())


if __name__ == "__main__":
    for each in (BLUE, GREEN, BAD):
        print(write(each, Path(sys.argv[1])))
