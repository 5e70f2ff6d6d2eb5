"""What is released works where no checkout is: wheel and sdist, installed into a new environment, run the README from another
directory.
"""

import os
import re
import subprocess
import sys
import tomllib

import pytest

import costmodel
from costmodel.decision.result import Alternatives, Recommendation, Versus
from tests.pages import ROOT, blocks, shown, steps, write_samples

pytestmark = pytest.mark.skipif(not (ROOT / "pyproject.toml").is_file(), reason="no checkout")
README = [block for block in blocks(ROOT / "README.md") if not block.reason]


def run(*command, **options):
    done = subprocess.run(command, capture_output=True, text=True, **options)
    assert done.returncode == 0, (command, done.stdout[-2000:], done.stderr[-2000:])
    return done.stdout


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    """Wheel and sdist, built from the files that are under version control."""
    pytest.importorskip("hatchling")
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "hatchling", "build", "-d", str(folder), cwd=ROOT)
    return {"wheel": next(folder.glob("*.whl")), "sdist": next(folder.glob("*.tar.gz"))}


@pytest.fixture(scope="module")
def environment(released, tmp_path_factory):
    """A new environment with the wheel and what it needs."""
    folder = tmp_path_factory.mktemp("environment")
    run(sys.executable, "-m", "venv", str(folder))
    run(str(folder / "bin" / "pip"), "install", "--quiet", f"{released['wheel']}[report]")
    return folder


@pytest.mark.nightly
@pytest.mark.parametrize("kind", ["wheel", "sdist"])
def test_the_readme_runs_from_another_directory(kind, released, environment, tmp_path, monkeypatch):
    python = environment / "bin" / "python"
    if kind == "sdist":
        run(str(python), "-m", "pip", "install", "--quiet", "--no-deps", "--force-reinstall", str(released["sdist"]))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    write_samples()
    own = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "COSTMODEL"))}
    own |= {"PATH": f"{python.parent}:{own['PATH']}", "XDG_CACHE_HOME": str(tmp_path / "cache"), "MPLBACKEND": "Agg"}
    where = run(str(python), "-c", "import costmodel; print(costmodel.__file__)", env=own)
    assert where.startswith(str(environment))
    commands = 0
    for block in README:
        if block.lines[0].startswith("import"):
            run(str(python), "-c", "\n".join(block.lines), env=own)
            continue
        for command, output in steps(block.lines):
            assert shown(run("bash", "-c", command, env=own)) == output, command
            commands += 1
    assert commands >= 2
    run("costmodel", "report", "--guest", "plain", "--machine", "epyc-7763-2s", "--out", "out", env=own)
    assert (elsewhere / "out" / "plain" / "epyc-7763-2s.html").is_file()


def test_whoever_cites_or_reads_what_changed_finds_this_version():
    """The version stands in costmodel/__init__.py, where the build takes it from."""
    assert "version" in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dynamic"]
    assert f"\nversion: {costmodel.__version__}\n" in (ROOT / "CITATION.cff").read_text()
    newest = re.search(r"^## (\S+) \((\d{4}-\d\d-\d\d)\)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest and newest[1] == costmodel.__version__


@pytest.mark.parametrize("record", [Recommendation, Versus, Alternatives])
def test_the_changelog_names_the_version_of_each_json(record):
    """Who reads JSON by a script learns there when its shape changes."""
    log = (ROOT / "CHANGELOG.md").read_text()
    rows = re.findall(r"^\| .*`(\w+) --json`.* \| (\d+) \|", log, re.MULTILINE)
    command = {Recommendation: "recommend", Versus: "compare", Alternatives: "block"}[record]
    assert dict(rows)[command] == record.model_fields["schema_version"].default
