"""The layout that docs/architecture.md promises."""

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOP = {"platform", "services", "connectors", "helm", "tests", "docs"}
NAMELESS = {"utils", "helpers", "common", "manager", "misc"}


def tracked() -> list[Path]:
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return [Path(name) for name in listing.split("\0") if name and (ROOT / name).is_file()]


def test_the_platform_folder_does_not_shadow_the_standard_library() -> None:
    assert not (ROOT / "platform" / "__init__.py").exists()


def test_there_are_no_other_top_level_folders() -> None:
    folders = {path.parts[0] for path in tracked() if len(path.parts) > 1 and not path.parts[0].startswith(".")}
    assert folders <= TOP


def test_no_module_has_a_name_that_means_nothing() -> None:
    assert [path for path in tracked() if path.suffix == ".py" and path.stem in NAMELESS] == []


@pytest.mark.parametrize("folder", ["platform", "connectors", "services"])
def test_every_package_is_tested_where_its_name_says(folder: str) -> None:
    for path in (ROOT / "tests" / folder).rglob("test_*.py"):
        place = path.parent.relative_to(ROOT / "tests" / folder)
        assert (ROOT / folder / f"zhiku_{folder}" / place).is_dir(), f"{path} tests nothing that exists"


def test_the_repository_names_no_machine_and_no_registry() -> None:
    suspects = ("pypi" + ".org", "registry." + "npmjs", "files." + "pythonhosted", "/work" + "/")
    for path in tracked():
        if path.suffix in {".py", ".md", ".toml", ".lock", ".json", ".ts", ".tsx", ".txt", ".sh"}:
            text = (ROOT / path).read_text(encoding="utf-8", errors="ignore")
            assert not any(suspect in text for suspect in suspects), path
