"""A cluster file held against Ray's own schema and our rules, before it costs anything."""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import io
import ipaddress
import json
import logging
import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from orchestrator.cluster.document import Document, Mistake, Place
from orchestrator.errors import ConfigError, shown, unknown

FILL_IN = "FILL-IN"
"""Stands for what only the user knows; so do the addresses of RFC 5737."""

SETTINGS = (
    *("ADDRESS", "STORE", "DATA_ROOT", "GPUS_PER_WORKER", "CPUS_PER_WORKER"),
    *("PRICE_PER_HOUR", "WEIGHTS"),
)
"""Environment variables `ORCHESTRATOR_...` that a sweep reads."""

LOCK = "requirements.lock"
TOKEN = ".ray/auth_token"
PINNED = ("ray", "torch")
SDKS = {
    "aws": ("boto3", "uv pip install --require-hashes -r cluster/aws.lock --no-deps"),
    "gcp": (
        "googleapiclient",
        "uv pip install --require-hashes -r cluster/gcp.lock --no-deps",
    ),
}
"""What `ray up` needs to talk to a cloud, and how to install it."""

QUOTES = "'\""
OPEN = ("0.0.0.0", "::", "0.0.0.0/0", "::/0")
_EXAMPLES = tuple(map(ipaddress.ip_network, ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24")))
_REMOTE = ("s3://", "gs://", "gcs://", "abfs://", "abfss://", "hdfs://")
_SECRET_NAME = re.compile(
    r"(?i)(?<![\w/.])([\w-]*(?:token|secret|passw(?:or)?d|api[_-]?key|access[_-]?key"
    r"|credentials)[\w-]*)[\"']?\s*[=:]\s*[\"']?([^\s\"'#]+)"
)
_SECRET_TEXT = re.compile(
    r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b|-----BEGIN [A-Z ]*PRIVATE KEY"
    r"|\b[a-z][a-z0-9+]*://[^/\s:@$]+:[^/\s:@$]+@|\bhf_\w{20,}|\bgh[pousr]_\w{20,}"
)


@dataclass(frozen=True)
class Command:
    """A shell command of a cluster file.

    Attributes:
        place: Where it stands.
        text: The command.
        line: Its first line.
    """

    place: Place
    text: str
    line: int


class ClusterFile:
    """A cluster file for `ray up`.

    Attributes:
        document: The file with its lines.
        config: Its content.
        kind: Provider, for example `aws`.
    """

    def __init__(self, path: Path):
        """Read the file.

        Raises:
            ConfigError: It cannot be read, or is not one YAML mapping.
        """
        documents = Document.read(path)
        if len(documents) != 1 or not isinstance(documents[0].data, dict):
            raise ConfigError(
                f"{path} is no cluster file: `ray up` takes one YAML mapping with cluster_name and "
                "provider; see cluster/gpu.yaml"
            )
        self.document = documents[0]
        self.config: dict[str, Any] = self.document.data
        provider = self.config.get("provider")
        self.kind = str(provider.get("type", "")) if isinstance(provider, dict) else ""

    @property
    def provider(self) -> Mapping[str, Any]:
        """What the file says of the provider."""
        provider = self.config.get("provider")
        return provider if isinstance(provider, dict) else {}

    @property
    def node_types(self) -> dict[str, Mapping[str, Any]]:
        """What the file says of each kind of node; empty for hosts of one's own."""
        types = self.config.get("available_node_types")
        named = types.items() if isinstance(types, dict) else ()
        return {str(name): kind for name, kind in named if isinstance(kind, dict)}

    @cached_property
    def commands(self) -> list[Command]:
        """All shell commands."""
        return [
            Command(place, text, line)
            for place, text, line in self.document.scalars()
            if any(str(part).endswith("_commands") for part in place)
        ]

    @cached_property
    def settings(self) -> dict[str, tuple[str, int]]:
        """Environment variables of every node with their lines, from `node.sh install`."""
        found: dict[str, tuple[str, int]] = {}
        for command in self.commands:
            if "node.sh install" not in command.text:
                continue
            try:
                words = shlex.split(command.text)
            except ValueError:  # an open quote, which is said by a rule
                words = command.text.replace("'", "").split()
            for word in words:
                name, equals, value = word.partition("=")
                if equals:
                    found[name] = (value, self.document.line(*command.place, having=word))
        return found

    def mounted(self, name: str) -> tuple[Path, int] | None:
        """Return the source and line of the file mount that makes `name` on the nodes."""
        mounts = self.config.get("file_mounts")
        for target, source in mounts.items() if isinstance(mounts, dict) else ():
            if str(target).endswith(f"/{name}"):
                return Path(str(source)).expanduser(), self.document.line("file_mounts", target)
        return None


def check(path: Path) -> tuple[ClusterFile, dict[str, Any] | None, list[Mistake]]:
    """Hold a cluster file against Ray's schema and our rules.

    Paths in the file are relative to the current folder, as they are for `ray up`.

    Returns:
        The file, its content as `ray up` completes it (None if Ray refuses it), and every mistake
        in the order of lines.

    Raises:
        ConfigError: The file cannot be read, or is not one YAML mapping.
    """
    file = ClusterFile(path)
    prepared, mistakes = _held_to_ray(file)
    mistakes += file.document.repeated
    for rule in RULES:
        mistakes += rule(file)
    return file, prepared, sorted(set(mistakes))


def _held_to_ray(file: ClusterFile) -> tuple[dict[str, Any] | None, list[Mistake]]:
    """Return the content with Ray's defaults, or what Ray's schema and checks object to."""
    mistakes = list(_schema_mistakes(file))
    if mistakes:
        return None, mistakes
    from ray.autoscaler._private.util import prepare_config, validate_config

    logging.getLogger("ray.autoscaler").setLevel(logging.ERROR)
    out = io.StringIO()  # Ray's own lines; they are said as mistakes
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            prepared = prepare_config(file.config)
            for node_type in prepared["available_node_types"].values():
                node_type.setdefault("resources", {})  # AWS looks them up by instance type
            validate_config(prepared)
    except Exception as error:  # whatever Ray makes of the file is about the file
        reason = " ".join(str(getattr(error, "message", error)).split())
        return None, [Mistake(file.document.line("provider"), f"Ray refuses the file: {reason}")]
    return prepared, []


def _schema_mistakes(file: ClusterFile) -> Iterator[Mistake]:
    import jsonschema
    import ray.autoscaler
    from ray.autoscaler._private.providers import _NODE_PROVIDERS

    schema = json.loads((Path(ray.autoscaler.__file__).parent / "ray-schema.json").read_text())
    # Ray validates what it has completed; this is what it adds or moves by itself.
    schema["properties"]["min_workers"] = {"type": "integer", "minimum": 0}
    per_type = schema["properties"]["available_node_types"]["patternProperties"][".*"]
    per_type["required"].remove("resources")
    line = file.document.line
    for error in jsonschema.Draft7Validator(schema).iter_errors(file.config):
        place = tuple(error.absolute_path)
        name = ".".join(map(str, place)) or "the file"
        instance: Any = error.instance
        if error.validator == "additionalProperties":
            valid = error.schema.get("properties", {})
            for key in instance.keys() - valid.keys():
                yield Mistake(line(*place, str(key)), unknown(f"field of {name}", key, valid))
        elif error.validator == "required":
            absent = [key for key in error.validator_value if key not in instance]
            yield Mistake(line(*place), f"{name} lacks {' and '.join(absent)}")
        elif error.validator == "type":
            kinds = error.validator_value
            kind = " or ".join([kinds] if isinstance(kinds, str) else kinds)
            yield Mistake(line(*place), f"{name} is {shown(instance)} and must be of type {kind}")
        else:
            yield Mistake(line(*place), f"{name}: {shown(instance)} breaks Ray's schema")
    valid = [one for one in _NODE_PROVIDERS if not one.startswith(("fake", "readonly"))]
    if file.kind and file.kind not in _NODE_PROVIDERS:
        yield Mistake(line("provider", "type"), unknown("provider", file.kind, valid))


def _name(file: ClusterFile) -> Iterator[Mistake]:
    name = str(file.config.get("cluster_name", ""))
    if ":" in name:
        yield Mistake(
            file.document.line("cluster_name"),
            f"cluster_name {shown(name)} has a colon, which breaks file_mounts; leave it out",
        )


def _to_fill_in(file: ClusterFile) -> Iterator[Mistake]:
    for place, text, line in file.document.scalars():
        words = text.split() if FILL_IN in text else [text]
        for word in words:
            if FILL_IN in word or _is_example(word):
                at = file.document.line(*place, having=word) if len(words) > 1 else line
                where = ".".join(map(str, place))
                yield Mistake(at, f"{where} is still to be filled in: {word.strip(QUOTES)}")


def _is_example(text: str) -> bool:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    return any(address in network for network in _EXAMPLES)


def _versions(file: ClusterFile) -> Iterator[Mistake]:
    mount = file.mounted(LOCK)
    if mount is None:
        yield Mistake(
            file.document.line("file_mounts"),
            f"no file mount brings {LOCK} to the nodes, so they have other versions than you; take "
            "file_mounts from cluster/gpu.yaml",
        )
        return
    lock, line = mount
    if not lock.is_file():
        return  # said by the rule of the mounts
    locked = locked_versions(lock.read_text())
    for name in PINNED:
        here = _installed(name)
        if name not in locked:
            yield Mistake(
                line, f"{lock} does not name the version of {name}; make it by `make lock`"
            )
        elif here != locked[name]:
            yield Mistake(
                line,
                f"{name} {here} is installed here, and {lock} brings {locked[name]} to the nodes; "
                "type `make .venv/.ready` and use .venv/bin/ray",
            )
    if not any("node.sh install" in command.text for command in file.commands):
        yield Mistake(
            file.document.line("setup_commands"),
            "no setup command installs the locked packages: `bash "
            "~/audio-ablation-orchestrator/node.sh install ...`",
        )
    for place, text, at in file.document.scalars():
        if image := re.search(r"rayproject/ray[\w-]*:([\w.-]+)", text):
            if locked.get("ray") and not image[1].startswith(f"{locked['ray']}-py311"):
                yield Mistake(
                    at,
                    f"the image {image[0]} is not the locked Ray; take one whose tag begins with "
                    f"{locked['ray']}-py311",
                )
        if not any(str(part).endswith("_commands") for part in place):
            continue
        for name, version in re.findall(
            r"\b(ray|torch)(?:\[[\w,-]*\])?\s*([=<>~]=?=?\s*[\w.]+)", text
        ):
            if version.replace(" ", "") != f"=={locked.get(name)}":
                yield Mistake(
                    file.document.line(*place, having=name),
                    f"a command installs {name}{version}, and {lock} has {locked.get(name)}; leave "
                    "it to node.sh",
                )
        if re.search(r"pip3? install\b.*(?<![\w./-])(ray|torch)(\[[\w,-]*\])?(?=[\s\"']|$)", text):
            yield Mistake(
                file.document.line(*place, having="install"),
                f"a command installs the newest Ray or torch, whatever it is; {lock} brings them",
            )


def locked_versions(lock: str) -> dict[str, str]:
    """Return the version of every package of a lock file; the first where platforms differ."""
    pairs = re.findall(r"(?m)^([\w.-]+)==([\w.!+-]+)", lock)
    return dict(reversed(pairs))


def _installed(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "(none)"


def _token(file: ClusterFile) -> Iterator[Mistake]:
    mount = file.mounted(TOKEN)
    if mount is None:
        yield Mistake(
            file.document.line("file_mounts"),
            "no file mount brings the token to the nodes, so everybody who reaches a port can run "
            f"code there; add `~/{TOKEN}: ~/{TOKEN}`",
        )
    elif not mount[0].is_file():
        yield Mistake(
            mount[1], f"there is no {mount[0]}; make it by `ray get-auth-token --generate`"
        )
    for command in file.commands:
        if found := re.search(r"RAY_AUTH_MODE[=\s]+[\"']?(?!token\b)(\w+)", command.text):
            yield Mistake(
                file.document.line(*command.place, having="RAY_AUTH_MODE"),
                f"RAY_AUTH_MODE is {found[1]}, so everybody who reaches a port can run code; leave "
                "it out, node.sh sets it to token",
            )


def _secrets(file: ClusterFile) -> Iterator[Mistake]:
    way_out = "take it out, and make a new one if others have seen this file"
    for number, text in enumerate(file.document.source, 1):
        if _SECRET_TEXT.search(text):
            yield Mistake(number, f"this line holds what looks like a secret; {way_out}")
            continue
        for name, value in _SECRET_NAME.findall(text.partition(" #")[0].lstrip("# ")):
            plain = value.strip("[]{},")
            if len(plain) >= 6 and not re.match(r"[$~/.*&]|FILL-IN|https?:|true$|false$", plain):
                yield Mistake(
                    number,
                    f"{name} holds what looks like a secret, which every node would get; "
                    f"{way_out}. Nodes have rights by their role, and files by file_mounts",
                )


def _ports(file: ClusterFile) -> Iterator[Mistake]:
    line = file.document.line
    for command in file.commands:
        for flag, host in re.findall(
            r"(--(?:dashboard-)?host)[=\s]+[\"']?([\w.:*]+)", command.text
        ):
            if host not in ("127.0.0.1", "localhost", "::1"):
                yield Mistake(
                    line(*command.place, having=flag),
                    f"{flag} {host} opens a server to the network; leave it on 127.0.0.1 and use "
                    "`ray exec FILE COMMAND --port-forward PORT`",
                )
        loose = [flag for flag in _FIXED if flag not in command.text]
        if loose and re.search(r"\bray start\b", command.text):
            yield Mistake(
                line(*command.place, having="ray start"),
                f"`ray start` takes a random port without {', '.join(loose)}, which no firewall "
                "can name; take the command from cluster/gpu.yaml",
            )
        if "--ray-debugger-external" in command.text:
            yield Mistake(
                line(*command.place, having="--ray-debugger-external"),
                "--ray-debugger-external opens a debugger to the network; leave it out",
            )
    ports = {
        port
        for command in file.commands
        for port in re.findall(r"(?:--port=|(?:NODE|HEAD)_IP:)(\d+)", command.text)
    }
    if len(ports) > 1:
        yield Mistake(
            line("head_start_ray_commands"),
            f"the head's port is named as {' and '.join(sorted(ports))}; it must be one in "
            "ORCHESTRATOR_ADDRESS, --port and --address",
        )
    for place, text, at in file.document.scalars():
        if text in OPEN and place[:1] == ("provider",):
            yield Mistake(at, f"{text} opens a port to every address; name your own, as A.B.C.D/32")
        if place[:1] == ("docker",) and re.match(r"(-p|--publish)\b", text):
            yield Mistake(
                at, f"{text} opens a port of the container; use --network=host without it"
            )


_FIXED = ("--node-manager-port", "--object-manager-port", "--runtime-env-agent-port")


def _ssh(file: ClusterFile) -> Iterator[Mistake]:
    """SSH from one's own address only: what each provider opens when it is not told."""
    line = file.document.line
    for name, node_type in file.node_types.items():
        node = node_type.get("node_config")
        node = node if isinstance(node, dict) else {}
        place = ("available_node_types", name, "node_config")
        if file.kind == "aws" and not (node.get("SecurityGroupIds") or "NetworkInterfaces" in node):
            yield Mistake(
                line(*place),
                f"{name} names no SecurityGroupIds, so Ray makes a group that lets every address "
                "try SSH; make one that knows yours alone (cluster/README.md) and name it",
            )
        if file.kind == "gcp" and not node.get("networkInterfaces"):
            yield Mistake(
                line(*place),
                f"{name} names no networkInterfaces, so it lies in the network `default`, which "
                "lets every address try SSH; make one that knows yours alone (cluster/README.md)",
            )
    if file.kind == "azure" and not file.provider.get("use_internal_ips"):
        yield Mistake(
            line("provider"),
            "Ray's template for Azure lets every address try SSH; set use_internal_ips: true and "
            "type `ray up` inside the network",
        )


def _store(file: ClusterFile) -> Iterator[Mistake]:
    line = file.document.line
    valid = [f"ORCHESTRATOR_{name}" for name in SETTINGS]
    for name, (_, at) in file.settings.items():
        if name.startswith("ORCHESTRATOR_") and name not in valid:
            yield Mistake(at, unknown("setting", name, valid))
    if "ORCHESTRATOR_STORE" not in file.settings:
        yield Mistake(
            line("setup_commands"),
            "no ORCHESTRATOR_STORE after `node.sh install`, so every node would keep a store of "
            "its own; name a place that all of them reach",
        )
        return
    store, at = file.settings["ORCHESTRATOR_STORE"]
    if FILL_IN in store or store.startswith(_REMOTE):
        return
    if "://" in store and not store.startswith("file://"):
        yield Mistake(at, f"the store {store} is at no place that is known (valid: {_places()})")
    elif file.kind != "local":
        yield Mistake(
            at,
            f"the store {store} is on each node's own disk, which goes with the node; give a "
            f"bucket ({_places()})",
        )
    elif not re.match(r"(file://)?/(?!tmp/)", store):
        yield Mistake(
            at,
            f"the store {store} is another folder on every host; give one that all hosts see "
            f"under the same absolute path (NFS), or a bucket ({_places()})",
        )


def _places() -> str:
    return ", ".join(f"{scheme}..." for scheme in _REMOTE)


def _mounts(file: ClusterFile) -> Iterator[Mistake]:
    mounts = file.config.get("file_mounts")
    for target, source in mounts.items() if isinstance(mounts, dict) else ():
        path = Path(str(source)).expanduser()
        if not path.exists() and not str(target).endswith(TOKEN):
            yield Mistake(
                file.document.line("file_mounts", target),
                f"there is no {source} in {Path.cwd()}; type every command in the root of the "
                "repository",
            )
    auth = file.config.get("auth")
    key = str(auth.get("ssh_private_key", "")) if isinstance(auth, dict) else ""
    if key and FILL_IN not in key and not Path(key).expanduser().is_file():
        yield Mistake(
            file.document.line("auth", "ssh_private_key"),
            f"there is no key {key}; name the one that opens the hosts",
        )


def _others(file: ClusterFile) -> Iterator[Mistake]:
    """What would end the work of others, or of this cluster, on hosts of one's own."""
    if file.kind != "local":
        return
    line = file.document.line
    for place in ("head_start_ray_commands", "worker_start_ray_commands"):
        commands = [command for command in file.commands if command.place[:1] == (place,)]
        if not commands:
            yield Mistake(
                line(place),
                f"without {place} Ray's own begin with `ray stop`, which ends all Ray of that "
                "user; take them from cluster/onprem.yaml",
            )
        for command in commands:
            if re.search(r"\bray stop\b", command.text):
                yield Mistake(
                    command.line,
                    "`ray stop` ends every Ray of that user on the host, other clusters' too; use "
                    "`node.sh stop ADDRESS`",
                )
            if "--head" in command.text and "RAY_enable_autoscaler_v2=0" not in command.text:
                yield Mistake(
                    line(*command.place, having="ray start"),
                    "the second autoscaler never starts workers of your own hosts; write "
                    "RAY_enable_autoscaler_v2=0 in front of `ray start`",
                )
    workers = file.provider.get("worker_ips")
    for name in ("min_workers", "max_workers"):
        number = file.config.get(name)
        if isinstance(workers, list) and number is not None and number != len(workers):
            yield Mistake(
                line(name),
                f"{name} is {number}, and worker_ips names {len(workers)}; give that number",
            )


def _prices(file: ClusterFile) -> Iterator[Mistake]:
    metadata = file.config.get("metadata")
    prices = metadata.get("price_per_hour", {}) if isinstance(metadata, dict) else {}
    if not isinstance(prices, dict):
        yield Mistake(
            file.document.line("metadata", "price_per_hour"),
            f"price_per_hour is {shown(prices)}; give a number per node type",
        )
        return
    for name, price in prices.items():
        at = file.document.line("metadata", "price_per_hour", str(name))
        if name not in file.node_types:
            yield Mistake(at, unknown("node type", name, file.node_types))
        if FILL_IN not in str(price) and (
            isinstance(price, bool) or not isinstance(price, int | float) or not price >= 0
        ):
            yield Mistake(at, f"the price {shown(price)} is no number of at least 0")


def _sdk(file: ClusterFile) -> Iterator[Mistake]:
    module, install = SDKS.get(file.kind, ("", ""))
    if module and importlib.util.find_spec(module) is None:
        yield Mistake(
            file.document.line("provider", "type"),
            f"`ray up` needs {module} for {file.kind} here, too: `{install}`",
        )


def _quotes(file: ClusterFile) -> Iterator[Mistake]:
    for command in file.commands:
        if "node.sh install" in command.text:
            try:
                shlex.split(command.text)
            except ValueError:
                yield Mistake(
                    file.document.line(*command.place, having="node.sh install"),
                    "a quote is opened in this command and never closed",
                )


RULES: tuple[Callable[[ClusterFile], Iterable[Mistake]], ...] = (
    *(_name, _to_fill_in, _versions, _token, _secrets, _ports, _ssh, _store),
    *(_mounts, _others, _prices, _sdk, _quotes),
)
"""Our rules; each yields what is wrong with a file."""
