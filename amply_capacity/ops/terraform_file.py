"""The resources of a Terraform file in JSON: a configuration, or a plan by `terraform show -json`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from amply_capacity.ops.configuration import Kind, Resource
from amply_capacity.ops.kinds import TERRAFORM, terraform_names
from amply_capacity.ops.setting import NOTHING, Fault, Setting, Unresolved
from amply_capacity.plan.faults import nearest

__all__ = ["is_terraform", "resources_of_terraform"]

_SECTIONS = ("check", "data", "ephemeral", "import", "locals", "module", "moved", "output", "provider",
             "removed", "resource", "terraform", "variable", "//")
_TELLING = {"resource", "planned_values"}
_VARIABLE = re.compile(r"\$\{\s*var\.([A-Za-z_][\w-]*)\s*\}")
_SECURITY_GROUP_NAMES: Mapping[str, str] = {
    "cidr_blocks": "CidrIp", "cidr_ipv4": "CidrIp", "ipv6_cidr_blocks": "CidrIpv6", "cidr_ipv6": "CidrIpv6",
    "from_port": "FromPort", "to_port": "ToPort", "protocol": "IpProtocol", "ip_protocol": "IpProtocol",
}


def is_terraform(root: Setting) -> bool:
    return bool(root.entries.keys() & _TELLING)


def resources_of_terraform(root: Setting, faults: list[Fault]) -> Iterator[Resource]:
    """Those of the kinds that are audited; faults are unknown blocks and arguments of a configuration.

    `${var.name}` is the variable's default where it has one; other templates are Unresolved. In a plan, what
    is known only after the apply is not there.
    """
    if "planned_values" in root.entries:
        yield from _planned(root.entries["planned_values"].entries.get("root_module", NOTHING))
        return
    faults += [Fault(setting.line or 1, f"unknown block {name} of a Terraform file "
                                        f"({nearest(name, _SECTIONS)})")
               for name, setting in root.entries.items() if name not in _SECTIONS]
    defaults = {name: value.entries["default"] for block in root.entries.get("variable", NOTHING).items
                for name, declared in block.entries.items() for value in declared.items
                if "default" in value.entries}
    for block in root.entries.get("resource", NOTHING).items:
        for type_, named in block.entries.items():
            kind = TERRAFORM.get(type_)
            if kind is None:
                continue
            for group in named.items:
                for name, declared in group.entries.items():
                    for one in declared.items:
                        arguments = _resolved(one, defaults).entries
                        yield _resource(kind, type_, name, arguments, declared.line, faults)


def _planned(module: Setting) -> Iterator[Resource]:
    for planned in module.entries.get("resources", NOTHING).items:
        entries = planned.entries
        type_ = entries.get("type", NOTHING).text or ""
        kind = TERRAFORM.get(type_)
        if kind is None or entries.get("mode", Setting("managed")).text != "managed":
            continue
        values = {name: value for name, value in entries.get("values", NOTHING).entries.items()
                  if value.value is not None}
        name = entries.get("name", NOTHING).text or type_
        # The provider adds attributes of its own, so that an unknown one is no fault here.
        yield _resource(kind, type_, name, values, planned.line, [])
    for child in module.entries.get("child_modules", NOTHING).items:
        yield from _planned(child)


def _resource(kind: Kind, type_: str, name: str, arguments: Mapping[str, Setting], line: int | None,
              faults: list[Fault]) -> Resource:
    address = f"{type_}.{name}"
    if kind == "security group":
        rules = _ingress(type_, arguments, line)
        return Resource(kind, name, {"SecurityGroupIngress": rules}, line, (address,))
    names = terraform_names(kind)
    faults += [Fault(setting.line or 1,
                     f"unknown argument {key} of {type_} ({nearest(key, names)})")
               for key, setting in arguments.items() if key not in names]
    settings = {api: setting for key, setting in arguments.items() if (api := names.get(key)) is not None}
    if kind == "parameter group" and "Parameters" in settings:
        settings["Parameters"] = _parameters(settings["Parameters"])
    return Resource(kind, name, settings, line, (address,))


def _parameters(blocks: Setting) -> Setting:
    """The blocks `{name, value}` as a mapping."""
    found = {}
    for block in blocks.items:
        name = block.entries.get("name", NOTHING).text
        if name is not None:
            found[name] = Setting(block.entries.get("value", NOTHING).value, block.line)
    return Setting(found, blocks.line)


def _ingress(type_: str, arguments: Mapping[str, Setting], line: int | None) -> Setting:
    """The rules that let something in; each with lists of addresses."""
    if type_ == "aws_security_group":
        blocks = arguments.get("ingress", NOTHING).items
    elif arguments.get("type", Setting("ingress")).text == "ingress":
        blocks = (Setting(arguments, line),)
    else:
        blocks = ()
    rules = [Setting({api: value for name, value in block.entries.items()
                      if (api := _SECURITY_GROUP_NAMES.get(name)) is not None}, block.line or line)
             for block in blocks]
    return Setting(tuple(rules), line)


def _resolved(setting: Setting, defaults: Mapping[str, Setting]) -> Setting:
    if setting.entries:
        found = {key: _resolved(value, defaults) for key, value in setting.entries.items()}
        return Setting({key: value for key, value in found.items() if value.value is not None}, setting.line)
    if isinstance(setting.value, tuple):
        return Setting(tuple(_resolved(item, defaults) for item in setting.value), setting.line)
    text = setting.text or ""
    if variable := _VARIABLE.fullmatch(text):
        default = defaults.get(variable[1])
        if default is not None and default.value is not None:
            return Setting(default.value, setting.line)
    if "${" in text or "%{" in text:
        return Setting(Unresolved(text), setting.line)
    return setting
