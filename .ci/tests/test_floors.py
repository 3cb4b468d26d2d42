"The plan of a toy package: circles, arrows that lead up, lazy imports and lazy faces."
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from floors import arrows, circles, faults  # noqa: E402

FLOORS = (("basics", "compat"), ("data",), ("mixture",), ("model",), ("cli", "doctor"))


@pytest.fixture
def toy(tmp_path):
    "A package that meets its plan; `write` changes a file of it."
    package = tmp_path/"toy"

    def write(name, text):
        path = package/name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return package

    write("__init__.py", '_public = {"Model": "toy.model"}\nfrom toy import compat')
    write("_modidx.py", "import toy.model")
    write("basics.py", "import os\nfrom .compat import mend")
    write("compat.py", "mend = 1")
    write("data/__init__.py", "")
    write("data/tables.py", "from toy.basics import name\nfrom .labels import LABELS")
    write("data/labels.py", "LABELS = ()")
    write("mixture/__init__.py", '_public = {"Core": "core"}')
    write("mixture/core.py", "from toy.data.tables import read")
    write("model.py", "from toy.mixture import Core")
    write("cli.py", "def main():\n    from toy import Model, doctor")
    write("doctor.py", "import toy.data.labels")
    return write


def test_the_plan_is_met(toy):
    package = toy("doctor.py", "import toy.data.labels")
    assert faults(package, FLOORS) == []
    found = arrows(package)
    assert found["toy.model"] == {"toy.mixture.core"}          # through the face of the folder
    assert found["toy.cli"] == {"toy.model", "toy.doctor"}     # through the face of the package, inside a function
    assert found["toy.data.tables"] == {"toy.basics", "toy.data.labels"}
    assert found["toy"] == set()


def test_a_circle_of_files(toy):
    package = toy("data/labels.py", "def late():\n    from toy.data.tables import read")
    assert faults(package, FLOORS) == ["circle of files: toy.data.labels, toy.data.tables"]


def test_a_circle_of_folders(toy):
    package = toy("data/labels.py", "from importlib import import_module\nimport_module('toy.mixture')")
    words = faults(package, FLOORS)
    assert words == ["circle of folders: data, mixture", "toy.data.labels (floor 2) imports toy.mixture (floor 3)"]


def test_an_arrow_that_leads_up(toy):
    package = toy("mixture/views.py", "def f():\n    from toy import Model")
    assert "toy.mixture.views (floor 3) imports toy.model (floor 4)" in faults(package, FLOORS)


def test_folders_of_one_floor_do_not_know_each_other(toy):
    toy("phantom/sites.py", "import toy.mixture.core")
    package = toy("phantom/__init__.py", "")
    floors = (FLOORS[0], FLOORS[1], ("mixture", "phantom"), *FLOORS[3:])
    assert faults(package, floors) == ["toy.phantom.sites (floor 3) imports toy.mixture.core (floor 3)"]


def test_every_folder_has_a_floor(toy):
    assert faults(toy("extra.py", ""), FLOORS) == ["extra stands on no floor"]


def test_circles_are_told_apart():
    graph = {"a": {"b"}, "b": {"a", "c"}, "c": {"d"}, "d": {"e"}, "e": {"c"}, "f": {"f"}}
    assert circles(graph) == [["c", "d", "e"], ["a", "b"]]
