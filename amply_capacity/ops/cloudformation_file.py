"""A CloudFormation template's resources, with what its parameters' defaults resolve."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from amply_capacity.ops.configuration import Resource
from amply_capacity.ops.kinds import CLOUDFORMATION, canonical, known_keys, unknown_key
from amply_capacity.ops.setting import NOTHING, Fault, Setting, Unresolved
from amply_capacity.plan.faults import nearest

__all__ = ["is_template", "resolved", "resources_of_template"]

_SECTIONS = ("AWSTemplateFormatVersion", "Conditions", "Description", "Hooks", "Mappings", "Metadata",
             "Outputs", "Parameters", "Resources", "Rules", "Transform")
_ATTRIBUTES = ("Condition", "CreationPolicy", "DeletionPolicy", "DependsOn", "Metadata", "Properties", "Type",
               "UpdatePolicy", "UpdateReplacePolicy")
_NO_VALUE = "AWS::NoValue"


def is_template(root: Setting) -> bool:
    return "AWSTemplateFormatVersion" in root.entries or any(
        "::" in (resource.entries["Type"].text or "")
        for resource in root.entries.get("Resources", NOTHING).entries.values()
        if "Type" in resource.entries)


def resources_of_template(root: Setting, faults: list[Fault]) -> Iterator[Resource]:
    """Those of the kinds that are audited; faults are unknown sections, attributes and properties.

    A `Ref` to a parameter with a default is that default; what else refers to something is Unresolved.
    """
    faults += [Fault(setting.line or 1, f"unknown section {name} of a template ({nearest(name, _SECTIONS)})")
               for name, setting in root.entries.items() if name not in _SECTIONS]
    resolver = _Resolver(root.entries.get("Parameters", NOTHING))
    for name, declared in root.entries.get("Resources", NOTHING).entries.items():
        attributes = declared.entries
        kind = CLOUDFORMATION.get(attributes.get("Type", NOTHING).text or "")
        if kind is None:
            continue
        faults += [Fault(setting.line or 1, f"unknown attribute {key} of a resource "
                                            f"({nearest(key, _ATTRIBUTES)})")
                   for key, setting in attributes.items() if key not in _ATTRIBUTES]
        properties = resolver.resolved(attributes.get("Properties", NOTHING)).entries
        known = known_keys(kind)
        faults += [Fault(setting.line or 1, unknown_key(key, kind, known))
                   for key, setting in properties.items() if key not in known]
        settings = canonical(kind, properties)
        if kind == "security group" and "SecurityGroupIngress" not in settings:
            rule = Setting({key: value for key, value in settings.items() if key != "Tags"}, declared.line)
            settings = {"SecurityGroupIngress": Setting((rule,), declared.line)}
        yield Resource(kind, name, settings, declared.line, ids=(name,))


def resolved(setting: Setting) -> Setting:
    """What stands outside of a template, its references and dynamic references Unresolved."""
    return _Resolver(NOTHING).resolved(setting)


class _Resolver:
    def __init__(self, parameters: Setting) -> None:
        self._defaults: Mapping[str, Setting] = {
            name: one.entries["Default"] for name, one in parameters.entries.items()
            if "Default" in one.entries}

    def resolved(self, setting: Setting) -> Setting:
        """The same with references followed or Unresolved, and without what is `AWS::NoValue`."""
        entries = setting.entries
        if len(entries) == 1:
            (name, argument), = entries.items()
            if name == "Ref" or name == "Condition" or name.startswith("Fn::"):
                return self._function(name, argument, setting.line)
        if entries:
            kept = {key: self.resolved(value) for key, value in entries.items()}
            return Setting({key: value for key, value in kept.items() if value.value is not None},
                           setting.line)
        if isinstance(setting.value, tuple):
            return Setting(tuple(self.resolved(item) for item in setting.value), setting.line)
        if "{{resolve:" in (setting.text or ""):
            return Setting(Unresolved(setting.text or ""), setting.line)
        return setting

    def _function(self, name: str, argument: Setting, line: int | None) -> Setting:
        written = argument.text or ""
        if name == "Ref" and written == _NO_VALUE:
            return Setting(None, line)
        if name == "Ref" and written in self._defaults:
            return Setting(self._defaults[written].value, line)
        if name == "Fn::Sub" and written and "${" not in written and "{{resolve:" not in written:
            return Setting(written, line)
        return Setting(Unresolved(f"{name} {written}".strip()), line)
