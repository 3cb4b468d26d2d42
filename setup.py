"Packaging: everything is read from `settings.ini`, which nbdev reads as well."
from configparser import ConfigParser
from pathlib import Path
from setuptools import find_packages, setup

here = Path(__file__).parent
parser = ConfigParser(delimiters=["="], interpolation=None)
parser.read(here / "settings.ini", encoding="utf-8")
cfg = parser["DEFAULT"]

setup(
    name=cfg["lib_name"],
    version=cfg["version"],
    description=cfg["description"],
    long_description=(here / "README.md").read_text(encoding="utf-8") if (here / "README.md").exists() else "",
    long_description_content_type="text/markdown",
    author=cfg["author"],
    url=cfg["git_url"],
    license="Apache-2.0",
    keywords=cfg["keywords"],
    packages=find_packages(include=[cfg["lib_path"], cfg["lib_path"] + ".*"]),
    include_package_data=True,
    package_data={"": ["assets/*", "assets/**/*", "py.typed"]},
    install_requires=cfg["requirements"].split(),
    extras_require={extra: cfg[f"{extra.replace('-', '_')}_requirements"].split()
                    for extra in ("dev", "trackers", "dicom-out", "slurm")},
    python_requires=">=" + cfg["min_python"],
    entry_points={"console_scripts": cfg["console_scripts"].split(), "nbdev": ["medbridge=medbridge._modidx:d"]},
    zip_safe=False,
)
