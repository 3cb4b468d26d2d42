"The list of versions: floors, the lock and what it holds for, and the set-up that falls back from it."
import re
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import versions  # noqa: E402

LOCK = versions.ROOT/"requirements.lock"
LINE = re.compile(r"([a-z0-9-]+)==(\S+) --hash=sha256:[0-9a-f]{64}")


def pins():
    "Name and version of each line of the lock that is committed."
    lines = [line for line in LOCK.read_text().splitlines() if not line.startswith("#")]
    return dict(LINE.fullmatch(line).groups() for line in lines)


def test_floor():
    floors = {"a>=1.2": "a==1.2", "a==3": "a==3", "a<2": "a<2", "a-b_c>=1.7,<2": "a-b_c==1.7", "a": "a"}
    assert {r: versions.floor(r) for r in floors} == floors
    assert [versions.name_of(r) for r in floors] == ["a", "a", "a", "a-b_c", "a"]


def test_every_requirement_has_a_floor_that_it_allows():
    for line in map(versions.floor, versions.listed("requirements")):
        assert "==" in line
    for requirement in versions.listed("requirements") + versions.listed("dev_requirements"):
        oldest = versions.floor(requirement)
        if "==" in oldest: assert Requirement(requirement).specifier.contains(oldest.split("==")[1]), requirement


def test_tried_leaves_out_what_is_pinned():
    names = {versions.name_of(r) for r in versions.tried()}
    assert not names & set(versions.PINNED)
    assert {"transformers", "nbdev"} < names and "snakemake" not in names


def test_the_lock_names_no_place_and_holds_all_that_is_listed():
    text = LOCK.read_text()
    assert "/" not in text and "file:" not in text
    found = pins()
    for requirement in map(Requirement, versions.listed("requirements") + versions.listed("dev_requirements")):
        if requirement.name in versions.PINNED: continue
        assert requirement.specifier.contains(found[versions.plain(requirement.name)]), requirement
    assert not set(versions.PINNED) & set(found)


@pytest.fixture
def lock(tmp_path):
    "A lock that holds here."
    path = tmp_path/"requirements.lock"
    path.write_text(versions.locked({"a": "1"}, {"a": "0"*64}))
    return path


def test_what_a_lock_holds_for(lock, monkeypatch):
    assert versions.unlike(lock) == ""
    with monkeypatch.context() as m:
        m.setattr("platform.machine", lambda: "riscv64")
        assert "riscv64" in versions.unlike(lock)
    with monkeypatch.context() as m:
        m.setattr(versions, "listed", lambda name: ["other>=1"])
        assert "settings.ini and constraints.txt" in versions.unlike(lock)
    lock.write_text("a==1\n")
    assert "nothing said" in versions.unlike(lock)
    assert "there is no none" in versions.unlike(Path("none"))


class Pip:
    "Notes what it is asked; fails, with these words, where an argument is among `fails`."
    def __init__(self, **fails): self.asked, self.fails = [], fails

    def __call__(self, *arguments):
        words = [str(a) for a in arguments]
        self.asked.append(words)
        for name, said in self.fails.items():
            if f"--{name.replace('_', '-')}" in words or name in words: return False, said
        return True, ""


def everything(asked): return [words for words in asked if ".[dev]" in words]


def test_hashes_where_the_lock_holds(lock):
    run = Pip()
    assert versions.install(lock, run) == "set up with the versions and hashes of requirements.lock"
    assert not everything(run.asked)
    assert run.asked[0][:3] == ["install", "-c", "constraints.txt"] and set(versions.PINNED) < set(run.asked[0])
    assert ["install", "--no-deps", "--require-hashes", "-r", str(lock)] in run.asked and run.asked[-1] == ["check"]


@pytest.mark.parametrize("run", [Pip(require_hashes="no matching distribution"), Pip(check="a needs b")])
def test_falls_back_where_the_lock_cannot_be_installed(lock, run):
    said = versions.install(lock, run)
    assert "hashes are not checked: requirements.lock cannot be installed here" in said
    assert len(everything(run.asked)) == 1


def test_falls_back_on_another_machine(lock, monkeypatch):
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    run = Pip()
    assert "riscv64" in versions.install(lock, run)
    assert len(everything(run.asked)) == 1 and not any("--require-hashes" in words for words in run.asked)


def test_does_not_fall_back_from_another_hash(lock):
    run = Pip(require_hashes=f"ERROR: THESE PACKAGES {versions.MISMATCH} FROM THE REQUIREMENTS FILE")
    with pytest.raises(SystemExit, match="LOCK=none"): versions.install(lock, run)
    assert not everything(run.asked)


def test_a_set_up_that_fails_says_so(lock):
    with pytest.raises(SystemExit, match="no room"): versions.install(lock, Pip(torch="no room"))
    with pytest.raises(SystemExit, match="no room"): versions.install(Path("none"), Pip(**{".[dev]": "no room"}))
