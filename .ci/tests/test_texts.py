"What texts of the repository say of it: how it is installed, which variables it reads, where what lies."
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from first import SHELLS, lines_of, named_in_vain  # noqa: E402
from ratchet import tracked  # noqa: E402
from report import ROOT  # noqa: E402

TEXTS = (".py", ".ipynb", ".md", ".qmd", ".yml", ".yaml", ".ini", ".cff", ".toml", ".txt", "Makefile", "Snakefile")
# medbridge is on no index: `pip install medbridge`, in any spelling and among other packages, fetches nothing or another's
FROM_INDEX = re.compile(r"pip3? install(?: +[^\s`#;,&)]+){0,5}? +[\\\"']*medbridge(?:\[|[\\\"'`=<>\s).,;]|$)", re.M)
VARIABLE = re.compile(r"\bMEDBRIDGE_[A-Z]+(?:_[A-Z]+)*\b")
# variables that only the program's own parts tell one another, or that are for its tests
INTERNAL = {
    "MEDBRIDGE_BATCH": "what a batch tells Snakemake",
    "MEDBRIDGE_WITH_PARENT": "a process that is to end with another",
    "MEDBRIDGE_KILLS": "how often a test kills a batch",
    "MEDBRIDGE_TUTORIALS": "whether the checks run tutorials without a browser",
}


def texts() -> dict[str, str]:
    "Text files that git keeps, the results left out."
    names = [n for n in tracked(".") if n.endswith(TEXTS) and not n.startswith(("figures/", ".ci/tests/"))]
    return {name: (ROOT/name).read_text(encoding="utf-8") for name in names}


def from_index(text: str) -> list[str]: return [" ".join(found.split()) for found in FROM_INDEX.findall(text)]


def test_installing_from_an_index_is_noticed():
    for words in ("medbridge", '"medbridge[slurm]"', '\\"medbridge[trackers]\\"', "-U torch medbridge", "medbridge==0.1"):
        assert from_index(f"first pip install {words}, then"), words
    for words in ('-e ".[slurm]"', ".", "medbridge-mirror", "onnx", "-e . && python -m medbridge", "torch # for medbridge"):
        assert not from_index(f"pip install {words}\n"), words


def test_nothing_says_that_an_index_has_medbridge():
    found = {name: from_index(text) for name, text in texts().items()}
    assert len(found) > 100
    assert {name: hits for name, hits in found.items() if hits} == {}


def test_every_extra_is_one_of_setup():
    extras = set(re.findall(r'"([a-z-]+)"', (ROOT/"setup.py").read_text().split("for extra in")[1].split(")")[0]))
    asked = {extra for text in texts().values() for extra in re.findall(r"pip install[^\n]*?-e [\\\"']*\.\[([a-z-]+)\]", text)}
    assert {"slurm", "dicom-out", "trackers"} <= asked <= extras


def listed_variables() -> set[str]:
    "Variables of the table of the page on installation."
    rows = [line for line in (ROOT/"nbs/docs/install.qmd").read_text().splitlines() if line.startswith("| `MEDBRIDGE_")]
    return {VARIABLE.search(row)[0] for row in rows}


def test_the_table_of_variables_is_whole():
    code = (".py", ".ipynb", "Makefile", "Snakefile")
    read = {v for name, text in texts().items() if name.endswith(code) for v in VARIABLE.findall(text)}
    assert read - INTERNAL.keys() == listed_variables()
    assert INTERNAL.keys() <= read and not INTERNAL.keys() & listed_variables()


def test_every_notebook_of_the_library_has_its_place_in_contributing():
    text = (ROOT/"CONTRIBUTING.md").read_text()
    missing = []
    for folder in sorted(p for p in (ROOT/"nbs/core").iterdir() if p.is_dir() and not p.name.startswith(".")):
        row = re.search(rf"^\| \[{folder.name}\]\(nbs/core/{folder.name}\) \|(.*)\|$", text, re.M)
        assert row, folder.name
        names = {p.stem for p in folder.glob("*.ipynb")} - {"package"}
        missing += [f"{folder.name}/{n}" for n in sorted(names - set(re.findall(r"`(\w+)`", row[1])))]
        missing += [f"{folder.name} has no {n}" for n in sorted(set(re.findall(r"`(\w+)`", row[1])) - names)]
    assert missing == []


def test_lines_of_a_page():
    page = "a\n```sh\nmake x   # why\n\n# only a remark\nmake \\\n  y\n```\n```python\nx = 1\ny = 2\n```\n```bibtex\n@a{b}\n```\n"
    lines = lines_of(page)
    assert [line.command for line in lines[:2]] == ["make x", "make    y"]
    assert [line.python for line in lines] == [False, False, True] and lines[2].text == "x = 1\ny = 2\n"
    assert named_in_vain(lines, ["make x", "make z"]) == ["make z"]
    try: lines_of("```ruby\nx\n```\n")
    except ValueError as error: assert "ruby" in str(error)
    else: raise AssertionError("a language that is not known")


IN_AN_ENVIRONMENT = ("python -m pip install -e .",)   # said to be for one that is active


def fresh_shell_faults(text: str) -> list[str]:
    "Lines of a page that a fresh shell in the checkout would not know: tools of the environment without their folder."
    tools = re.compile(r"^(?:python|pip|jupyter|medbridge|papermill|nbdev_\w+|ruff|mypy|pytest)\s")
    return [line.text for line in lines_of(text) if tools.match(line.text) and line.command not in IN_AN_ENVIRONMENT]


def test_commands_name_their_folder():
    assert fresh_shell_faults(f"```{SHELLS[0]}\njupyter lab\n.venv/bin/jupyter lab\nmake lab\n```\n") == ["jupyter lab"]
    pages = [*ROOT.glob("*.md"), *ROOT.glob("nbs/docs/*.qmd"), *ROOT.glob("workflow/**/*.md")]
    assert len(pages) > 8
    assert {p.name: found for p in pages if (found := fresh_shell_faults(p.read_text(encoding="utf-8")))} == {}
