"""The second socket."""

from tests.formulas.domain import exact


def test_a_second_socket_makes_each_line_dearer():
    assert exact("line_time", line_reference_s=4, two_socket_factor=3, two_sockets=0) == 4
    assert exact("line_time", line_reference_s=4, two_socket_factor=3, two_sockets=1) == 12
