#!/usr/bin/env bash
# sentence-transformers 6.2.0: CachedMultipleNegativesRankingLoss returns a loss that is a leaf: it requires a gradient,
# has no graph, and makes the backward through the model in a hook of its own. loss.backward() is right, also of a sum;
# torch.autograd.grad(loss, parameters), by which the gradients of single tasks are compared, finds none of them, and
# raises nothing if unused ones are allowed. The same loss without the cache gives both.
# Seen: 'plain: leaf False, by autograd.grad 1 of 1, by backward 1 of 1',
#       'cached: leaf True, by autograd.grad 0 of 1, by backward 1 of 1'.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.14.1 transformers==5.24.0 sentence-transformers==6.2.0
cat >"$folder/check.py" <<'PY'
import sys
from pathlib import Path

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.losses import CachedMultipleNegativesRankingLoss, MultipleNegativesRankingLoss
from sentence_transformers.models import Pooling, Transformer
from transformers import BertConfig, BertModel, BertTokenizerFast

folder = Path(sys.argv[1]) / "bert"
folder.mkdir()
words = "[PAD] [UNK] [CLS] [SEP] [MASK] red green blue warm cold".split()
(folder / "vocab.txt").write_text("\n".join(words))
torch.manual_seed(0)
config = BertConfig(vocab_size=len(words), hidden_size=8, num_hidden_layers=1, num_attention_heads=2,
                    intermediate_size=16, max_position_embeddings=16, hidden_dropout_prob=0.0,
                    attention_probs_dropout_prob=0.0)
BertModel(config, add_pooling_layer=False).save_pretrained(folder)
BertTokenizerFast(vocab_file=str(folder / "vocab.txt")).save_pretrained(folder)
model = SentenceTransformer(modules=[Transformer(str(folder)), Pooling(8)], device="cpu")
embedding = next(p for name, p in model.named_parameters() if "word_embeddings" in name)
parameters = [embedding]


def features(*texts):
    return model.preprocess(list(texts)) if hasattr(model, "preprocess") else model.tokenize(list(texts))


wanted = None
for name, kind in (("plain", MultipleNegativesRankingLoss), ("cached", CachedMultipleNegativesRankingLoss)):
    loss = kind(model)([features("red", "green blue"), features("warm red", "cold blue")], None)
    assert loss.requires_grad
    found = torch.autograd.grad(loss, parameters, allow_unused=True, retain_graph=name == "plain")
    model.zero_grad()
    loss.backward()
    written = [p.grad for p in parameters]
    by_grad, by_backward = (sum(g is not None for g in gs) for gs in (found, written))
    print(f"{name}: leaf {loss.grad_fn is None}, by autograd.grad {by_grad} of {len(parameters)}, "
          f"by backward {by_backward} of {len(parameters)}")
    assert by_backward == len(parameters)
    assert (loss.grad_fn is None, by_grad) == ((True, 0) if name == "cached" else (False, len(parameters)))
    dense = [g.to_dense() if g.is_sparse else g.clone() for g in written]
    wanted = wanted or dense
    assert all(torch.allclose(g, w, atol=1e-6) for g, w in zip(dense, wanted))
PY
OMP_NUM_THREADS=1 "$folder/venv/bin/python" "$folder/check.py" "$folder"
