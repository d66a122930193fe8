"""Reads YAML as CloudFormation does: version 1.1, by PyYAML, with the short tags as the long forms that they stand for.

A request is a line of JSON, {"text": …, "expected": …}; the answer is a line, "same" or what differs.
"""

import json
import sys

import yaml


class Loader(yaml.SafeLoader):
    """SafeLoader with CloudFormation's short tags, without merging of repeated keys."""


def construct(loader, suffix, node):
    name = suffix if suffix == "Ref" else "Fn::" + suffix
    if isinstance(node, yaml.ScalarNode):
        argument = loader.construct_scalar(node)
        if suffix == "GetAtt":
            argument = argument.split(".", 1)
    elif isinstance(node, yaml.SequenceNode):
        argument = loader.construct_sequence(node, deep=True)
    else:
        argument = loader.construct_mapping(node, deep=True)
    return {name: argument}


def mapping(loader, node, deep=False):
    keys = [loader.construct_object(key, deep=True) for key, _ in node.value]
    if len(set(keys)) < len(keys):
        raise ValueError(f"a key stands twice in {keys}")
    return {key: loader.construct_object(value, deep=True) for key, (_, value) in zip(keys, node.value)}


Loader.add_multi_constructor("!", construct)
Loader.add_constructor("tag:yaml.org,2002:map", mapping)
Loader.construct_mapping = mapping


def difference(found, expected, path="$"):
    if type(found) is not type(expected):
        return f"{path}: {found!r} ({type(found).__name__}) instead of {expected!r} ({type(expected).__name__})"
    if isinstance(expected, dict):
        if found.keys() != expected.keys():
            return f"{path}: keys {sorted(map(repr, found))} instead of {sorted(map(repr, expected))}"
        pairs = [(f"{path}[{key!r}]", found[key], expected[key]) for key in expected]
    elif isinstance(expected, list):
        if len(found) != len(expected):
            return f"{path}: {len(found)} items instead of {len(expected)}"
        pairs = [(f"{path}[{index}]", *pair) for index, pair in enumerate(zip(found, expected))]
    else:
        return None if found == expected else f"{path}: {found!r} instead of {expected!r}"
    return next(filter(None, (difference(value, other, where) for where, value, other in pairs)), None)


for line in sys.stdin:
    request = json.loads(line)
    try:
        answer = difference(yaml.load(request["text"], Loader), request["expected"]) or "same"
    except Exception as error:  # whatever PyYAML says of the text is the answer
        answer = f"{type(error).__name__}: {error}"
    print(json.dumps(answer), flush=True)
