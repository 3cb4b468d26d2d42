"""Which versions of its dependencies medbridge works with: environments made from settings.ini, tried and locked.

    versions.py floors             the oldest versions of settings.ini, as pip's requirements
    versions.py newest             what settings.ini allows, with no pin
    versions.py try NAME           what has to work in an environment: import, the embedded model, training, the experts
    versions.py lock FILE          the versions of this environment with hashes of their public files, into FILE
    versions.py fits FILE          whether a lock was made for this Python, system and machine, and for this settings.ini

settings.ini is the one list of dependencies. torch and torchvision are those of constraints.txt everywhere: their
oldest versions exist with several gigabytes of CUDA only, so their floors are what transformers asks for, not tried.
"""
from configparser import ConfigParser
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PINNED = ("torch", "torchvision")
# of the development list, what the notebooks that are tried import
TRIED_WITH = ("nbdev", "fastcore", "execnb", "ghapi", "torchmetrics", "hypothesis", "nibabel", "onnx")


# the list

def listed(name: str) -> list[str]:
    "The requirements of a field of settings.ini, as they stand there."
    parser = ConfigParser(delimiters=["="], interpolation=None)
    parser.read(ROOT/"settings.ini", encoding="utf-8")
    return parser["DEFAULT"][name].split()


def name_of(requirement: str) -> str:
    "Of the package, as it is spelt."
    for at, letter in enumerate(requirement):
        if letter in "<>=!~": return requirement[:at]
    return requirement


def tried() -> list[str]:
    "Requirements of an environment in which versions are tried, without what constraints.txt pins."
    development = [r for r in listed("dev_requirements") if name_of(r) in TRIED_WITH]
    return [r for r in listed("requirements") + development if name_of(r) not in PINNED]


def floor(requirement: str) -> str:
    "The oldest version that a requirement allows; one without a lower bound stays as it is."
    name = name_of(requirement)
    for bound in requirement.removeprefix(name).split(","):
        if bound.startswith((">=", "==")): return f"{name}=={bound[2:]}"
    return requirement
