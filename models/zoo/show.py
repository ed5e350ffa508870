"""Print the zoo: the list of models, one model in full, counts and the papers', weights."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Callable, Iterable
from itertools import groupby
from typing import TYPE_CHECKING, Any

from models.card import Result, Weights
from models.checkpoints.files import cache_dir
from models.registry import REQUIRED

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from models.zoo.counts import Row
    from models.zoo.describe import Description


def print_list(models: Iterable[Description], console: Console) -> None:
    """Print every model in a row, under a heading for each family."""
    models = list(models)
    for paper, members in groupby(models, key=lambda model: model.paper):
        group = list(members)
        if paper is not None:
            console.print(f"{paper.name}  {paper.place}", style="bold")
        table = _table("  model", "params>", "MACs>", "all>", "input", "published")
        for model in group:
            headline = next((str(r) for r in model.results if not r.quoted), "")
            table.add_row(
                f"  {model.name}",
                amount(model.num_params),
                amount(model.macs.layers),
                amount(model.macs.total),
                _size(model),
                headline,
            )
        console.print(table)
        console.print(f"  front end {_fronts(group)}\n")
    seconds = _by_family(models, lambda model: f"{model.seconds} s")
    classes = _by_family(models, lambda model: str(model.num_classes))
    console.print(
        f"Counted without front end and input transform. MACs of one clip ({seconds}): "
        "convolutions and linear layers; all: with attention and sampling. Classes: "
        f"{classes}. One model in full: python -m models NAME"
    )


def _by_family(models: Iterable[Description], value: Callable[[Description], str]) -> str:
    """Return the most common value, then the others with their families."""
    families: defaultdict[str, set[str]] = defaultdict(set)
    for model in models:
        paper = None if model.name.endswith("laptop") else model.paper
        families[value(model)].add(paper.name if paper else "laptop sizes")
    (usual, _), *others = sorted(families.items(), key=lambda item: (-len(item[1]), item[0]))
    return "; ".join([usual, *(f"{text} for {', '.join(sorted(own))}" for text, own in others)])


def print_model(model: Description, console: Console) -> None:
    """Print one model in full."""
    from models.zoo.counts import compare
    from models.zoo.describe import documented_arguments

    console.print(f"{model.name}: {model.summary}", style="bold")
    if model.paper is not None:
        paper = model.paper
        console.print(f"paper          {paper.title}, {paper.place}")
        console.print(f"authors' code  {paper.code} ({paper.license})")
    console.print(f"input          {_size(model)} (mels x frames) of {model.seconds} s")
    console.print(f"front end      {_call(*model.frontend)}, input transform {model.transform}")
    console.print(f"parameters     {model.num_params:,} ({model.num_classes} classes)")
    console.print(
        f"MACs           {amount(model.macs.layers)} in layers, {amount(model.macs.total)} with "
        "attention and sampling"
    )
    console.print("\nArguments", style="bold")
    table = _table("argument", "default", "meaning")
    for argument, said in documented_arguments(model.name):
        default = "required" if argument.default == REQUIRED else repr(argument.default)
        table.add_row(argument.name, default, said)
    console.print(table)
    if rows := compare(model.name):
        console.print("\nCounts beside the papers'", style="bold")
        print_rows(rows, console)
    console.print("\nPublished weights" + ("" if model.weights else ": none"), style="bold")
    for weights in model.weights:
        _print_weights(weights, console)
    console.print("\nPublished results" + ("" if model.results else ": none"), style="bold")
    _print_results(model.results, console)


def print_rows(rows: Iterable[Row], console: Console) -> None:
    """Print our counts and the papers', with added parts and reasons for differences."""
    for (label, size, classes, arguments), members in groupby(rows, key=_counted_on):
        built = f", {arguments}" if arguments else ""
        console.print(f"{label}  {size}, {classes} classes{built}", style="bold")
        table = _table("  count", "ours>", "theirs>", "difference>", "theirs is|", "ours is")
        for row in members:
            table.add_row(
                f"  {row.published.quantity}",
                row.in_unit(row.ours),
                row.published.printed,
                _percent(row.difference),
                row.published.source,
                _made_of(row),
            )
        console.print(table)
    console.print(
        "\nfront end: Fourier matrices and mel filters, frozen layers there. ImageNet heads, "
        "unused head, unused norm: built there and never run. repeated frames: a head that runs on "
        "copies of one step. The models here are without these. MACs: convolutions and linear "
        "layers."
    )


def _percent(share: float) -> str:
    """Format a share in percent with its sign; zero is unsigned."""
    said = f"{100 * share:+.2f} %"
    return "0.00 %" if said in ("+0.00 %", "-0.00 %") else said


