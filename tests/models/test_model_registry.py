import ast
import importlib
import inspect
import subprocess
import sys

import pytest

from models import create_model, registry
from models.errors import ModelError

PARTS = [
    (kind, name)
    for kind in ("frontend", "augmentation", "transform", "model")
    for name in registry.names(kind)
]

FIXED = {
    "PannsCnn": ("kernel_size", "num_convs", "num_pools", "pooling"),
    "VggSoundResNet": ("bottleneck", "depths"),
}


@pytest.mark.parametrize(("kind", "name"), PARTS)
def test_catalog_equals_the_signature(kind, name):
    entry = registry.lookup(kind, name)
    part = getattr(importlib.import_module(entry.module), entry.attribute)
    registered, sizes = registry._registered[kind, name]
    assert registered is part
    parameters = inspect.signature(part, eval_str=True).parameters.values()
    # An argument that tells the variants apart is in none of their entries.
    own = [
        p.replace(default=sizes.get(p.name, p.default))
        for p in parameters
        if p.kind is p.KEYWORD_ONLY and p.name not in FIXED.get(entry.attribute, ())
    ]
    assert list(entry.arguments) == [p.name for p in own]
    for parameter in own:
        argument = entry.arguments[parameter.name]
        assert argument.type == parameter.annotation
        assert argument.required == (parameter.default is parameter.empty)
        if not argument.required:
            assert argument.default == parameter.default
            assert type(argument.default) is type(parameter.default)
    assert not any(p.kind is p.VAR_KEYWORD for p in parameters)
    text = " ".join(inspect.getdoc(part).split())
    assert f"{name}: {entry.summary}" in text or text.startswith(entry.summary)
    assert entry.summary.endswith(".")


def test_names_are_these():
    assert set(PARTS) >= {
        ("frontend", "kaldi_fbank"),
        ("augmentation", "none"),
        ("augmentation", "spec_augment"),
        ("augmentation", "stripes"),
        ("transform", "identity"),
        ("transform", "adaptor"),
        ("transform", "gaussian"),
        ("transform", "laplacian"),
        ("model", "datar_tiny"),
        ("model", "datar_small"),
        ("model", "datar_base"),
        ("model", "datar_laptop"),
        ("model", "datar_pp_tiny"),
        ("model", "datar_pp_small"),
        ("model", "datar_pp_base"),
        ("model", "datar_pp_laptop"),
        ("model", "ast_tiny"),
        ("model", "ast_small"),
        ("model", "ast_base"),
        ("model", "ast_laptop"),
        ("model", "cnn6"),
        ("model", "cnn6_laptop"),
        ("model", "cnn10"),
        ("model", "cnn14"),
        ("model", "cnn14_decision_level_max"),
        ("model", "cnn14_decision_level_avg"),
        ("model", "cnn14_decision_level_att"),
        ("model", "resnet38"),
    }


def test_register_of_a_taken_name_is_refused():
    def adaptor():
        pass

    importlib.import_module("models.transforms")
    adaptor.__module__ = "elsewhere"
    with pytest.raises(registry.RegistryError, match=r"twice: models\.transforms, elsewhere"):
        registry.register("transform")(adaptor)


def test_register_of_an_unknown_kind_is_refused():
    with pytest.raises(registry.RegistryError, match="unknown kind"):
        registry.register("backbone")


def test_unknown_name_names_the_nearest():
    with pytest.raises(registry.RegistryError, match="did you mean 'datar_tiny'"):
        registry.lookup("model", "dater_tiny")


def test_unknown_name_of_many_is_answered_with_the_nearest_few_and_the_command_that_lists_all():
    with pytest.raises(registry.RegistryError) as caught:
        registry.lookup("model", "dater_tiny")
    count = len(registry.names("model"))
    assert f"all {count}: python -m models)" in str(caught.value)
    assert sum(name in str(caught.value).split("nearest")[1] for name in ("ast_base", "kwt_3")) == 0
    with pytest.raises(registry.RegistryError, match=r"unknown model 'xyzw' \(all \d+: python -m"):
        registry.lookup("model", "xyzw")


def test_unknown_name_of_few_is_answered_with_all():
    with pytest.raises(registry.RegistryError, match=r"valid: .*none, spec_augment, stripes\)"):
        registry.lookup("augmentation", "stripe")


def test_name_in_another_case_is_answered_with_the_nearest():
    with pytest.raises(registry.RegistryError, match="did you mean 'htsat_tiny'"):
        create_model("HTSAT_TINY", num_classes=5)


