"""A real model server with a model that knows nothing: llama.cpp serving half a megabyte of random weights.

The text is noise; the protocol is llama.cpp's own. Good for trying aiMate where no model can be downloaded:

    pip install xllamacpp gguf numpy
    python examples/tiny_model_server.py 8080          # then, in another shell:
    OPENAI_BASE_URL=http://127.0.0.1:8080/v1 cargo run --release
"""
import pathlib
import sys
import tempfile
import time

import gguf
import numpy as np

WIDTH, LAYERS, HEADS, HIDDEN, CONTEXT = 64, 2, 4, 128, 2048
WORDS = ["▁the", "▁a", "▁of", "▁and", "▁to", "▁boiler", "▁May", "▁water", "▁is", "▁in", ".", ",", "é", "▁ü", "你", "好"]
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def write_model(path: pathlib.Path) -> None:
    """Writes a llama with random weights and a vocabulary of bytes and a few words."""
    out = gguf.GGUFWriter(str(path), "llama")
    out.add_name("tiny")
    out.add_context_length(CONTEXT)
    out.add_embedding_length(WIDTH)
    out.add_block_count(LAYERS)
    out.add_feed_forward_length(HIDDEN)
    out.add_head_count(HEADS)
    out.add_head_count_kv(HEADS)
    out.add_rope_dimension_count(WIDTH // HEADS)
    out.add_layer_norm_rms_eps(1e-5)

    kind = gguf.TokenType
    tokens = [("<unk>", kind.UNKNOWN), ("<s>", kind.CONTROL), ("</s>", kind.CONTROL)]
    tokens += [(f"<0x{byte:02X}>", kind.BYTE) for byte in range(256)]
    tokens += [("<|im_start|>", kind.CONTROL), ("<|im_end|>", kind.CONTROL)]
    tokens += [(chr(c), kind.NORMAL) for c in range(33, 127)] + [("▁", kind.NORMAL)]
    tokens += [(word, kind.NORMAL) for word in WORDS if len(word) > 1]
    out.add_vocab_size(len(tokens))
    out.add_tokenizer_model("llama")
    out.add_token_list([text for text, _ in tokens])
    out.add_token_scores([-float(n) for n in range(len(tokens))])
    out.add_token_types([int(kind) for _, kind in tokens])
    out.add_bos_token_id(1)
    out.add_eos_token_id(2)
    out.add_unk_token_id(0)
    out.add_chat_template(TEMPLATE)

    random = np.random.default_rng(7)

    def weights(name: str, *shape: int) -> None:
        out.add_tensor(name, random.normal(0, 0.4, shape).astype(np.float32))

    def ones(name: str) -> None:
        out.add_tensor(name, np.ones(WIDTH, dtype=np.float32))

    weights("token_embd.weight", len(tokens), WIDTH)
    weights("output.weight", len(tokens), WIDTH)
    ones("output_norm.weight")
    for n in range(LAYERS):
        for part in "qkv":
            weights(f"blk.{n}.attn_{part}.weight", WIDTH, WIDTH)
        weights(f"blk.{n}.attn_output.weight", WIDTH, WIDTH)
        weights(f"blk.{n}.ffn_gate.weight", HIDDEN, WIDTH)
        weights(f"blk.{n}.ffn_up.weight", HIDDEN, WIDTH)
        weights(f"blk.{n}.ffn_down.weight", WIDTH, HIDDEN)
        ones(f"blk.{n}.attn_norm.weight")
        ones(f"blk.{n}.ffn_norm.weight")
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()


def main() -> None:
    import xllamacpp

    model = pathlib.Path(tempfile.mkdtemp()) / "tiny.gguf"
    write_model(model)
    params = xllamacpp.CommonParams()
    params.model.path = str(model)
    params.model_alias = {"tiny"}
    params.hostnames = ["127.0.0.1"]
    params.port = int(sys.argv[1]) if len(sys.argv) > 1 else 8080
    params.n_ctx = CONTEXT
    params.cpuparams.n_threads = 1
    server = xllamacpp.Server(params)
    print(f"OPENAI_BASE_URL={server.listening_address}/v1", flush=True)
    while True:
        time.sleep(3600)


if __name__ == "__main__":
    main()
