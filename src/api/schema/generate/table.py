#!/usr/bin/env python3
"""Writes src/api/schema/table.tsv: the facts of Kubernetes' API types that sampan works from.

Usage: table.py DEFINITIONS K8S_PB_SRC > src/api/schema/table.tsv

DEFINITIONS is `_definitions.json` of the wanted Kubernetes version in the PyPI package
`kubernetes-validate` (field names, types, required, list and patch extensions, kinds);
K8S_PB_SRC is the `src` folder of the crate `k8s-pb` (protobuf tags); pointers.txt beside this
script says which optional scalars are pointers in Go. Only stable versions (v1, v2) are taken.
extra.tsv has, in the table's own format, types that neither of them has. The format is explained in ../table.rs. CONTRIBUTING.md has the commands to rerun it.
"""

import json
import pathlib
import re
import sys

PACKAGES = {
    "io.k8s.api.": "",
    "io.k8s.apimachinery.pkg.apis.": "",
    "io.k8s.apiextensions-apiserver.pkg.apis.": "",
    "io.k8s.kube-aggregator.pkg.apis.": "",
}
STABLE = re.compile(r"^[a-z0-9]+\.v\d+\.\w+$")
SPECIAL = {
    "io.k8s.apimachinery.pkg.api.resource.Quantity": "q",
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": "n",
    "meta.v1.Time": "t",
    "meta.v1.MicroTime": "u",
    "meta.v1.FieldsV1": "F",
    "io.k8s.apimachinery.pkg.runtime.RawExtension": "r",
    "apiextensions.v1.JSON": "j",
    "apiextensions.v1.JSONSchemaPropsOrArray": "a",
    "apiextensions.v1.JSONSchemaPropsOrBool": "o",
    "apiextensions.v1.JSONSchemaPropsOrStringArray": "p",
}
# Lists that are a message with one repeated field `items` on the wire (Go: named slice types).
WRAPPED = {"ExtraValue", "Verbs"}


def short(name):
    for prefix, replacement in PACKAGES.items():
        if name.startswith(prefix):
            name = replacement + name[len(prefix):]
    return name


def type_code(schema):
    """The one-letter (or composed) type code of a property."""
    ref = schema.get("$ref")
    if ref:
        name = short(ref.removeprefix("#/$defs/"))
        return SPECIAL.get(name, "@" + name)
    kinds = schema.get("type", [])
    kind = next(k for k in ([kinds] if isinstance(kinds, str) else kinds) if k != "null")
    if kind == "array":
        return "[" + type_code(schema["items"])
    if kind == "object":
        return "{" + type_code(schema["additionalProperties"])
    return {
        ("string", None): "s",
        ("string", "byte"): "B",
        ("boolean", None): "b",
        ("integer", "int32"): "i",
        ("integer", "int64"): "l",
        ("number", "double"): "d",
    }[(kind, schema.get("format"))]


def messages(src):
    """k8s-pb's structs: {"core.v1.pod": {"metadata": (tag, wire type, target)}}."""
    found = {}
    for path in sorted(pathlib.Path(src).rglob("mod.rs")):
        parts = path.relative_to(src).parts[:-1]
        if len(parts) < 2 or not re.match(r"v\d", parts[-1]):
            continue
        package = ".".join(parts[-2:])
        text = "\n".join(l for l in path.read_text().split("\n") if not l.strip().startswith("//"))
        for struct in re.finditer(r"pub struct (\w+) \{(\}|.*?\n\})", text, re.S):
            fields = {}
            for attr, name, rust in re.findall(
                r"#\[prost\(([^\]]*)\)\]\s*pub (?:r#)?(\w+):\s*(.*?),\s*(?=#\[|\}$)", struct[2], re.S
            ):
                tag = int(re.search(r'tag = "(\d+)"', attr)[1])
                rust = re.sub(r"\s", "", rust).rstrip(",>")
                target = re.findall(r"(\w+)$", rust)[0]
                module = re.findall(r"(\w+)::(\w+)::\w+$", rust)
                in_package = ".".join(module[0]) if "super::" in rust and module else package
                fields[joined(name)] = (tag, attr, in_package + "." + target, target)
            found[joined_type(package + "." + struct[1])] = fields
    return found


