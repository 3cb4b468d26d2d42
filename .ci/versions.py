"""Versions of what medbridge depends on: the oldest and the newest are tried, those of an environment are locked.

    versions.py floors          the oldest versions that settings.ini allows, as pip's requirements
    versions.py newest          what settings.ini allows, with nothing pinned
    versions.py try             what has to work in this environment: import, the embedded model, training, notebooks
    versions.py lock FILE       the versions of this environment with the hashes of PyPI's files, into FILE
    versions.py install FILE    what FILE holds, hashes checked, where it was made for this Python, system and machine
                                and for today's settings.ini; else what settings.ini and constraints.txt allow

settings.ini is the one list of dependencies. torch and torchvision are those of constraints.txt everywhere and are not
locked: their builds without CUDA come from PyTorch's own index or from a folder of wheels, so that no hash holds for
everybody; and their oldest versions are several gigabytes of CUDA, so that their floors are what transformers asks for.
"""
import hashlib
import json
import os
import platform
import subprocess
import sys
import tempfile
from configparser import ConfigParser
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PUBLIC = "https://pypi.org/simple"
PINNED = ("torch", "torchvision")
# of the development list, what the notebooks import that are tried
TRIED_WITH = ("nbdev", "fastcore", "execnb", "ghapi", "torchmetrics", "hypothesis", "nibabel", "onnx")
MISMATCH = "DO NOT MATCH THE HASHES"
NOTEBOOKS = ("experts/core", "experts/settings", "experts/suite", "experts/clip", "experts/openclip", "experts/generative",
             "experts/vision", "experts/qwen", "experts/cnn", "experts/timmvit", "experts/xrv", "experts/loading",
             "experts/sidefiles", "experts/upstream", "data/radiograph", "data/manifest", "evaluation/calibrate", "mixture/core",
             "methods/tuning", "training/start", "training/checkpoint")
USE = """
import numpy as np, tempfile
from medbridge import MedBridge, datasets, phantom
image = phantom.render("phantom-nih", 7, 1, size=256).pixels
print(MedBridge.from_pretrained("embedded").predict(image).table().iloc[0].round(3).to_dict())
data = datasets.load("phantom-nih", n=24, seed=3)
part = np.arange(len(data)) % 3 == 0
model = MedBridge(data.labels, ["tinysiglip-radio"], views=1)
model.fit(data.subset(np.flatnonzero(~part)), data.subset(np.flatnonzero(part)), epochs=1)
with tempfile.TemporaryDirectory() as folder:
    again = MedBridge.from_pretrained(model.save_pretrained(folder + "/m"))
    np.testing.assert_array_equal(again.predict(image).logits, model.predict(image).logits)
"""


# the list

def listed(name: str) -> list[str]:
    "The requirements of a field of settings.ini, as they stand there."
    parser = ConfigParser(delimiters=["="], interpolation=None)
    parser.read(ROOT/"settings.ini", encoding="utf-8")
    return parser["DEFAULT"][name].split()


def name_of(requirement: str) -> str:
    "Of the package, as it is spelt."
    ends = [at for at, letter in enumerate(requirement) if letter in "<>=!~"]
    return requirement[:ends[0]] if ends else requirement


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


# the lock

def plain(name: str) -> str: return name.lower().replace("_", "-").replace(".", "-")


def list_hash() -> str:
    "Of what a lock is made from."
    wanted = [*listed("requirements"), *listed("dev_requirements"), (ROOT/"constraints.txt").read_text(encoding="utf-8")]
    return hashlib.sha256("\n".join(wanted).encode()).hexdigest()[:16]


def made_for() -> dict[str, str]:
    "What a lock holds for: it stands in its first lines, and is compared."
    python = f"{platform.python_implementation()} {sys.version_info[0]}.{sys.version_info[1]}"
    return {"# for": f"{python}, {platform.system()}, {platform.machine()}",
            "# from settings.ini and constraints.txt": list_hash()}


def said_in(file: Path) -> dict[str, str]:
    "The first lines of a lock."
    lines = [line for line in file.read_text(encoding="utf-8").splitlines() if line.startswith("#")]
    return dict(line.split(": ", 1) for line in lines if ": " in line)


def unlike(file: Path) -> str:
    "Why a lock does not hold here, in words; nothing where it does."
    if not file.is_file(): return f"there is no {file.name}"
    found = said_in(file)
    for name, here in made_for().items():
        made = found.get(name, "nothing said")
        if made != here: return f"{file.name} was made {name.removeprefix('# ')} {made}, and here is {here}"
    return ""


