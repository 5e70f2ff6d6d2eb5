"""The certified sets of NIST: read as they were written, models that give the certified sums of squares."""

import hashlib
import json
from collections import Counter

import numpy
import pytest

from costmodel.errors import BadInput
from costmodel.evidence.paths import data_dir
from tests.certified.strd import MODELS, SYMMETRIES, images, load, names, read

ROUNDING = 1e-20
"""Lanczos1 fits its data to the last digit printed: its certified sum is rounding."""


def at(known, theta, text=None):
    return known.problem(2, text).residual(theta)


def test_all_27_sets_are_there_by_difficulty():
    assert Counter(load(name).level for name in names()) == {"Lower": 8, "Average": 11, "Higher": 8}
    assert len(set(names())) == 27


def test_the_files_are_those_of_the_data_package():
    entries = json.loads((data_dir() / "datapackage.json").read_text(encoding="utf-8"))["resources"]
    stated = {entry["path"]: entry["hash"] for entry in entries if entry["path"].startswith("strd/")}
    files = sorted((data_dir() / "strd").iterdir())
    found = {f"strd/{path.name}": f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}" for path in files}
    assert len([path for path in files if path.suffix == ".dat"]) == 27
    assert found == stated


def test_a_set_as_it_is_printed():
    """Misra1a: 14 observations, the last (81.78, 760.0)."""
    known = load("Misra1a")
    assert (known.level, len(known.response)) == ("Lower", 14)
    assert known.starts.tolist() == [[500, 0.0001], [250, 0.0005]]
    assert known.values.tolist() == [2.3894212918e02, 5.5015643181e-04]
    assert known.deviations.tolist() == [2.7070075241e00, 7.2668688436e-06]
    assert known.sum_of_squares == 1.2455138894e-01
    assert (known.response[-1], known.predictors["x"][-1]) == (81.78, 760.0)


def test_nelson_has_two_predictors_and_a_logarithm():
    known = load("Nelson")
    assert set(known.predictors) == {"x1", "x2"}
    assert known.response[0] == pytest.approx(numpy.log(15.0))


@pytest.mark.parametrize("name", MODELS)
def test_the_model_gives_the_certified_sum_of_squares_at_the_certified_values(name):
    known = load(name)
    residuals = at(known, known.values)
    assert float(residuals @ residuals) == pytest.approx(known.sum_of_squares, rel=1e-6, abs=ROUNDING)


@pytest.mark.parametrize("name", [name for name in MODELS if name != "Lanczos1"])
def test_the_certified_values_are_a_minimum(name):
    """No parameter moved by its standard deviation gives a smaller sum; that of Lanczos1 is rounding."""
    known = load(name)
    least = float(at(known, known.values) @ at(known, known.values))
    for i, step in enumerate(known.deviations):
        for sign in (-1, 1):
            moved = known.values + sign * step * numpy.eye(len(known.values))[i]
            residuals = at(known, moved)
            assert float(residuals @ residuals) > least


@pytest.mark.parametrize("name", MODELS)
def test_the_certified_deviations_are_those_of_the_linearised_regression(name):
    known = load(name)
    slopes = known.problem(2).jacobian(known.values)
    scale = numpy.linalg.norm(slopes, axis=0)
    spare = len(known.response) - len(known.values)
    variance = known.sum_of_squares / spare * numpy.linalg.inv((slopes / scale).T @ (slopes / scale)).diagonal()
    assert numpy.sqrt(variance) / scale == pytest.approx(known.deviations, rel=1e-4)


@pytest.mark.parametrize(
    ("name", "count"), [("Gauss1", 8), ("Lanczos1", 6), ("MGH17", 2), ("ENSO", 8), ("Eckerle4", 2), ("Misra1a", 1)]
)
def test_the_images_of_a_model_are_counted(name, count):
    found = [tuple(image) for image in images(name, load(name).values)]
    assert len(set(found)) == len(found) == count


@pytest.mark.parametrize("name", SYMMETRIES)
def test_an_image_predicts_the_same(name):
    known = load(name)
    theta = known.values * numpy.linspace(0.9, 1.1, len(known.values))
    expected = at(known, theta)
    for image in images(name, theta):
        assert at(known, image) == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_no_other_exchange_predicts_the_same():
    known = load("Misra1a")
    assert at(known, known.values[::-1]) != pytest.approx(at(known, known.values))


def damaged(tmp_path, old, new, count=1):
    text = (data_dir() / "strd" / "Misra1a.dat").read_text(encoding="ascii")
    assert old in text
    path = tmp_path / "Misra1a.dat"
    path.write_text(text.replace(old, new, count), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        ("Lower Level of Difficulty", "Easy", "header"),
        ("Residual Sum of Squares:", "RSS:", "header"),
        ("Number of Observations:", "n:", "header"),
        ("Number of Observations:                            14", "Number of Observations: 15", "numbers"),
        ("1.2455138894E-01", "small", "numbers"),
        ("2.3894212918E+02", "", "numbers"),
        ("2.3894212918E+02", "much", "numbers"),
        ("760.0E0", "760.0E0 1", "numbers"),
        ("760.0E0", "7,60", "numbers"),
        ("Data:   y               x", "", "numbers"),
        ("Misra, D.", "M\N{LATIN SMALL LETTER I WITH DIAERESIS}sra", "file"),
    ],
)
def test_a_damaged_file_is_refused_with_its_place(tmp_path, old, new, field):
    with pytest.raises(BadInput) as error:
        read(damaged(tmp_path, old, new))
    assert (error.value.file, error.value.field) == ("Misra1a.dat", field)
    assert "\n" not in str(error.value)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(BadInput) as error:
        read(tmp_path / "Misra9.dat")
    assert (error.value.file, error.value.field) == ("Misra9.dat", "file")


@pytest.mark.parametrize("text", ["b1*(", "b1*x +", ")"])
def test_a_model_that_is_no_expression_is_refused(text):
    with pytest.raises(BadInput, match="is no expression"):
        load("Misra1a").problem(1, text)


def test_a_model_with_other_names_is_refused():
    with pytest.raises(BadInput, match="stand on one side only"):
        load("Misra1a").problem(1, "b1*(1 - exp(-b3*x))")
