"""Res-15 with a memory of training clips: votes of the nearest, and what is before there are any.

With the trained encoder of roman-vygon/triplet_loss_kws 0d92edd (`runs/res15_35`) the embeddings
of ours and theirs are the same to the last bit; `test_res15.py` holds parity vectors of the trunk.
"""

import numpy as np
import pytest
import torch
from keyword_weights import res15_shapes
from published_weights import formula_state

from models.checkpoints.load import load_pretrained
from models.errors import ModelError
from models.registry import create


def small(**changes):
    torch.manual_seed(0)
    arguments = {"dim": 6, "depth": 4, "neighbours": 3} | changes
    return create("model", "res15_triplet", 1, (12, 0), 4, **arguments).eval()


def clips(count, seed=0):
    return torch.randn(count, 1, 12, 20, generator=torch.Generator().manual_seed(seed))


def test_embedding_has_length_one_and_the_classifier_answers_before_it_has_a_support_set():
    model = small()
    output = model(clips(3))
    torch.testing.assert_close(output.embedding.norm(dim=1), torch.ones(3))
    torch.testing.assert_close(output.clip_logits, model.head(output.embedding))


def test_support_sets_vote_by_nearness():
    model, labels = small(), torch.randint(0, 4, (40,), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        memory = model(clips(40, seed=2)).embedding
        queries = model(clips(9, seed=3)).embedding
        model.set_support(memory, labels)
        logits = model(clips(9, seed=3)).clip_logits
    distance = torch.cdist(queries.double(), memory.double()).numpy()
    for query, row in zip(logits.numpy(), distance, strict=True):
        nearest = labels.numpy()[np.argsort(row)[:3]]
        votes = np.bincount(nearest, minlength=4)
        assert query.argmax() == votes.argmax()
        np.testing.assert_allclose(np.exp(query), (votes + 0.25) / 4, rtol=1e-5)
        assert np.exp(query).sum() == pytest.approx(1)


def test_training_does_not_look_at_the_memory():
    model = small()
    before = model(clips(2)).clip_logits
    model.set_support(torch.eye(6)[:2], torch.tensor([0, 1]))
    assert not torch.equal(model(clips(2)).clip_logits, before)
    trained = model.train()(clips(2))
    torch.testing.assert_close(trained.clip_logits, model.head(trained.embedding))


def test_fewer_clips_than_neighbours_all_vote():
    model = small(neighbours=5)
    model.set_support(torch.eye(6)[:2], torch.tensor([3, 3]))
    votes = model(clips(1)).clip_logits.exp()
    torch.testing.assert_close(votes, torch.tensor([[0.25, 0.25, 0.25, 2.25]]) / 3)


def test_published_encoder_loads_without_a_classifier(tmp_path):
    model = small()
    torch.save(formula_state(res15_shapes(dim=6, depth=4)), tmp_path / "file.pt")
    assert set(load_pretrained(model, tmp_path / "file.pt").missing) == set(model.head_parameters)


def test_no_neighbours_are_refused():
    with pytest.raises(ModelError, match="neighbours=0"):
        small(neighbours=0)
