"""Map the three top-level folders into the package: ``import anserdb.engine`` works, nothing named ``engine`` is installed."""

from setuptools import find_packages, setup

FOLDERS = ("engine", "udfs", "optimizer")
setup(
    packages=["anserdb"] + [f"anserdb.{p}" for p in find_packages(include=[g for f in FOLDERS for g in (f, f"{f}.*")])],
    package_dir={"anserdb": "anserdb"} | {f"anserdb.{f}": f for f in FOLDERS},
    package_data={"anserdb": ["py.typed"]},
)