def joined(name):
    return re.sub(r"[^a-z0-9]", "", name.lower())


def joined_type(name):
    return name.lower()


def tag_paths(message, pb, want, prefix=(), seen=()):
    """Where on the wire each wanted (joined) name of a message is: a direct tag, or a path of tags
    through the structs that Go embeds."""
    paths = {}
    rest = []
    for name, (tag, attr, target, bare) in message.items():
        if name in want:
            paths[name] = (prefix + (tag,), attr, bare)
        else:
            rest.append((tag, attr, target, name))
    for tag, attr, target, name in rest:
        inner = pb.get(joined_type(target))
        if "message" in attr and "optional" in attr and inner and target not in seen:
            below = tag_paths(inner, pb, want, prefix + (tag,), (*seen, target))
            for key, value in below.items():
                paths.setdefault(key, value)
    return paths


def main():
    definitions = json.load(open(sys.argv[1]))["$defs"]
    pb = messages(sys.argv[2])
    pointers = {}
    for line in (pathlib.Path(__file__).parent / "pointers.txt").read_text().split("\n"):
        if line and not line.startswith("#"):
            pointers.setdefault(line.split()[0], set()).update(line.split()[1:])
    known = {short(name): schema.get("properties", {}) for name, schema in definitions.items()}
    strangers = [f"{t}.{f}" for t, names in pointers.items() for f in names if f not in known.get(t, {})]
    if strangers:
        sys.exit(f"pointers.txt names unknown fields: {strangers}")
    missing, types = [], {}
    print("# Facts of Kubernetes' API types; written by generate/table.py, read by table.rs. Do not edit.")
    for full, schema in sorted(definitions.items(), key=lambda item: short(item[0])):
        name = short(full)
        if name in SPECIAL or not STABLE.match(name):
            continue
        kinds = schema.get("x-kubernetes-group-version-kind", [])
        kinds = [f"{k['group']}/{k['version']}/{k['kind']}" for k in kinds] if len(kinds) < 4 else []
        head = ["=" + name, ",".join(kinds), schema.get("x-kubernetes-map-type", "")]
        types[name] = ["\t".join(head).rstrip()]
        properties = schema.get("properties", {})
        message = pb.get(joined_type(name))
        paths = tag_paths(message, pb, {joined(p) for p in properties}) if message else {}
        if not message:
            missing.append(name)
        for prop, inner in sorted(properties.items()):
            code = type_code(inner)
            where = paths.get(joined(prop))
            tags = ".".join(map(str, where[0])) if where else ""
            if not where and message and prop not in ("apiVersion", "kind"):
                missing.append(f"{name}.{prop}")
            wrapped = where and (where[2] in WRAPPED or (code.startswith("{[")))
            flags = ""
            if prop in schema.get("required", []):
                flags += "!"
            elif prop in pointers.get(name, ()):
                flags += "*"
            if wrapped:
                flags += "w"
            strategy = inner.get("x-kubernetes-patch-strategy", "")
            columns = [
                prop,
                code,
                tags,
                flags,
                inner.get("x-kubernetes-list-type", inner.get("x-kubernetes-map-type", "")),
                ",".join(inner.get("x-kubernetes-list-map-keys", [])),
                strategy,
                inner.get("x-kubernetes-patch-merge-key", ""),
            ]
            types[name].append("\t".join(columns).rstrip())
    # Types that neither source has.
    extra = (pathlib.Path(__file__).parent / "extra.tsv").read_text()
    for block in re.split(r"^=", extra, flags=re.M)[1:]:
        types[re.split(r"\s", block)[0]] = ["=" + block.rstrip("\n")]
    for _, lines in sorted(types.items()):
        print("\n".join(lines))
    print("no protobuf:", *missing, file=sys.stderr)


main()
