"""A YAML document whose values know their lines."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from orchestrator.errors import ConfigError

MAX_VALUES = 100_000
"""Upper limit on the values of a file; aliases of aliases grow without end."""

Place = tuple[str | int, ...]
"""Keys and indices that lead to a value."""


@dataclass(frozen=True, order=True)
class Mistake:
    """Something to be changed in a file.

    Attributes:
        line: Line, counted from 1.
        text: What was found, what is valid and the way out, without a secret.
    """

    line: int
    text: str


@dataclass
class Document:
    """One document of a YAML file.

    Attributes:
        path: The file.
        data: Content as plain Python values.
        source: Lines of the whole file.
        repeated: Keys that a mapping has twice, of which YAML readers drop the first.
    """

    path: Path
    data: Any
    source: list[str]
    repeated: list[Mistake] = field(default_factory=list)
    _lines: dict[Place, int] = field(default_factory=dict)
    _scalars: dict[int, tuple[Place, str, int]] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> list[Document]:
        """Read all documents of a file.

        Raises:
            ConfigError: The file cannot be read, or is no YAML.
        """
        try:
            if path.exists() and not path.is_file():  # reading a pipe would block forever
                raise OSError(errno.EINVAL, "it is not a file")
            text = path.read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "it is no UTF-8 text"
            raise ConfigError(
                f"cannot read {path} ({reason}); give a cluster file, for example cluster/gpu.yaml"
            ) from None
        try:
            nodes = [node for node in yaml.compose_all(text, Loader=yaml.SafeLoader) if node]
            loaded = [one for one in yaml.safe_load_all(text) if one is not None]
        except (yaml.YAMLError, ValueError) as error:  # a value such as 2026-99-99 is no date
            mark = getattr(error, "problem_mark", None)
            problem = getattr(error, "problem", None) or error
            where = f", line {mark.line + 1}" if mark else ""
            raise ConfigError(f"{path}{where} is no YAML ({problem}); mend it there") from None
        except RecursionError:
            raise ConfigError(f"{path} is no cluster file: it nests too deep") from None
        documents = []
        for node, data in zip(nodes, loaded, strict=True):
            document = cls(path, data, text.splitlines())
            document._walk(node, (), frozenset())  # ids of nodes stay theirs while `nodes` lives
            documents.append(document)
        return documents

    def _walk(self, node: yaml.Node, place: Place, above: frozenset[int]) -> None:
        if id(node) in above:
            return  # an anchor that contains its own alias
        above |= {id(node)}
        self._lines.setdefault(place, node.start_mark.line + 1)
        if len(self._lines) > MAX_VALUES:
            raise ConfigError(
                f"{self.path} has more than {MAX_VALUES:,} values, aliases counted where they "
                "stand; give a cluster file, for example cluster/gpu.yaml"
            )
        if isinstance(node, yaml.MappingNode):
            seen: set[str] = set()
            for key, value in node.value:
                name, line = str(key.value), key.start_mark.line + 1
                if name in seen and name != "<<":
                    self.repeated.append(
                        Mistake(line, f"{name!r} stands here a second time; keep one of them")
                    )
                seen.add(name)
                self._lines[(*place, name)] = line
                self._walk(value, (*place, name), above)
        elif isinstance(node, yaml.SequenceNode):
            for index, item in enumerate(node.value):
                self._walk(item, (*place, index), above)
        elif isinstance(node, yaml.ScalarNode):
            self._scalars.setdefault(id(node), (place, node.value, node.start_mark.line + 1))

    def line(self, *place: str | int, having: str = "") -> int:
        """Return the line of a key or item, or of the nearest thing around it that is there.

        Args:
            place: Keys and indices from the top.
            having: Text in the value; its own line if the value has several.
        """
        while place not in self._lines and place:
            place = place[:-1]
        line = self._lines.get(place, 1)
        if having:
            for number, text in enumerate(self.source[line - 1 :], line):
                if having in text:
                    return number
        return line

    def scalars(self) -> Iterator[tuple[Place, str, int]]:
        """Yield the place, text and line of every value that is no list and no mapping.

        A value with aliases comes once, at its anchor.
        """
        yield from self._scalars.values()
