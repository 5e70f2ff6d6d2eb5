"""`costmodel machine`, and every command that takes a machine."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from costmodel.cli import cli
from costmodel.errors import BadInput, CostModelError, ExitCode
from tests.evidence.test_machine_input import HOSTS, lscpu


@pytest.fixture
def host(tmp_path):
    path = tmp_path / "lscpu.txt"
    path.write_text(lscpu(*HOSTS["EPYC 8434P"][0]))
    return str(path)


def run(*words, **more):
    result = CliRunner().invoke(cli, words, **more)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_show_says_what_was_taken_from_elsewhere(host):
    text = run("machine", "show", host)
    assert "8 cache domains of 12 CPUs with 16 MiB" in text
    assert "EXTRAPOLATED" in text and "described by lscpu (lscpu.txt)" in text
    assert json.loads(run("machine", "show", host, "--json"))["microarchitecture"] == "zen4"


def test_standard_input_is_a_machine_too(host):
    assert "EPYC 8434P" in run("machine", "show", "-", input=Path(host).read_text())


def test_list_names_every_dump():
    names = json.loads(run("machine", "list", "--json"))
    assert "epyc-7763-2s" in names and "9754" in names
    assert names["8434p"] == "AMD EPYC 8434P (lscpu of the part)"


def test_a_recommendation_is_given_for_a_described_host_and_asks_again_by_its_file(host):
    text = run("recommend", "--full", "--guest", "sev", "--machine", host, "--kernel", "6.6")
    assert "AMD EPYC 8434P" in text
    assert "--machine lscpu.txt" in " ".join(text.split())
    assert host not in text, "no path of a machine in an answer"


@pytest.mark.parametrize(
    "words",
    [
        ("cost", "--guest", "sev", "--trigger", "munmap_or_discard"),
        ("admissible", "--guest", "sev", "--trigger", "munmap_or_discard"),
        ("calibrate",),
        ("breakeven", "--between", "WBINVD_ALL", "CLFLUSHOPT_DM_GMEM", "--over", "range_bytes"),
    ],
)
def test_every_command_takes_a_described_host(words, host):
    assert run(*words, "--machine", host)


def test_an_unknown_name_says_how_to_describe_the_host():
    result = CliRunner().invoke(cli, ["machine", "show", "EPYC 9R99"])
    assert result.exit_code and "lscpu" in str(result.exception)


@pytest.fixture
def own(tmp_path, monkeypatch):
    """The user's folder of machines, empty."""
    monkeypatch.setenv("COSTMODEL_MACHINES", str(tmp_path / "machines"))
    return tmp_path / "machines"


def test_a_machine_is_kept_with_where_each_number_comes_from(host, own):
    text = run("machine", "add", host, "--name", "rack-7")
    assert "logical_cpus: told by lscpu (lscpu.txt)" in text and "EXTRAPOLATED" in text
    kept = (own / "rack-7.toml").read_text()
    assert 'value = 96, unit = "1", source = "told by lscpu (lscpu.txt)"' in kept
    assert "rack-7" in json.loads(run("machine", "list", "--json"))
    again = json.loads(run("machine", "show", "RACK-7", "--json"))
    first = json.loads(run("machine", "show", host, "--json"))
    apart = ("id", "given", "provenance")  # its words say which row stands behind a number
    assert {k: v for k, v in again.items() if k not in apart} == {k: v for k, v in first.items() if k not in apart}
    copied = json.loads(run("machine", "show", str(own / "rack-7.toml"), "--json"))
    assert copied["id"] == "rack-7"


def test_what_was_kept_is_a_machine_for_every_command(host, own):
    run("machine", "add", host, "--name", "rack-7")
    text = run("cost", "--guest", "sev", "--machine", "rack-7", "--trigger", "unreg_region", "--kernel", "6.6")
    assert "sev on rack-7" in text


def test_machines_of_the_catalogue_and_of_dumps_can_be_kept_too(own):
    run("machine", "add", "2x 9124")
    assert "epyc-9124-2s" in json.loads(run("machine", "list", "--json"))
    text = run("machine", "add", "milan", "--name", "mine")
    assert "logical_cpus: catalogue epyc-7763-2s: AuthenticAMD0A00F11_K19_Milan_CPUID2.txt" in text
    assert json.loads(run("machine", "show", "mine", "--json"))["logical_cpus"] == 256


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("this", "--name", "epyc-7763-2s"), "is an id of the catalogue"),
        (("milan", "--name", "../mine"), "is no id"),
        (("milan", "--name", "taken"), "is there already"),
        (("9375F",), "no source here tells the CPUs and caches of '9375F'; give what lscpu prints"),
        (("2x 8434P",), "at most 1 socket"),
        (("nofile.txt",), "nofile.txt, field machine: no such file"),
        (("./lscpu",), "no such file"),
    ],
)
def test_what_cannot_be_kept_is_refused_in_one_line(words, said, own):
    run("machine", "add", "genoa", "--name", "taken")
    before = sorted(own.iterdir())
    result = CliRunner().invoke(cli, ["machine", "add", *words])
    assert isinstance(result.exception, CostModelError) and said in str(result.exception)
    assert "\n" not in str(result.exception) and len(str(result.exception)) < 400
    assert sorted(own.iterdir()) == before, "nothing is written"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("value = 96,", "value = 95,", "no multiple"),
        ("value = 96,", 'value = "many",', "logical_cpus"),
        ("sev = true", "sev = 1", "features"),
        ('vendor = "amd"', 'vendor = "via"', "vendor"),
        ('id = "rack-7"', 'id = "other"', "id"),
        ("[numbers]", "[numbers", "no TOML"),
    ],
)
def test_a_kept_file_that_was_spoilt_is_one_clear_line(old, new, said, host, own):
    run("machine", "add", host, "--name", "rack-7")
    path = own / "rack-7.toml"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))
    result = CliRunner().invoke(cli, ["machine", "show", "rack-7"])
    assert (
        isinstance(result.exception, BadInput)
        and said in str(result.exception)
        and "rack-7.toml" in str(result.exception)
    )
    assert "cannot be read" in json.loads(run("machine", "list", "--json"))["rack-7"]


@pytest.mark.nightly
@pytest.mark.parametrize("name", [*HOSTS, "this"])
def test_hosts_that_others_described_get_an_answer(name, tmp_path):
    """`this` may have a CPU that nobody described: then the gap is named."""
    machine = name
    if name != "this":
        (tmp_path / "lscpu.txt").write_text(lscpu(*HOSTS[name][0]))
        machine = str(tmp_path / "lscpu.txt")
    guest = "tdx" if "Xeon" in name else "sev"
    words = ("--guest", guest, "--machine", machine, "--kernel", "6.17", "--json")
    result = CliRunner().invoke(cli, ["recommend", *words])
    if name == "this" and result.exception and not isinstance(result.exception, SystemExit):
        assert isinstance(result.exception, CostModelError) and "give lscpu" in str(result.exception)
        return
    found = json.loads(result.stdout)
    if "Xeon" in name:
        assert (
            "the flag tdx_host_platform is not shown" in found["not_applicable_reason"]
            and result.exit_code == ExitCode.NOT_APPLICABLE
        )
    elif name != "this":
        assert result.exit_code == 0 and found["headline_strategy"] == "WBNOINVD_MASK"
        assert found["scenario"]["logical_cpus"] == HOSTS[name][0][2]
        assert found["extrapolated"], "nobody has timed WBNOINVD on it"
