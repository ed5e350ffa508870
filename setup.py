"""What pyproject.toml cannot say: a version read from git, and sweeps that are installed, too."""

from pathlib import Path

from setuptools import find_packages, setup

try:
    from setuptools_scm import get_version
except ImportError:  # a node of a cluster, which gets the files without the history
    version = "0.1.0"
else:
    version = get_version(root=str(Path(__file__).parent), fallback_version="0.1.0")

packages = find_packages(include=["orchestrator*", "models*"])
if Path(__file__).with_name("sweeps").is_dir():  # nodes get a sweep's file from `ray submit`
    packages.append("orchestrator.sweeps")

setup(version=version, packages=packages, package_dir={"orchestrator.sweeps": "sweeps"})