def installed() -> dict[str, str]:
    "Version of each distribution that medbridge needs here, directly or not, without torch's own and medbridge."
    from packaging.requirements import Requirement
    found: dict[str, str] = {}
    waiting = [Requirement(r) for r in [*listed("requirements"), *listed("dev_requirements"), "setuptools", "wheel"]]
    seen = set()
    while waiting:
        requirement = waiting.pop()
        key = plain(requirement.name), frozenset(requirement.extras)
        if key in seen: continue
        seen.add(key)
        distribution = metadata.distribution(requirement.name)
        if key[0] not in PINNED: found[key[0]] = distribution.version
        for needed in map(Requirement, distribution.requires or ()):
            extras = [dict(extra=extra) for extra in ("", *requirement.extras)]
            if needed.marker is None or any(map(needed.marker.evaluate, extras)): waiting.append(needed)
    return dict(sorted(found.items()))


def public_environment() -> dict[str, str]:
    "This environment without settings of pip that name other places than PyPI."
    places = "PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL", "PIP_INDEX_URL", "PIP_NO_INDEX", "PIP_CONSTRAINT"
    return {k: v for k, v in os.environ.items() if k not in places} | dict(PIP_CONFIG_FILE=os.devnull)


def public_hashes(versions: dict[str, str]) -> dict[str, str]:
    "SHA-256 of the file that PyPI has of each for this Python, system and machine."
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder)/"report.json"
        pins = Path(folder)/"pins.txt"
        pins.write_text("\n".join(f"{name}=={version}" for name, version in versions.items()))
        command = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--dry-run", "--no-deps",
                   "--ignore-installed", "--no-build-isolation", "--index-url", PUBLIC, "--report", report, "-r", pins]
        subprocess.run([str(c) for c in command], check=True, env=public_environment())
        found = json.loads(report.read_text())["install"]
    return {plain(one["metadata"]["name"]): one["download_info"]["archive_info"]["hashes"]["sha256"] for one in found}


def locked(versions: dict[str, str], hashes: dict[str, str]) -> str:
    "Content of a lock: names, versions and hashes, and no place."
    head = ["# What `make setup` installs beside torch and torchvision; by `make lock`, with the hashes of PyPI's files.",
            *(f"{name}: {value}" for name, value in made_for().items())]
    lines = [f"{name}=={version} --hash=sha256:{hashes[name]}" for name, version in versions.items()]
    return "\n".join([*head, *lines, ""])


# the set-up

def pip(*arguments) -> tuple[bool, str]:
    "Run pip: whether it ended well, and what it said."
    command = [sys.executable, "-m", "pip", *map(str, arguments), "-q", "--disable-pip-version-check"]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return done.returncode == 0, done.stdout


def hashed(file: Path, run) -> str:
    "Install what is locked; why that is not possible, in words. Exits for a file that has another hash."
    why = unlike(file)
    if why: return why
    steps = (("install", "--no-deps", "--require-hashes", "-r", file),
             ("install", "--no-deps", "--no-build-isolation", "-e", "."), ("check",))
    for step in steps:
        ok, said = run(*step)
        if MISMATCH in said:
            sys.exit(f"{said}\nA file is not the one that {file.name} names. Where your index builds wheels of its own, "
                     "say so: make setup LOCK=none")
        if not ok: return f"{file.name} cannot be installed here: {' '.join(said.split())[-300:]}"
    return ""


def install(file: Path, run=pip) -> str:
    "Install what is locked, or else what is listed; returns in words which."
    constrained = "-c", "constraints.txt"
    # torch and torchvision first: without the pins the newest CUDA builds are several gigabytes
    ok, said = run("install", *constrained, "setuptools", "wheel", *PINNED)
    if not ok: sys.exit(said)
    why = hashed(file, run)
    if not why: return f"set up with the versions and hashes of {file.name}"
    ok, said = run("install", *constrained, "--no-build-isolation", "-e", ".[dev]")
    if not ok: sys.exit(said)
    return f"set up with what settings.ini and constraints.txt allow, hashes are not checked: {why}"


# what has to work

def try_here() -> int:
    "Whether this environment is sound, the package can be used in it, and the notebooks pass that touch other packages most."
    from report import check, closing
    check("pip finds nothing missing or too old", sys.executable, "-m", "pip", "check")
    check("import, the embedded model, a small model trained, saved and read", sys.executable, "-c", USE)
    paths = [f"nbs/core/{name}.ipynb" for name in NOTEBOOKS]
    done = subprocess.run([sys.executable, ".ci/check.py", *paths], cwd=ROOT).returncode
    return closing() or done


def main() -> int:
    command, *rest = sys.argv[1:] or ["help"]
    if command == "floors": print("\n".join(map(floor, tried())))
    elif command == "newest": print("\n".join(tried()))
    elif command == "try": return try_here()
    elif command == "install" and rest: print(install(Path(rest[0])))
    elif command == "lock" and rest:
        versions = installed()
        Path(rest[0]).write_text(locked(versions, public_hashes(versions)), encoding="utf-8")
        print(f"{rest[0]}: {len(versions)} packages, for {made_for()['# for']}")
    else:
        print(__doc__)
        return 2
    return 0


if __name__ == "__main__": sys.exit(main())
