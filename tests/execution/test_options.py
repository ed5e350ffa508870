import pytest

from orchestrator.execution.options import Options, parse

FROZEN = """\
--activation-checkpointing --address --arms --budget-hours --check --compile --confirm
--cpus-per-worker --data-root --dataset --demo --detect --dry-run --epochs --fast --feature-memory
--folds --gpus-per-worker --help --max-concurrent --num-workers --price-per-hour --seeds --smoke
--store --tracking-uri --until-decided
""".split()


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch):
    for name in ("ADDRESS", "STORE", "DATA_ROOT", "GPUS_PER_WORKER", "CPUS_PER_WORKER"):
        monkeypatch.delenv(f"ORCHESTRATOR_{name}", raising=False)


def asked(*argv: str) -> Options:
    return parse(argv, description="?")


def test_flags_are_frozen(capsys):
    with pytest.raises(SystemExit):
        asked("--help")
    words = capsys.readouterr().out.replace(",", " ").replace("[", " ").replace("]", " ").split()
    assert sorted({word for word in words if word.startswith("--")}) == FROZEN


@pytest.mark.parametrize(
    ("text", "seeds"), [("3", (0, 1, 2)), ("7,3", (7, 3)), ("5,", (5,)), ("1", (0,))]
)
def test_seeds_are_a_count_or_a_list(text, seeds):
    assert asked("--seeds", text).seeds == seeds


@pytest.mark.parametrize(("text", "folds"), [("2", (2,)), ("1,3", (1, 3)), ("all", ())])
def test_folds_are_a_list_or_all(text, folds):
    assert asked("--folds", text).folds == folds


@pytest.mark.parametrize(
    "argv",
    [
        ("--seeds", "0"),
        ("--seeds", "-1"),
        ("--epochs", "x"),
        ("--num-workers", "0"),
        ("--cpus-per-worker", "0"),
        ("--gpus-per-worker", "1.5"),
        ("--gpus-per-worker", "-1"),
        ("--max-concurrent", "-2"),
        ("--nonsense",),
        ("--seeds", "٣"),
        ("--seeds", "9" * 5000),
        ("--seeds", "1000000000000"),
        ("--epochs", "1000000000"),
        ("--seeds", "1,9" + "9" * 30),
        ("--folds", "1,-2"),
        ("--arms",),
        ("--dry-run", "--check"),
        ("--smoke", "--check"),
        ("--smoke", "--epochs", "5"),
        ("--smoke", "--until-decided"),
        ("--detect", "2"),
        ("--compile", "default", "--activation-checkpointing"),
        ("--compile", "max-autotune"),
        ("--compile", "--num-workers", "2"),
        ("--gpus-per-worker", "auto", "--num-workers", "2"),
        ("--gpus-per-worker", "automatic"),
    ],
)
def test_bad_value_exits_with_2(argv, capsys):
    with pytest.raises(SystemExit) as caught:
        asked(*argv)
    assert caught.value.code == 2
    assert argv[0] in capsys.readouterr().err


def test_gpus_can_be_left_to_a_pilot():
    options = asked("--gpus-per-worker", "auto")
    assert options.fits_gpus and options.runtime.gpus_per_worker == 1
    assert not asked("--gpus-per-worker", "1").fits_gpus


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0, 4.0])
def test_gpus_are_a_fraction_or_whole(share):
    assert asked("--gpus-per-worker", str(share)).runtime.gpus_per_worker == share


@pytest.mark.parametrize(
    ("argv", "mode"),
    [
        ((), ""),
        (("--compile",), "default"),
        (("--compile", "--fast"), "default"),
        (("--compile", "reduce-overhead"), "reduce-overhead"),
    ],
)
def test_compile_has_a_mode(argv, mode):
    assert asked(*argv).runtime.compile == mode


def test_data_root_names_no_dataset_which_is_recognized_later():
    assert asked("--data-root", "somewhere").dataset == ""
    assert asked("--data-root", "somewhere", "--dataset", "synthetic").dataset == "synthetic"


def test_environment_gives_defaults_and_flags_win(monkeypatch):
    monkeypatch.setenv("ORCHESTRATOR_ADDRESS", "auto")
    monkeypatch.setenv("ORCHESTRATOR_STORE", "s3://bucket/store")
    monkeypatch.setenv("ORCHESTRATOR_GPUS_PER_WORKER", "0.5")
    assert asked().runtime.address == "auto"
    monkeypatch.setenv("ORCHESTRATOR_CPUS_PER_WORKER", "4")
    assert asked().runtime.gpus_per_worker == 0.5
    assert asked().runtime.cpus_per_worker == 4
    assert asked("--cpus-per-worker", "2").runtime.cpus_per_worker == 2
    assert asked().runtime.store == "s3://bucket/store"
    assert asked("--store", "here").runtime.store == "here"
