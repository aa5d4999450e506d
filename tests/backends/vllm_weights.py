"""A GGUF file as the folder that vLLM serves: ``.venv-vllm/bin/python tests/backends/vllm_weights.py MODEL.gguf FOLDER``.

It runs in vLLM's own environment, which has torch and transformers; ``make test-vllm`` calls it.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, AutoTokenizer


def main(source: Path, folder: Path) -> None:
    """Read, dequantise, write."""
    place, name = str(source.parent), source.name
    folder.mkdir(parents=True, exist_ok=True)
    AutoTokenizer.from_pretrained(place, gguf_file=name).save_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(place, gguf_file=name, dtype=torch.bfloat16)
    # Not model.save_pretrained: it refuses weights that were quantised once. vLLM must not think that they still are.
    del model.config.quantization_config
    model.generation_config.save_pretrained(folder)
    weights = {key: value.contiguous().clone() for key, value in model.state_dict().items()}
    if model.config.tie_word_embeddings:
        weights.pop("lm_head.weight", None)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    model.config.save_pretrained(folder)  # last: its being there says that the folder is whole


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute(), Path(sys.argv[2]))
