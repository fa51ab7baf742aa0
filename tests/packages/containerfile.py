# SPDX-License-Identifier: MIT
"""contrib/Containerfile as its instructions, and the commands of docs/containers.md."""

import json
import os
import re
import shlex

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
KNOWN = {"FROM", "ENV", "RUN", "COPY", "WORKDIR", "USER", "VOLUME", "ENTRYPOINT"}


def text_of(name):
    with open(os.path.join(TOP, name), encoding="utf-8") as file:
        return file.read()


def instructions(text=None):
    """Pairs of an instruction and its argument."""
    text = text_of("contrib/Containerfile") if text is None else text
    lines = "\n".join(line for line in text.splitlines() if not line.startswith("#")).replace("\\\n", " ").splitlines()
    pairs = [tuple(line.split(None, 1)) for line in lines if line.strip()]
    unknown = [pair[0] for pair in pairs if len(pair) != 2 or pair[0] not in KNOWN]
    if unknown or pairs[0][0] != "FROM":
        raise ValueError(f"this is no Containerfile that the tests understand: {unknown or pairs[0]}")
    return pairs


def last(name):
    """The argument of the instruction that counts: that of the last stage."""
    return [argument for instruction, argument in instructions() if instruction == name][-1]


def entrypoint():
    return json.loads(last("ENTRYPOINT"))


def podman_commands():
    """The commands of the page that run something in a container: what podman is told, the image, and the command in
    it."""
    for line in re.findall(r"(?m)^    podman run (.*)$", text_of("docs/containers.md")):
        words = shlex.split(line)
        image = next(i for i, word in enumerate(words) if word == "IMAGE" or word.startswith("localhost/"))
        yield words[:image], words[image], words[image + 1:]
