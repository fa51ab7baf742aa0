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


def stages(text=None):
    """The instructions of each stage."""
    found = []
    for pair in instructions(text):
        if pair[0] == "FROM":
            found.append([])
        found[-1].append(pair)
    return found


# The commands that a stage may run: those of the base image, and those of a package that it has installed before.
IN_EVERY_BASE = {"apt-get", "install", "rm"}
FROM_PACKAGES = {"git": "git", "dpkg-buildpackage": "dpkg-dev", "systemd-sysusers": "systemd-standalone-sysusers"}


def problems(text=None):
    """What would go wrong in a stage that has nothing of the one before but what it copies."""
    found, places = [], {}
    for stage in stages(text):
        name = (re.findall(r" AS (\w+)$", stage[0][1]) or [""])[0]
        directory, copied, installed = "/", {}, set()
        for instruction, argument in stage[1:]:
            if instruction == "WORKDIR":
                directory = argument
            if instruction == "COPY":
                *options, source, target = argument.split()
                copied[target] = source
                if options:
                    built = places.get(options[0].split("=")[1])
                    if source != f"{built}/*.deb":
                        found.append(f"{source} is copied, and the packages are built in {built}")
            for command in argument.split("&&") if instruction == "RUN" else ():
                words = shlex.split(command)
                needs = FROM_PACKAGES.get(words[0])
                if words[0] not in IN_EVERY_BASE and (needs is None or needs not in installed):
                    found.append(f"{words[0]} is run, and nothing has installed it")
                if words[:2] == ["apt-get", "install"]:
                    installed.update(word for word in words[2:] if word[0] != "-")
                if words[0] == "dpkg-buildpackage":
                    places[name] = os.path.dirname(directory)
                if words[:2] == ["git", "clone"] and (words[-2] not in copied or words[-1] != directory_after(stage)):
                    found.append(f"{' '.join(words)}: the source is copied to {list(copied)}, and worked on elsewhere")
        for target in copied:
            wanted = f"{target}*.deb"
            if name == "" and wanted not in installed:
                found.append(f"{target} has the packages, and installed are {sorted(installed)}")
    return found


def directory_after(stage):
    """Where a stage works at its end."""
    return [argument for instruction, argument in stage if instruction == "WORKDIR"][-1]


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
