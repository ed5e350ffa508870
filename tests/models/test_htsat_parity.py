"""HTS-AT and its front end against the authors' code.

The numbers were made by running RetroCirce/HTS-Audio-Transformer 2e29471 (`model/htsat.py` with
torchlibrosa 0.1.0 and librosa 0.11, torch 2.11, CPU, eval mode) from waveform to output, on the
weights and clips that `htsat_files.py` computes by formula; its front end kept its own weights.
Its configuration was mel_bins=64, window_size=1024, hop_size=640, sample_rate=32000, fmin=50,
fmax=14000, loss_type="clip_bce"; the size is `SMALL` with spec_size=128. Of its probabilities the
log-odds are given: of both clips, and of one frame in 32 of the second clip. The gradients are of
the sum over the batch of (clip probability + mean frame probability) times (1, -2, 3, -4, 5).
"""

import pytest
import torch

import models
from tests.models.htsat_files import SMALL, formula_clips, formula_state, htsat_shapes

# (token semantics, samples): 251 frames, 88 frames (resized), 469 frames (cropped)
CASES = {
    (True, 160000): dict(
        clip=[
            [-1.296914, -0.626368, -0.563255, 0.441627, -0.925537],
            [-1.252835, -0.637649, -0.51402, 0.458989, -1.011653],
        ],
        frame=[
            [-0.536079, -0.682441, -0.678848, 0.609788, -1.262828],
            [-1.403152, -0.730242, -0.772454, 0.580543, -0.948957],
            [-1.36243, -0.546894, -0.650552, 0.596322, -1.145905],
            [-1.446038, -0.592142, -0.519298, 0.574756, -1.074904],
            [-1.373038, -0.682989, -0.639859, 0.577468, -1.077107],
            [-1.458352, -0.670317, -0.523249, 0.454299, -0.938532],
            [-1.35527, -0.505977, -0.534607, 0.531414, -1.034193],
            [-1.08832, -0.690192, 0.20671, -0.252683, -0.610795],
        ],
        gradients=(1.2825968, 18.198597, 0.1734078, 71.9801407, 167.6300964),
    ),
    (True, 56000): dict(
        clip=[
            [-1.260005, -0.61015, -0.585342, 0.351027, -0.940604],
            [-1.336722, -0.687456, -0.587461, 0.447927, -0.975318],
        ],
        gradients=(1.3205513, 19.0174484, 0.1515495, 72.1537399, 167.9044037),
    ),
    (True, 300000): dict(
        clip=[
            [-1.292115, -0.598853, -0.502152, 0.437643, -0.955521],
            [-1.265624, -0.628686, -0.569665, 0.444053, -0.9801],
        ],
        frame=[
            [-0.438449, -0.651308, -0.769482, 0.540733, -1.179942],
            [-1.483444, -0.677989, -0.682061, 0.596631, -0.928638],
            [-1.350558, -0.533729, -0.706052, 0.576248, -0.979675],
            [-1.505777, -0.537954, -0.621432, 0.535328, -0.946937],
            [-1.364133, -0.661572, -0.663274, 0.535622, -1.028926],
            [-1.491726, -0.705919, -0.636557, 0.436284, -1.036179],
            [-1.389059, -0.596052, -0.677874, 0.481475, -1.039589],
            [-1.101183, -0.663515, 0.200362, -0.151689, -0.696519],
        ],
        gradients=(1.3006662, 18.3640976, 0.1784623, 72.2032776, 168.0104065),
    ),
    (False, 160000): dict(
        clip=[
            [-1.223144, 0.300852, -1.572799, -0.361091, -0.627452],
            [-1.176592, 0.181821, -1.603724, -0.375286, -0.577673],
        ],
        frame=[
            [-2.29341, 0.381454, -2.994539, -0.663941, -1.155696],
            [-2.241186, 0.165423, -2.964184, -0.631798, -0.886099],
            [-2.238137, 0.105618, -2.915878, -0.519446, -0.999405],
            [-2.261705, 0.285363, -3.017252, -0.58102, -1.071236],
            [-2.379308, 0.114054, -2.979865, -0.398641, -1.113528],
            [-2.436103, 0.120635, -2.757359, -0.227524, -1.180182],
            [-2.356818, 0.14248, -2.873245, -0.467892, -1.146199],
            [-2.526831, 0.333367, -2.901352, -0.557363, -1.049379],
        ],
        gradients=(3.7638745, 33.519001, 0.2669089, 125.1201782, 102.8240967),
    ),
    (False, 300000): dict(
        clip=[
            [-1.185322, 0.22785, -1.622815, -0.376671, -0.619896],
            [-1.165276, 0.258619, -1.615788, -0.368145, -0.590907],
        ],
        gradients=(3.7399786, 33.7751465, 0.2825667, 124.2867889, 102.727478),
    ),
}


@pytest.mark.parametrize("form", CASES, ids=str)
def test_htsat_with_the_authors_weights_gives_the_authors_outputs(form):
    token_semantic, num_samples = form
    expected = CASES[form]
    chain = models.create_model("htsat_laptop", num_classes=5, token_semantic=token_semantic).eval()
    shapes = htsat_shapes(token_semantic=token_semantic, num_classes=5, **SMALL)
    renamed = chain.model.rename_published(formula_state(shapes))
    own = chain.model.state_dict()
    chain.model.load_state_dict({n: v for n, v in renamed.items() if n in own}, strict=True)
    output = chain(formula_clips(num_samples))
    clip_logits = torch.tensor(expected["clip"])
    torch.testing.assert_close(output.clip_logits, clip_logits, atol=2e-5, rtol=0)
    assert output.frame_logits.shape == (2, 8, 5)
    if "frame" in expected:
        # As probabilities, which is what was computed: near 1 they do not resolve log-odds.
        frame_logits = torch.tensor(expected["frame"])
        torch.testing.assert_close(
            output.frame_logits[1].sigmoid(), frame_logits.sigmoid(), atol=2e-6, rtol=0
        )
    clip, frame = (logits.sigmoid() for logits in output[:2])
    ((clip + frame.mean(dim=1)) * torch.tensor([1.0, -2.0, 3.0, -4.0, 5.0])).sum().backward()
    swin = chain.model.swin
    norms = [
        parameter.grad.norm()
        for parameter in (
            chain.model.bn0.weight,
            swin.patch_embed.proj.weight,
            swin.layers[0].blocks[1].attn.relative_position_bias_table,
            swin.layers[2].downsample.reduction.weight,
            chain.model.get_parameter(chain.model.head_parameters[0]),
        )
    ]
    torch.testing.assert_close(
        torch.stack(norms), torch.tensor(expected["gradients"]), atol=2e-6, rtol=2e-5
    )
