import pytest
import torch

from models import create_model
from models.introspection import event_map, input_change, moved_keys


@pytest.fixture
def waveform():
    return 0.1 * torch.randn(2, 80000, generator=torch.Generator().manual_seed(0))


def test_input_change_of_the_adaptor_is_its_residual(waveform):
    chain = create_model("datar_laptop", num_classes=3)
    chain.set_normalization(-5.0, 3.0)
    change = input_change(chain, waveform)
    learned = chain.transform(change.before) - change.before
    assert change.before.shape == (2, 1, 64, 128)
    torch.testing.assert_close(change.after - change.before, learned)
    assert learned.any()
    torch.testing.assert_close(change.before, (chain.frontend(waveform) + 5.0) / 6.0)


def test_input_change_of_a_plain_chain_is_none(waveform):
    change = input_change(create_model("ast_laptop", num_classes=3), waveform)
    assert torch.equal(change.before, change.after)


def test_moved_keys_are_what_the_blocks_sample(waveform):
    chain = create_model("datar_laptop", num_classes=3)
    blocks = moved_keys(chain, waveform)
    assert [block.map_size for block in blocks] == [(4, 8), (2, 4)]
    for block in blocks:
        height, width = block.map_size
        assert block.positions.shape[0] == 2 and block.positions.shape[2:] == (height * width, 2)
        assert block.reference.shape == (height * width, 2)
        # With a range factor of 2 a key moves by less than two cells of its grid of width 2.
        cell = torch.tensor([2 / height, 2 / width])
        moved = (block.positions - block.reference).abs()
        assert moved.any() and (moved < cell).all()


def test_moved_keys_stay_where_they_are_without_offsets(waveform):
    assert moved_keys(create_model("datar_laptop", num_classes=3, deformable=False), waveform) == ()
    assert moved_keys(create_model("ast_laptop", num_classes=3), waveform) == ()


def test_moved_keys_of_the_second_form_stay_inside_the_map(waveform):
    blocks = moved_keys(create_model("datar_pp_laptop", num_classes=3), waveform)
    assert blocks
    for block in blocks:
        assert (block.positions - block.reference).any() and block.positions.abs().max() <= 1


def test_event_map_is_a_distribution_at_every_frame(waveform):
    events = event_map(create_model("htsat_laptop", num_classes=3), waveform)
    assert events is not None and events.shape[0] == 2 and events.shape[2] == 3
    torch.testing.assert_close(events.sum(dim=2), torch.ones(events.shape[:2]))
    assert event_map(create_model("ast_laptop", num_classes=3), waveform) is None


def test_looking_leaves_the_chain_as_it_was(waveform):
    chain = create_model("htsat_laptop", num_classes=3)
    before = {name: value.clone() for name, value in chain.state_dict().items()}
    chain.model.eval()
    event_map(chain, waveform)
    moved_keys(chain, waveform)
    assert chain.training and not chain.model.training
    assert all(torch.equal(value, before[name]) for name, value in chain.state_dict().items())
