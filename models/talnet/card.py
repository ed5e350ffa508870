"""TALNet (arXiv 1810.09050, MaigoAkisame/cmu-thesis 7578dda)."""

from models.card import Card, Paper, Weights, counts

CARD = Card(
    rank=9,
    paper=Paper(
        name="TALNet",
        title="A Comparison of Five Multiple Instance Learning Pooling Functions for Sound Event "
        "Detection with Weak Labeling",
        arxiv="1810.09050",
        code="MaigoAkisame/cmu-thesis 7578dda",
        license="MIT",
    ),
    frontend=("talnet_fbank", {}),
    frontends={"talnet_laptop": ("talnet_fbank", {"n_fft": 1024, "hop_length": 800, "n_mels": 32})},
    weights=(
        Weights(
            name="talnet_audioset",
            model="talnet",
            num_classes=527,
            trained_on=("audioset",),
            frontend=("talnet_fbank", {}),
            filename="TALNet.pt",
            url="http://islpc21.is.cs.cmu.edu/yunwang/git/cmu-thesis/model/TALNet.pt",
            page="https://github.com/MaigoAkisame/cmu-thesis#workspace",
            license="MIT",
            remark="the file lacks the statistics of the input: give mean and deviation of the "
            "authors' normalizer.pkl, or of the front end's output over your clips, as tensors "
            "(mels,) to chain.model.set_input_statistics(mean, std)",
        ),
    ),
    counts=counts(
        {"params": "9.98 M", "MACs": "3.6 G"}, model="talnet", label="TALNet", input_size=(64, 400)
    ),
)
