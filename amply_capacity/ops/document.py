"""A file as a configuration: Markdown with YAML and Python, a template, a Terraform file, or plain YAML."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator
from pathlib import Path

from amply_capacity.errors import BadInput
from amply_capacity.ops.cloudformation_file import is_template, resolved, resources_of_template
from amply_capacity.ops.configuration import Configuration, Kind, Line, Resource
from amply_capacity.ops.kinds import canonical, kind_of, known_keys, unknown_key
from amply_capacity.ops.markdown import Block, read_page
from amply_capacity.ops.redis_code import code_of
from amply_capacity.ops.setting import Fault, Setting
from amply_capacity.ops.terraform_file import is_terraform, resources_of_terraform
from amply_capacity.ops.written import read_json, read_yaml

__all__ = ["read_configuration"]

_MARKDOWN, _YAML, _JSON = {".md", ".markdown"}, {".yaml", ".yml", ".template"}, {".json"}
_YAML_LANGUAGES, _PYTHON_LANGUAGES = {"yaml", "yml"}, {"python", "py", "python3"}
_MOST_BYTES = 8 << 20
_NAMES: dict[Kind, tuple[str, ...]] = {
    "cluster": ("CacheClusterId",), "security group": ("GroupName",), "alarm": ("AlarmName",),
    "replication group": ("ReplicationGroupId", "ReplicationGroupDescription"),
    "parameter group": ("CacheParameterGroupName", "CacheParameterGroupFamily"),
}


def read_configuration(path: Path) -> Configuration:
    """What the file describes.

    Raises BadInput for a file that cannot be read or holds nothing to audit, and with all its faults at once,
    each with its line: syntax errors, keys that stand twice, and keys that AWS does not know.
    """
    text = _text(path)
    faults: list[Fault] = []
    suffix = path.suffix.lower()
    if suffix in _MARKDOWN:
        found = _of_markdown(path, text, faults)
    else:
        roots = read_json(text, faults) if suffix in _JSON else read_yaml(text, faults)
        notes: list[str] = []
        resources = [one for root in roots for one in _resources(root, faults, notes)]
        found = Configuration(str(path), tuple(resources), lines=_lines(text), not_audited=tuple(notes))
    if faults:
        named = "; ".join(f"line {fault.line}: {fault.what}"
                          for fault in sorted(set(faults), key=lambda fault: (fault.line, fault.what)))
        raise BadInput(f"{path} has {len(set(faults))} fault{'s' * (len(set(faults)) != 1)}, and was not "
                       "audited",
                       got=named, do="correct these lines")
    if not (found.resources or found.code):
        raise BadInput(f"{path} holds nothing to audit",
                       got="; ".join(found.not_audited) or "no configuration",
                       do="give a document with blocks of YAML or Python, a CloudFormation template, or a "
                          "Terraform file in JSON")
    return found


def _text(path: Path) -> str:
    do = "name a Markdown, YAML or JSON file"
    known = sorted(_MARKDOWN | _YAML | _JSON)
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise BadInput(f"{path} is too large for a configuration", got=f"{path.stat().st_size:,} bytes",
                           do=f"give a file of at most {_MOST_BYTES >> 20} MB")
        if path.is_dir():
            raise BadInput(f"{path} cannot be audited", got="a directory", do=do)
        if path.suffix.lower() not in known:
            hint = "; `terraform show -json PLAN` makes one of HCL" if path.suffix == ".tf" else ""
            raise BadInput(f"{path} cannot be audited", got=f"a file named *{path.suffix}",
                           do=f"give a file named {', '.join(known)}{hint}")
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise BadInput(f"{path} cannot be read", got=error.strerror or str(error), do=do) from None
    except UnicodeDecodeError as error:
        raise BadInput(f"{path} is not UTF-8 text", got=f"byte {error.start}",
                       do="write it as UTF-8") from None


def _of_markdown(path: Path, text: str, faults: list[Fault]) -> Configuration:
    page = read_page(text)
    resources: list[Resource] = []
    trees: list[ast.Module] = []
    notes: list[str] = []
    python_lines: set[int] = set()
    for block in page.blocks:
        if block.language in _YAML_LANGUAGES:
            for root in read_yaml(block.text, faults, block.line):
                resources += _resources(root, faults, notes)
        elif block.language == "json":
            # Blank lines before it, so that its lines are those of the file.
            for root in read_json("\n" * (block.line - 1) + block.text, faults):
                resources += _resources(root, faults, notes)
        elif block.language in _PYTHON_LANGUAGES:
            trees += _code(block, faults)
            python_lines |= set(range(block.line, block.line + block.text.count("\n") + 1))
    lines = tuple(line for line in _lines(text) if line.number not in python_lines)
    return Configuration(str(path), tuple(resources), code_of(trees), page.tables, page.sentences, lines,
                         not_audited=tuple(notes))


def _code(block: Block, faults: list[Fault]) -> Iterator[ast.Module]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # e.g. of an invalid escape in somebody's string
            tree = ast.parse(block.text)
    except SyntaxError as error:
        faults.append(Fault(block.line + (error.lineno or 1) - 1, f"no Python: {error.msg}"))
    except (ValueError, RecursionError, MemoryError):
        faults.append(Fault(block.line, "no Python: null bytes, or nested too deep"))
    else:
        yield ast.increment_lineno(tree, block.line - 1)


def _resources(root: Setting, faults: list[Fault], notes: list[str]) -> Iterator[Resource]:
    """The resources of one document of YAML or JSON, in whichever form it is."""
    if is_template(root):
        yield from resources_of_template(root, faults)
    elif is_terraform(root):
        yield from resources_of_terraform(root, faults)
    else:
        for one in root.items:
            yield from _plain(one, faults, notes)


def _plain(one: Setting, faults: list[Fault], notes: list[str]) -> Iterator[Resource]:
    """A mapping of the API's names, without a type."""
    kind = kind_of(one.entries) if one.entries else None
    if kind is None:
        notes.append(f"line {one.line}: no resource of ElastiCache or CloudWatch")
        return
    known = known_keys(kind)
    faults += [Fault(setting.line or 1, unknown_key(key, kind, known))
               for key, setting in one.entries.items() if key not in known]
    settings = canonical(kind, resolved(one).entries)
    names = [settings[key].text for key in _NAMES[kind] if key in settings]
    yield Resource(kind, next((name for name in names if name), kind), settings, one.line)


def _lines(text: str) -> tuple[Line, ...]:
    return tuple(Line(line, number) for number, line in enumerate(re.split(r"\r\n|\r|\n", text), 1))