@pytest.mark.parametrize(
    ("name", "changes", "words"),
    [
        ("htsat_laptop", {"token_semantic": "no"}, "token_semantic is 'no'; it must be bool"),
        ("datar_laptop", {"offset_range_factor": float("nan")}, "is nan; it must be finite"),
        ("datar_laptop", {"depths": (1, 1.5, 1, 1)}, r"depths is \(1, 1.5, 1, 1\); it must be"),
        ("cnn6_laptop", {"dropout": "0.2", "head_dropout": None}, "dropout is .*; head_dropout is"),
    ],
)
def test_value_of_another_type_is_refused_by_name(name, changes, words):
    with pytest.raises(registry.RegistryError, match=words):
        create_model(name, num_classes=5, **changes)


def test_part_of_another_distribution_is_built_by_module_and_attribute():
    built = registry.create("transform", "models.transforms:Adaptor", 1, kernel_size=5)
    assert built.conv.kernel_size == (5, 5)


@pytest.mark.parametrize("name", ["models.transforms:Adapter", "no_such_module:Adaptor"])
def test_part_of_another_distribution_that_is_not_there_is_refused(name):
    with pytest.raises(registry.RegistryError, match="cannot be imported"):
        registry.create("transform", name, 1)


def test_catalog_with_a_name_twice_is_refused(tmp_path, monkeypatch):
    package = tmp_path / "parts_with_a_name_twice"
    package.mkdir()
    text = '@register("transform")\ndef same():\n    """Do nothing."""\n'
    for name in ("__init__", "one", "two"):
        (package / f"{name}.py").write_text(text if name != "__init__" else "")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(registry, "PACKAGES", (package.name,))
    with pytest.raises(registry.RegistryError, match=r"twice: .*\.one, .*\.two"):
        registry.catalog.__wrapped__()


VARIANTS = '''
@register("model", variants={"net_tiny": {}, "net_base": {"dim": 8}}, fixed=("deep",))
class Net:
    """Do nothing.

    Variants:
        net_tiny: A net of 0.5 M weights. It is small.
        net_base: A net for a
            server.
    """

    def __init__(self, num_channels, *, dim: int = 4, deep: bool = False): ...
'''


def entries(text):
    tree = ast.parse(text)
    return {entry.name: entry for entry in registry._entries(tree, "nets")}


def test_variants_have_the_defaults_of_the_class_but_for_their_own():
    found = entries(VARIANTS)
    assert list(found) == ["net_tiny", "net_base"]
    defaults = {
        name: [(argument.name, argument.default) for argument in entry.arguments.values()]
        for name, entry in found.items()
    }
    assert defaults == {"net_tiny": [("dim", 4)], "net_base": [("dim", 8)]}
    assert [entry.summary for entry in found.values()] == [
        "A net of 0.5 M weights.",
        "A net for a server.",
    ]


def test_variant_that_sets_an_argument_that_the_class_lacks_is_refused():
    with pytest.raises(registry.RegistryError, match=r"'net_base' of nets: .*mean 'dim'"):
        entries(VARIANTS.replace('"dim": 8', '"dims": 8'))


@pytest.mark.parametrize(
    "statement",
    [
        "import models",
        "import models.registry",
        "from models import registry; registry.catalog()",
        "import models; models.list_models()",
        "import models.errors",
    ],
)
def test_import_loads_no_torch(statement):
    check = "import sys; sys.exit(int(bool({'torch', 'numpy', 'timm'} & sys.modules.keys())))"
    subprocess.run([sys.executable, "-c", f"{statement}; {check}"], check=True)


def test_unknown_attribute_of_the_package_is_an_attribute_error():
    import models

    with pytest.raises(AttributeError, match="no attribute 'creat_model'"):
        models.creat_model  # noqa: B018
    assert "create_model" in dir(models)


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("ast_laptop", {"dim": 0}),
        ("htsat_laptop", {"embed_dim": 0}),
        ("htsat_laptop", {"depths": (), "num_heads": ()}),
        ("cnn6_laptop", {"dims": ()}),
        ("cnn6_laptop", {"dims": (0, 1, 2, 3)}),
        ("cnn14_decision_level_att", {"dims": (8, 8, 8)}),
        ("datar_laptop", {"head_dim": 0}),
        ("datar_pp_laptop", {"head_dim": 0}),
        ("datar_pp_laptop", {"frontend": ("log_mel", {})}),
    ],
)
def test_sizes_that_make_no_model_are_named(name, changes):
    with pytest.raises(ModelError) as caught:
        create_model(name, num_classes=3, **changes)
    assert "nearest (64, 33)" not in str(caught.value)