def print_weights(weights: Iterable[Weights], console: Console) -> None:
    """Print a row per published file, grouped by data set and license."""
    entries = list(weights)
    remarks = list(dict.fromkeys(entry.remark for entry in entries if entry.remark))
    table = _table("name", "model|", "note>", "here|")
    for (data, terms), members in groupby(entries, key=lambda e: (e.trained_on[-1], e.license)):
        table.add_row("")
        table.add_row(f"{data}, {terms}:")
        for entry in members:
            table.add_row(
                f"  {entry.name}",
                entry.model,
                str(remarks.index(entry.remark) + 1) if entry.remark else "",
                "yes" if (cache_dir() / entry.filename).exists() else "",
            )
    console.print(table)
    for number, remark in enumerate(remarks, 1):
        console.print(f"\nnote {number}: {remark}")
    console.print(f'\nmodels.load_pretrained(model, "NAME") keeps them in {cache_dir()}')


def as_data(value: Any) -> Any:
    """Return a description or a row as plain values for JSON."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        data = {f.name: as_data(getattr(value, f.name)) for f in dataclasses.fields(value)}
        for name in ("total", "ours", "difference"):
            if hasattr(value, name):
                data[name] = getattr(value, name)
        return data
    if isinstance(value, dict):
        return {key: as_data(item) for key, item in value.items()}
    return [as_data(item) for item in value] if isinstance(value, tuple | list) else value


def amount(count: float) -> str:
    """Format a count with three digits: `28.0 M`, `5.99 G`, `561 k`."""
    for unit, scale in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if count >= scale:
            scaled = count / scale
            return f"{scaled:.{0 if scaled >= 100 else 1 if scaled >= 10 else 2}f} {unit}"
    return f"{count:g}"


def _print_weights(weights: Weights, console: Console) -> None:
    arguments = "".join(f", {key}={value!r}" for key, value in weights.arguments.items())
    frontend = ""
    if weights.frontend[0]:
        frontend = f", frontend=({weights.frontend[0]!r}, {dict(weights.frontend[1])!r})"
    console.print(f"{weights.name}: {weights.filename}, {weights.license}, {_checked(weights)}")
    console.print(f"  trained on {', '.join(weights.trained_on)}; {weights.page}")
    build = f'create_model("{weights.model}", num_classes={weights.num_classes}'
    console.print(f"  chain = models.{build}{frontend}{arguments})")
    if weights.statistics:
        console.print(f"  chain.set_normalization{weights.statistics}")
    console.print(f'  models.load_pretrained(chain, "{weights.name}")')
    if weights.remark:
        console.print(f"  besides: {weights.remark}")


def _print_results(results: Iterable[Result], console: Console) -> None:
    """Print results with their conditions, once per printed row."""
    for _, members in groupby(results, key=lambda r: (r.source, r.form, r.conditions, r.remark)):
        group = list(members)
        first = group[0]
        form = f" ({first.form})" if first.form else ""
        by = f"{'quoted by ' if first.quoted else ''}{first.source}"
        numbers = ", ".join(result.short() for result in group)
        console.print(f"{first.conditions.dataset}: {numbers}{form}; {by}")
        fields = dataclasses.asdict(first.conditions)
        stated = [
            f"{name} {', '.join(value) or 'none' if isinstance(value, tuple) else value}"
            for name, value in fields.items()
            if value is not None and name != "dataset"
        ]
        silent = [name for name, value in fields.items() if value is None]
        console.print(f"  {'; '.join(stated) or 'no conditions stated'}")
        console.print(f"  not stated: {', '.join(silent)}", style="dim")
        if first.remark:
            console.print(f"  {first.remark}")


def _counted_on(row: Row) -> tuple[str, str, int, str]:
    published = row.published
    size = "x".join(map(str, (published.num_channels, *published.input_size)))
    arguments = ", ".join(f"{key}={value}" for key, value in published.arguments.items())
    return published.label, size, published.num_classes, arguments


def _made_of(row: Row) -> str:
    added = [f"{row.in_unit(count)} {extra}" for extra, count in row.added.items()]
    parts = " + ".join([f"{row.in_unit(row.model_count)} model", *added]) if added else ""
    return "; ".join(filter(None, (parts, row.published.note)))


def _checked(weights: Weights) -> str:
    if weights.sha256:
        return "sha256" if len(weights.sha256) == 64 else "start of sha256"
    return "md5" if weights.md5 else "no checksum is published"


def _call(name: str, arguments: Any) -> str:
    return f"{name}({', '.join(f'{key}={value!r}' for key, value in arguments.items())})"


def _size(model: Description) -> str:
    return f"{model.input_size[0]}x{model.input_size[1]}"


def _fronts(group: list[Description]) -> str:
    known = dict.fromkeys(f"{_call(*m.frontend)} at {m.sample_rate} Hz" for m in group)
    return "; ".join(known)


def _table(*titles: str) -> Table:
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    for i, title in enumerate(titles):
        right = title.endswith(">")
        # Names and numbers do not wrap; descriptions do.
        whole = right or i == 0 or title.endswith("|")
        table.add_column(
            title.rstrip(">|"), justify="right" if right else "left", no_wrap=whole, overflow="fold"
        )
    return table
