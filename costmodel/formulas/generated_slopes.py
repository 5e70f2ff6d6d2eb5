"""One numpy function per partial derivative: printed by `make formulas`, not written by hand."""

# mypy: ignore-errors

SOURCES = "f325b00ecc030799"

import numpy



def range_flush__by__dirty_fraction(range_start_s, remote_factor, lines, present_fraction, line_dirty_s, line_clean_s, line_absent_s, line_bytes, dirty_fraction, writeback_bytes_per_s):
    _x0 = line_bytes*lines*present_fraction/writeback_bytes_per_s
    _x1 = lines*remote_factor
    _x2 = _x0*dirty_fraction - _x1*(line_absent_s*(1 - present_fraction) + present_fraction*(dirty_fraction*line_dirty_s + line_clean_s*(1 - dirty_fraction)))
    return _x0*(numpy.select([numpy.less(_x2, 0),numpy.equal(_x2, 0),True], [0,1/2,1], default=numpy.nan)) + _x1*present_fraction*(-line_clean_s + line_dirty_s)*(numpy.select([numpy.greater(_x2, 0),numpy.equal(_x2, 0),True], [0,1/2,1], default=numpy.nan))


def range_flush__by__line_absent_s(range_start_s, remote_factor, lines, present_fraction, line_dirty_s, line_clean_s, line_absent_s, line_bytes, dirty_fraction, writeback_bytes_per_s):
    _x0 = 1 - present_fraction
    return _x0*lines*remote_factor*(numpy.select([numpy.greater(dirty_fraction*line_bytes*lines*present_fraction/writeback_bytes_per_s - lines*remote_factor*(_x0*line_absent_s + present_fraction*(dirty_fraction*line_dirty_s + line_clean_s*(1 - dirty_fraction))), 0),numpy.equal(dirty_fraction*line_bytes*lines*present_fraction/writeback_bytes_per_s - lines*remote_factor*(_x0*line_absent_s + present_fraction*(dirty_fraction*line_dirty_s + line_clean_s*(1 - dirty_fraction))), 0),True], [0,1/2,1], default=numpy.nan))


def range_flush__by__line_bytes(range_start_s, remote_factor, lines, present_fraction, line_dirty_s, line_clean_s, line_absent_s, line_bytes, dirty_fraction, writeback_bytes_per_s):
    _x0 = dirty_fraction*lines*present_fraction/writeback_bytes_per_s
    return _x0*(numpy.select([numpy.less(_x0*line_bytes - lines*remote_factor*(line_absent_s*(1 - present_fraction) + present_fraction*(dirty_fraction*line_dirty_s + line_clean_s*(1 - dirty_fraction))), 0),numpy.equal(_x0*line_bytes - lines*remote_factor*(line_absent_s*(1 - present_fraction) + present_fraction*(dirty_fraction*line_dirty_s + line_clean_s*(1 - dirty_fraction))), 0),True], [0,1/2,1], default=numpy.nan))


def range_flush__by__line_clean_s(range_start_s, remote_factor, lines, present_fraction, line_dirty_s, line_clean_s, line_absent_s, line_bytes, dirty_fraction, writeback_bytes_per_s):
    _x0 = 1 - dirty_fraction
    return _x0*lines*present_fraction*remote_factor*(numpy.select([numpy.greater(dirty_fraction*line_bytes*lines*present_fraction/writeback_bytes_per_s - lines*remote_factor*(line_absent_s*(1 - present_fraction) + present_fraction*(_x0*line_clean_s + dirty_fraction*line_dirty_s)), 0),numpy.equal(dirty_fraction*line_bytes*lines*present_fraction/writeback_bytes_per_s - lines*remote_factor*(line_absent_s*(1 - present_fraction) + present_fraction*(_x0*line_clean_s + dirty_fraction*line_dirty_s)), 0),True], [0,1/2,1], default=numpy.nan))


def range_flush__by__line_dirty_s(range_start_s, remote_factor, lines, present_fraction, line_dirty_s, line_clean_s, line_absent_s, line_bytes, dirty_fraction, writeback_bytes_per_s):
    _x0 = dirty_fraction*present_fraction
    return _x0*lines*remote_factor*(numpy.select([numpy.greater(_x0*line_bytes*lines/writeback_bytes_per_s - lines*remote_factor*(line_absent_s*(1 - present_fraction) + present_fraction*(dirty_fraction*line_dirty_s + line_clean_s*(1 - dirty_fraction))), 0),numpy.equal(_x0*line_bytes*lines/writeback_bytes_per_s - lines*remote_factor*(line_absent_s*(1 - present_fraction) + present_fraction*(dirty_fraction*line_dirty_s + line_clean_s*(1 - dirty_fraction))), 0),True], [0,1/2,1], default=numpy.nan))


def range_flush__by__lines(range_start_s, remote_factor, lines, present_fraction, line_dirty_s, line_clean_s, line_absent_s, line_bytes, dirty_fraction, writeback_bytes_per_s):
    _x0 = dirty_fraction*line_bytes*present_fraction/writeback_bytes_per_s
    _x1 = line_absent_s*(1 - present_fraction) + present_fraction*(dirty_fraction*line_dirty_s + line_clean_s*(1 - dirty_fraction))
    _x2 = _x0*lines - _x1*lines*remote_factor
    return _x0*(numpy.select([numpy.less(_x2, 0),numpy.equal(_x2, 0),True], [0,1/2,1], default=numpy.nan)) + _x1*remote_factor*(numpy.select([numpy.greater(_x2, 0),numpy.equal(_x2, 0),True], [0,1/2,1], default=numpy.nan))


def range_flush__by__present_fraction(range_start_s, remote_factor, lines, present_fraction, line_dirty_s, line_clean_s, line_absent_s, line_bytes, dirty_fraction, writeback_bytes_per_s):
    _x0 = dirty_fraction*line_bytes*lines/writeback_bytes_per_s
    _x1 = dirty_fraction*line_dirty_s + line_clean_s*(1 - dirty_fraction)
    _x2 = _x0*present_fraction - lines*remote_factor*(_x1*present_fraction + line_absent_s*(1 - present_fraction))
    return _x0*(numpy.select([numpy.less(_x2, 0),numpy.equal(_x2, 0),True], [0,1/2,1], default=numpy.nan)) + lines*remote_factor*(_x1 - line_absent_s)*(numpy.select([numpy.greater(_x2, 0),numpy.equal(_x2, 0),True], [0,1/2,1], default=numpy.nan))


def range_flush__by__range_start_s(range_start_s, remote_factor, lines, present_fraction, line_dirty_s, line_clean_s, line_absent_s, line_bytes, dirty_fraction, writeback_bytes_per_s):
    return remote_factor


def range_flush__by__remote_factor(range_start_s, remote_factor, lines, present_fraction, line_dirty_s, line_clean_s, line_absent_s, line_bytes, dirty_fraction, writeback_bytes_per_s):
    _x0 = line_absent_s*(1 - present_fraction) + present_fraction*(dirty_fraction*line_dirty_s + line_clean_s*(1 - dirty_fraction))
    return _x0*lines*(numpy.select([numpy.less(_x0*lines*remote_factor - dirty_fraction*line_bytes*lines*present_fraction/writeback_bytes_per_s, 0),numpy.equal(_x0*lines*remote_factor - dirty_fraction*line_bytes*lines*present_fraction/writeback_bytes_per_s, 0),True], [0,1/2,1], default=numpy.nan)) + range_start_s


def range_flush__by__writeback_bytes_per_s(range_start_s, remote_factor, lines, present_fraction, line_dirty_s, line_clean_s, line_absent_s, line_bytes, dirty_fraction, writeback_bytes_per_s):
    _x0 = dirty_fraction*line_bytes*lines*present_fraction
    return -_x0*(numpy.select([numpy.less(_x0/writeback_bytes_per_s - lines*remote_factor*(line_absent_s*(1 - present_fraction) + present_fraction*(dirty_fraction*line_dirty_s + line_clean_s*(1 - dirty_fraction))), 0),numpy.equal(_x0/writeback_bytes_per_s - lines*remote_factor*(line_absent_s*(1 - present_fraction) + present_fraction*(dirty_fraction*line_dirty_s + line_clean_s*(1 - dirty_fraction))), 0),True], [0,1/2,1], default=numpy.nan))/writeback_bytes_per_s**2


def line_time__by__line_reference_s(line_reference_s, two_socket_factor, two_sockets):
    return two_socket_factor**two_sockets


def line_time__by__two_socket_factor(line_reference_s, two_socket_factor, two_sockets):
    return line_reference_s*two_socket_factor**two_sockets*two_sockets/two_socket_factor


def line_time__by__two_sockets(line_reference_s, two_socket_factor, two_sockets):
    return line_reference_s*two_socket_factor**two_sockets*numpy.log(two_socket_factor)


def line_time_levels__by__l1_bytes(range_bytes, l1_bytes, l2_bytes_per_core, llc_bytes_per_domain, line_l1_s, line_l2_s, line_llc_s, line_memory_s):
    return (line_l1_s*(numpy.select([numpy.greater(l1_bytes - range_bytes, 0),numpy.equal(l1_bytes - range_bytes, 0),True], [0,1/2,1], default=numpy.nan)) - line_l2_s*(numpy.select([numpy.logical_or.reduce((numpy.logical_and.reduce((numpy.less_equal(l2_bytes_per_core, range_bytes),numpy.greater(l1_bytes, l2_bytes_per_core))),numpy.logical_and.reduce((numpy.greater(l1_bytes, range_bytes),numpy.greater(l2_bytes_per_core, range_bytes))))),numpy.logical_or.reduce((numpy.logical_and.reduce((numpy.equal(l1_bytes, l2_bytes_per_core),numpy.less_equal(l2_bytes_per_core, range_bytes))),numpy.logical_and.reduce((numpy.equal(l1_bytes, range_bytes),numpy.greater(l2_bytes_per_core, range_bytes))))),True], [0,1/2,1], default=numpy.nan)))/range_bytes


def line_time_levels__by__l2_bytes_per_core(range_bytes, l1_bytes, l2_bytes_per_core, llc_bytes_per_domain, line_l1_s, line_l2_s, line_llc_s, line_memory_s):
    return (line_l2_s*(numpy.select([numpy.logical_or.reduce((numpy.logical_and.reduce((numpy.less_equal(l2_bytes_per_core, range_bytes),numpy.greater(l1_bytes, l2_bytes_per_core))),numpy.logical_and.reduce((numpy.greater(l1_bytes, range_bytes),numpy.greater(l2_bytes_per_core, range_bytes))))),numpy.logical_or.reduce((numpy.logical_and.reduce((numpy.equal(l1_bytes, l2_bytes_per_core),numpy.less_equal(l2_bytes_per_core, range_bytes))),numpy.logical_and.reduce((numpy.equal(l1_bytes, range_bytes),numpy.greater(l2_bytes_per_core, range_bytes))))),True], [0,1/2,1], default=numpy.nan))*(numpy.select([numpy.greater(l2_bytes_per_core - range_bytes, 0),numpy.equal(l2_bytes_per_core - range_bytes, 0),True], [0,1/2,1], default=numpy.nan)) - line_llc_s*(numpy.select([numpy.logical_or.reduce((numpy.logical_and.reduce((numpy.less_equal(llc_bytes_per_domain, range_bytes),numpy.greater(l2_bytes_per_core, llc_bytes_per_domain))),numpy.logical_and.reduce((numpy.greater(l2_bytes_per_core, range_bytes),numpy.greater(llc_bytes_per_domain, range_bytes))))),numpy.logical_or.reduce((numpy.logical_and.reduce((numpy.equal(l2_bytes_per_core, llc_bytes_per_domain),numpy.less_equal(llc_bytes_per_domain, range_bytes))),numpy.logical_and.reduce((numpy.equal(l2_bytes_per_core, range_bytes),numpy.greater(llc_bytes_per_domain, range_bytes))))),True], [0,1/2,1], default=numpy.nan)))/range_bytes


def line_time_levels__by__line_l1_s(range_bytes, l1_bytes, l2_bytes_per_core, llc_bytes_per_domain, line_l1_s, line_l2_s, line_llc_s, line_memory_s):
    return numpy.minimum(l1_bytes, range_bytes)/range_bytes


def line_time_levels__by__line_l2_s(range_bytes, l1_bytes, l2_bytes_per_core, llc_bytes_per_domain, line_l1_s, line_l2_s, line_llc_s, line_memory_s):
    return numpy.maximum(0, -l1_bytes + numpy.minimum(l2_bytes_per_core, range_bytes))/range_bytes


def line_time_levels__by__line_llc_s(range_bytes, l1_bytes, l2_bytes_per_core, llc_bytes_per_domain, line_l1_s, line_l2_s, line_llc_s, line_memory_s):
    return numpy.maximum(0, -l2_bytes_per_core + numpy.minimum(llc_bytes_per_domain, range_bytes))/range_bytes


def line_time_levels__by__line_memory_s(range_bytes, l1_bytes, l2_bytes_per_core, llc_bytes_per_domain, line_l1_s, line_l2_s, line_llc_s, line_memory_s):
    return numpy.maximum(0, -llc_bytes_per_domain + range_bytes)/range_bytes


def line_time_levels__by__llc_bytes_per_domain(range_bytes, l1_bytes, l2_bytes_per_core, llc_bytes_per_domain, line_l1_s, line_l2_s, line_llc_s, line_memory_s):
    _x0 = (numpy.select([numpy.greater(llc_bytes_per_domain - range_bytes, 0),numpy.equal(llc_bytes_per_domain - range_bytes, 0),True], [0,1/2,1], default=numpy.nan))
    return (_x0*line_llc_s*(numpy.select([numpy.logical_or.reduce((numpy.logical_and.reduce((numpy.less_equal(llc_bytes_per_domain, range_bytes),numpy.greater(l2_bytes_per_core, llc_bytes_per_domain))),numpy.logical_and.reduce((numpy.greater(l2_bytes_per_core, range_bytes),numpy.greater(llc_bytes_per_domain, range_bytes))))),numpy.logical_or.reduce((numpy.logical_and.reduce((numpy.equal(l2_bytes_per_core, llc_bytes_per_domain),numpy.less_equal(llc_bytes_per_domain, range_bytes))),numpy.logical_and.reduce((numpy.equal(l2_bytes_per_core, range_bytes),numpy.greater(llc_bytes_per_domain, range_bytes))))),True], [0,1/2,1], default=numpy.nan)) - _x0*line_memory_s)/range_bytes


def line_time_levels__by__range_bytes(range_bytes, l1_bytes, l2_bytes_per_core, llc_bytes_per_domain, line_l1_s, line_l2_s, line_llc_s, line_memory_s):
    _x0 = -range_bytes
    _x1 = _x0 + llc_bytes_per_domain
    _x2 = -_x1
    _x3 = -l1_bytes + numpy.minimum(l2_bytes_per_core, range_bytes)
    _x4 = -l2_bytes_per_core + numpy.minimum(llc_bytes_per_domain, range_bytes)
    return (line_l1_s*(numpy.select([numpy.less(_x0 + l1_bytes, 0),numpy.equal(_x0 + l1_bytes, 0),True], [0,1/2,1], default=numpy.nan)) + line_l2_s*(numpy.select([numpy.less(_x3, 0),numpy.equal(_x3, 0),True], [0,1/2,1], default=numpy.nan))*(numpy.select([numpy.less(_x0 + l2_bytes_per_core, 0),numpy.equal(_x0 + l2_bytes_per_core, 0),True], [0,1/2,1], default=numpy.nan)) + line_llc_s*(numpy.select([numpy.less(_x1, 0),numpy.equal(_x1, 0),True], [0,1/2,1], default=numpy.nan))*(numpy.select([numpy.less(_x4, 0),numpy.equal(_x4, 0),True], [0,1/2,1], default=numpy.nan)) + line_memory_s*(numpy.select([numpy.less(_x2, 0),numpy.equal(_x2, 0),True], [0,1/2,1], default=numpy.nan)))/range_bytes - (line_l1_s*numpy.minimum(l1_bytes, range_bytes) + line_l2_s*numpy.maximum(0, _x3) + line_llc_s*numpy.maximum(0, _x4) + line_memory_s*numpy.maximum(0, _x2))/range_bytes**2


def line_time_tail__by__line_tail_s(range_start_s, lines, line_tail_s):
    return 1


def line_time_tail__by__lines(range_start_s, lines, line_tail_s):
    return -range_start_s/lines**2


def line_time_tail__by__range_start_s(range_start_s, lines, line_tail_s):
    return lines**(-1.0)


def domain_flush__by__both_siblings(walk_start_s, llc_bytes_per_domain, l2_bytes_per_core, line_bytes, line_empty_s, line_valid_s, cores_flushing, serial_exponent, valid_exponent, smt_factor, both_siblings, valid_fraction, dirty_fraction, domain_writeback_bytes_per_s):
    return cores_flushing**serial_exponent*smt_factor**both_siblings*(walk_start_s + line_empty_s*(l2_bytes_per_core + llc_bytes_per_domain)/line_bytes)*numpy.log(smt_factor)


def domain_flush__by__cores_flushing(walk_start_s, llc_bytes_per_domain, l2_bytes_per_core, line_bytes, line_empty_s, line_valid_s, cores_flushing, serial_exponent, valid_exponent, smt_factor, both_siblings, valid_fraction, dirty_fraction, domain_writeback_bytes_per_s):
    _x0 = cores_flushing**(-1.0)
    _x1 = (l2_bytes_per_core + llc_bytes_per_domain)/line_bytes
    return _x0*_x1*cores_flushing**valid_exponent*line_valid_s*valid_exponent*valid_fraction + _x0*cores_flushing**serial_exponent*serial_exponent*smt_factor**both_siblings*(_x1*line_empty_s + walk_start_s) + dirty_fraction*l2_bytes_per_core*valid_fraction/domain_writeback_bytes_per_s


def domain_flush__by__dirty_fraction(walk_start_s, llc_bytes_per_domain, l2_bytes_per_core, line_bytes, line_empty_s, line_valid_s, cores_flushing, serial_exponent, valid_exponent, smt_factor, both_siblings, valid_fraction, dirty_fraction, domain_writeback_bytes_per_s):
    return valid_fraction*(cores_flushing*l2_bytes_per_core + llc_bytes_per_domain)/domain_writeback_bytes_per_s


def domain_flush__by__domain_writeback_bytes_per_s(walk_start_s, llc_bytes_per_domain, l2_bytes_per_core, line_bytes, line_empty_s, line_valid_s, cores_flushing, serial_exponent, valid_exponent, smt_factor, both_siblings, valid_fraction, dirty_fraction, domain_writeback_bytes_per_s):
    return -dirty_fraction*valid_fraction*(cores_flushing*l2_bytes_per_core + llc_bytes_per_domain)/domain_writeback_bytes_per_s**2


def domain_flush__by__l2_bytes_per_core(walk_start_s, llc_bytes_per_domain, l2_bytes_per_core, line_bytes, line_empty_s, line_valid_s, cores_flushing, serial_exponent, valid_exponent, smt_factor, both_siblings, valid_fraction, dirty_fraction, domain_writeback_bytes_per_s):
    _x0 = line_bytes**(-1.0)
    return _x0*cores_flushing**serial_exponent*line_empty_s*smt_factor**both_siblings + _x0*cores_flushing**valid_exponent*line_valid_s*valid_fraction + cores_flushing*dirty_fraction*valid_fraction/domain_writeback_bytes_per_s


def domain_flush__by__line_bytes(walk_start_s, llc_bytes_per_domain, l2_bytes_per_core, line_bytes, line_empty_s, line_valid_s, cores_flushing, serial_exponent, valid_exponent, smt_factor, both_siblings, valid_fraction, dirty_fraction, domain_writeback_bytes_per_s):
    _x0 = (l2_bytes_per_core + llc_bytes_per_domain)/line_bytes**2
    return -_x0*cores_flushing**serial_exponent*line_empty_s*smt_factor**both_siblings - _x0*cores_flushing**valid_exponent*line_valid_s*valid_fraction


def domain_flush__by__line_empty_s(walk_start_s, llc_bytes_per_domain, l2_bytes_per_core, line_bytes, line_empty_s, line_valid_s, cores_flushing, serial_exponent, valid_exponent, smt_factor, both_siblings, valid_fraction, dirty_fraction, domain_writeback_bytes_per_s):
    return cores_flushing**serial_exponent*smt_factor**both_siblings*(l2_bytes_per_core + llc_bytes_per_domain)/line_bytes


def domain_flush__by__line_valid_s(walk_start_s, llc_bytes_per_domain, l2_bytes_per_core, line_bytes, line_empty_s, line_valid_s, cores_flushing, serial_exponent, valid_exponent, smt_factor, both_siblings, valid_fraction, dirty_fraction, domain_writeback_bytes_per_s):
    return cores_flushing**valid_exponent*valid_fraction*(l2_bytes_per_core + llc_bytes_per_domain)/line_bytes


def domain_flush__by__llc_bytes_per_domain(walk_start_s, llc_bytes_per_domain, l2_bytes_per_core, line_bytes, line_empty_s, line_valid_s, cores_flushing, serial_exponent, valid_exponent, smt_factor, both_siblings, valid_fraction, dirty_fraction, domain_writeback_bytes_per_s):
    _x0 = line_bytes**(-1.0)
    return _x0*cores_flushing**serial_exponent*line_empty_s*smt_factor**both_siblings + _x0*cores_flushing**valid_exponent*line_valid_s*valid_fraction + dirty_fraction*valid_fraction/domain_writeback_bytes_per_s


def domain_flush__by__serial_exponent(walk_start_s, llc_bytes_per_domain, l2_bytes_per_core, line_bytes, line_empty_s, line_valid_s, cores_flushing, serial_exponent, valid_exponent, smt_factor, both_siblings, valid_fraction, dirty_fraction, domain_writeback_bytes_per_s):
    return cores_flushing**serial_exponent*smt_factor**both_siblings*(walk_start_s + line_empty_s*(l2_bytes_per_core + llc_bytes_per_domain)/line_bytes)*numpy.log(cores_flushing)


def domain_flush__by__smt_factor(walk_start_s, llc_bytes_per_domain, l2_bytes_per_core, line_bytes, line_empty_s, line_valid_s, cores_flushing, serial_exponent, valid_exponent, smt_factor, both_siblings, valid_fraction, dirty_fraction, domain_writeback_bytes_per_s):
    return both_siblings*cores_flushing**serial_exponent*smt_factor**both_siblings*(walk_start_s + line_empty_s*(l2_bytes_per_core + llc_bytes_per_domain)/line_bytes)/smt_factor


def domain_flush__by__valid_exponent(walk_start_s, llc_bytes_per_domain, l2_bytes_per_core, line_bytes, line_empty_s, line_valid_s, cores_flushing, serial_exponent, valid_exponent, smt_factor, both_siblings, valid_fraction, dirty_fraction, domain_writeback_bytes_per_s):
    return cores_flushing**valid_exponent*line_valid_s*valid_fraction*(l2_bytes_per_core + llc_bytes_per_domain)*numpy.log(cores_flushing)/line_bytes


def domain_flush__by__valid_fraction(walk_start_s, llc_bytes_per_domain, l2_bytes_per_core, line_bytes, line_empty_s, line_valid_s, cores_flushing, serial_exponent, valid_exponent, smt_factor, both_siblings, valid_fraction, dirty_fraction, domain_writeback_bytes_per_s):
    return cores_flushing**valid_exponent*line_valid_s*(l2_bytes_per_core + llc_bytes_per_domain)/line_bytes + dirty_fraction*(cores_flushing*l2_bytes_per_core + llc_bytes_per_domain)/domain_writeback_bytes_per_s


def domain_flush__by__walk_start_s(walk_start_s, llc_bytes_per_domain, l2_bytes_per_core, line_bytes, line_empty_s, line_valid_s, cores_flushing, serial_exponent, valid_exponent, smt_factor, both_siblings, valid_fraction, dirty_fraction, domain_writeback_bytes_per_s):
    return cores_flushing**serial_exponent*smt_factor**both_siblings


def whole_cache_flush__by__cores_flushing(domain_flush_s, domains_per_socket, valid_fraction, dirty_fraction, llc_bytes_per_domain, cores_flushing, l2_bytes_per_core, writeback_bytes_per_s):
    _x0 = dirty_fraction*domains_per_socket*valid_fraction/writeback_bytes_per_s
    return _x0*l2_bytes_per_core*(numpy.select([numpy.less(_x0*(cores_flushing*l2_bytes_per_core + llc_bytes_per_domain) - domain_flush_s, 0),numpy.equal(_x0*(cores_flushing*l2_bytes_per_core + llc_bytes_per_domain) - domain_flush_s, 0),True], [0,1/2,1], default=numpy.nan))


def whole_cache_flush__by__dirty_fraction(domain_flush_s, domains_per_socket, valid_fraction, dirty_fraction, llc_bytes_per_domain, cores_flushing, l2_bytes_per_core, writeback_bytes_per_s):
    _x0 = domains_per_socket*valid_fraction*(cores_flushing*l2_bytes_per_core + llc_bytes_per_domain)/writeback_bytes_per_s
    return _x0*(numpy.select([numpy.less(_x0*dirty_fraction - domain_flush_s, 0),numpy.equal(_x0*dirty_fraction - domain_flush_s, 0),True], [0,1/2,1], default=numpy.nan))


def whole_cache_flush__by__domain_flush_s(domain_flush_s, domains_per_socket, valid_fraction, dirty_fraction, llc_bytes_per_domain, cores_flushing, l2_bytes_per_core, writeback_bytes_per_s):
    return (numpy.select([numpy.greater(dirty_fraction*domains_per_socket*valid_fraction*(cores_flushing*l2_bytes_per_core + llc_bytes_per_domain)/writeback_bytes_per_s - domain_flush_s, 0),numpy.equal(dirty_fraction*domains_per_socket*valid_fraction*(cores_flushing*l2_bytes_per_core + llc_bytes_per_domain)/writeback_bytes_per_s - domain_flush_s, 0),True], [0,1/2,1], default=numpy.nan))


def whole_cache_flush__by__domains_per_socket(domain_flush_s, domains_per_socket, valid_fraction, dirty_fraction, llc_bytes_per_domain, cores_flushing, l2_bytes_per_core, writeback_bytes_per_s):
    _x0 = dirty_fraction*valid_fraction*(cores_flushing*l2_bytes_per_core + llc_bytes_per_domain)/writeback_bytes_per_s
    return _x0*(numpy.select([numpy.less(_x0*domains_per_socket - domain_flush_s, 0),numpy.equal(_x0*domains_per_socket - domain_flush_s, 0),True], [0,1/2,1], default=numpy.nan))


def whole_cache_flush__by__l2_bytes_per_core(domain_flush_s, domains_per_socket, valid_fraction, dirty_fraction, llc_bytes_per_domain, cores_flushing, l2_bytes_per_core, writeback_bytes_per_s):
    _x0 = dirty_fraction*domains_per_socket*valid_fraction/writeback_bytes_per_s
    return _x0*cores_flushing*(numpy.select([numpy.less(_x0*(cores_flushing*l2_bytes_per_core + llc_bytes_per_domain) - domain_flush_s, 0),numpy.equal(_x0*(cores_flushing*l2_bytes_per_core + llc_bytes_per_domain) - domain_flush_s, 0),True], [0,1/2,1], default=numpy.nan))


def whole_cache_flush__by__llc_bytes_per_domain(domain_flush_s, domains_per_socket, valid_fraction, dirty_fraction, llc_bytes_per_domain, cores_flushing, l2_bytes_per_core, writeback_bytes_per_s):
    _x0 = dirty_fraction*domains_per_socket*valid_fraction/writeback_bytes_per_s
    return _x0*(numpy.select([numpy.less(_x0*(cores_flushing*l2_bytes_per_core + llc_bytes_per_domain) - domain_flush_s, 0),numpy.equal(_x0*(cores_flushing*l2_bytes_per_core + llc_bytes_per_domain) - domain_flush_s, 0),True], [0,1/2,1], default=numpy.nan))


def whole_cache_flush__by__valid_fraction(domain_flush_s, domains_per_socket, valid_fraction, dirty_fraction, llc_bytes_per_domain, cores_flushing, l2_bytes_per_core, writeback_bytes_per_s):
    _x0 = dirty_fraction*domains_per_socket*(cores_flushing*l2_bytes_per_core + llc_bytes_per_domain)/writeback_bytes_per_s
    return _x0*(numpy.select([numpy.less(_x0*valid_fraction - domain_flush_s, 0),numpy.equal(_x0*valid_fraction - domain_flush_s, 0),True], [0,1/2,1], default=numpy.nan))


def whole_cache_flush__by__writeback_bytes_per_s(domain_flush_s, domains_per_socket, valid_fraction, dirty_fraction, llc_bytes_per_domain, cores_flushing, l2_bytes_per_core, writeback_bytes_per_s):
    _x0 = dirty_fraction*domains_per_socket*valid_fraction*(cores_flushing*l2_bytes_per_core + llc_bytes_per_domain)
    return -_x0*(numpy.select([numpy.less(_x0/writeback_bytes_per_s - domain_flush_s, 0),numpy.equal(_x0/writeback_bytes_per_s - domain_flush_s, 0),True], [0,1/2,1], default=numpy.nan))/writeback_bytes_per_s**2


def broadcast__by__broadcast_per_cpu_s(broadcast_start_s, broadcast_per_cpu_s, target_cpus):
    return target_cpus


def broadcast__by__broadcast_start_s(broadcast_start_s, broadcast_per_cpu_s, target_cpus):
    return 1


def broadcast__by__target_cpus(broadcast_start_s, broadcast_per_cpu_s, target_cpus):
    return broadcast_per_cpu_s


def broadcast_tree__by__broadcast_per_cpu_s(broadcast_start_s, broadcast_per_cpu_s, target_cpus):
    return numpy.log(target_cpus + 1)/numpy.log(2)


def broadcast_tree__by__broadcast_start_s(broadcast_start_s, broadcast_per_cpu_s, target_cpus):
    return 1


def broadcast_tree__by__target_cpus(broadcast_start_s, broadcast_per_cpu_s, target_cpus):
    return broadcast_per_cpu_s/((target_cpus + 1)*numpy.log(2))


def slowest_response__by__response_delay_s(response_delay_s, target_cpus):
    _x0 = target_cpus + 5/2
    return numpy.log(_x0) + 0.57721566490153286 - 1/(target_cpus + 2) - 1/(target_cpus + 1) + (1/24)/_x0**2 - (7/960)/_x0**4


def slowest_response__by__target_cpus(response_delay_s, target_cpus):
    _x0 = target_cpus + 5/2
    return response_delay_s*((target_cpus + 2)**(-2.0) + (target_cpus + 1)**(-2.0) + _x0**(-1.0) - (1/12)/_x0**3 + (7/240)/_x0**5)


def broadcast_slowest__by__broadcast_per_cpu_s(broadcast_start_s, broadcast_per_cpu_s, target_cpus, response_delay_s):
    return target_cpus


def broadcast_slowest__by__broadcast_start_s(broadcast_start_s, broadcast_per_cpu_s, target_cpus, response_delay_s):
    return 1


def broadcast_slowest__by__response_delay_s(broadcast_start_s, broadcast_per_cpu_s, target_cpus, response_delay_s):
    _x0 = target_cpus + 5/2
    return numpy.log(_x0) + 0.57721566490153286 - 1/(target_cpus + 2) - 1/(target_cpus + 1) + (1/24)/_x0**2 - (7/960)/_x0**4


def broadcast_slowest__by__target_cpus(broadcast_start_s, broadcast_per_cpu_s, target_cpus, response_delay_s):
    _x0 = target_cpus + 5/2
    return broadcast_per_cpu_s + response_delay_s*((target_cpus + 2)**(-2.0) + (target_cpus + 1)**(-2.0) + _x0**(-1.0) - (1/12)/_x0**3 + (7/240)/_x0**5)


def slowest_response_quantile__by__response_delay_s(share, target_cpus, response_delay_s):
    return -numpy.log(1 - numpy.maximum(0, 1 - share)**(target_cpus**(-1.0)))


def slowest_response_quantile__by__share(share, target_cpus, response_delay_s):
    _x0 = target_cpus**(-1.0)
    _x1 = 1 - share
    _x2 = numpy.maximum(0, _x1)
    _x3 = _x2**_x0
    return -_x0*_x3*response_delay_s*(numpy.select([numpy.less(_x1, 0),numpy.equal(_x1, 0),True], [0,1/2,1], default=numpy.nan))/(_x2*(1 - _x3))


def slowest_response_quantile__by__target_cpus(share, target_cpus, response_delay_s):
    _x0 = numpy.maximum(0, 1 - share)
    _x1 = _x0**(target_cpus**(-1.0))
    return -_x1*response_delay_s*numpy.log(_x0)/(target_cpus**2*(1 - _x1))


def broadcast_quantile__by__broadcast_per_cpu_s(broadcast_start_s, broadcast_per_cpu_s, target_cpus, share, response_delay_s):
    return target_cpus


def broadcast_quantile__by__broadcast_start_s(broadcast_start_s, broadcast_per_cpu_s, target_cpus, share, response_delay_s):
    return 1


def broadcast_quantile__by__response_delay_s(broadcast_start_s, broadcast_per_cpu_s, target_cpus, share, response_delay_s):
    return -numpy.log(1 - numpy.maximum(0, 1 - share)**(target_cpus**(-1.0)))


def broadcast_quantile__by__share(broadcast_start_s, broadcast_per_cpu_s, target_cpus, share, response_delay_s):
    _x0 = target_cpus**(-1.0)
    _x1 = 1 - share
    _x2 = numpy.maximum(0, _x1)
    _x3 = _x2**_x0
    return -_x0*_x3*response_delay_s*(numpy.select([numpy.less(_x1, 0),numpy.equal(_x1, 0),True], [0,1/2,1], default=numpy.nan))/(_x2*(1 - _x3))


def broadcast_quantile__by__target_cpus(broadcast_start_s, broadcast_per_cpu_s, target_cpus, share, response_delay_s):
    _x0 = numpy.maximum(0, 1 - share)
    _x1 = _x0**(target_cpus**(-1.0))
    return -_x1*response_delay_s*numpy.log(_x0)/(target_cpus**2*(1 - _x1)) + broadcast_per_cpu_s


def mask_after_migrations__by__migrations(other_cpus, vcpus, migrations):
    _x0 = other_cpus/(other_cpus + 1)
    return -_x0**migrations*(other_cpus - vcpus + 2)*numpy.log(_x0)


def mask_after_migrations__by__other_cpus(other_cpus, vcpus, migrations):
    _x0 = other_cpus + 1
    _x1 = _x0**(-1.0)
    _x2 = (_x1*other_cpus)**migrations
    return -_x0*_x2*migrations*(_x1 - other_cpus/_x0**2)*(other_cpus - vcpus + 2)/other_cpus - _x2 + 1


def mask_after_migrations__by__vcpus(other_cpus, vcpus, migrations):
    return (other_cpus/(other_cpus + 1))**migrations


def mask_cpus__by__allowed_cpus(allowed_cpus, vcpus, migrations):
    _x0 = numpy.maximum(1, allowed_cpus - 1)
    _x1 = numpy.exp(-migrations/_x0)
    return -_x1 + 1 - _x1*migrations*(allowed_cpus - vcpus)*(numpy.select([numpy.less(allowed_cpus, 2),numpy.equal(allowed_cpus, 2),True], [0,1/2,1], default=numpy.nan))/_x0**2


def mask_cpus__by__migrations(allowed_cpus, vcpus, migrations):
    _x0 = numpy.maximum(1, allowed_cpus - 1)**(-1.0)
    return _x0*(allowed_cpus - vcpus)*numpy.exp(-_x0*migrations)


def mask_cpus__by__vcpus(allowed_cpus, vcpus, migrations):
    return numpy.exp(-migrations/numpy.maximum(1, allowed_cpus - 1))


def migrations_to_share__by__allowed_cpus(allowed_cpus, vcpus, untouched_fraction):
    _x0 = allowed_cpus - vcpus
    _x1 = allowed_cpus**(-1.0)
    _x2 = untouched_fraction**(-1.0)
    _x3 = _x1*_x2
    _x4 = numpy.maximum(1, _x0*_x3)
    return numpy.log(_x4)*(numpy.select([numpy.less(allowed_cpus, 2),numpy.equal(allowed_cpus, 2),True], [0,1/2,1], default=numpy.nan)) + (-_x0*_x2/allowed_cpus**2 + _x3)*(numpy.select([numpy.less(_x0*_x1*_x2, 1),numpy.equal(_x0*_x1*_x2, 1),True], [0,1/2,1], default=numpy.nan))*numpy.maximum(1, allowed_cpus - 1)/_x4


def migrations_to_share__by__untouched_fraction(allowed_cpus, vcpus, untouched_fraction):
    _x0 = untouched_fraction**(-1.0)
    _x1 = allowed_cpus**(-1.0)
    _x2 = allowed_cpus - vcpus
    _x3 = _x1*_x2
    return -_x3*(numpy.select([numpy.less(_x0*_x1*_x2, 1),numpy.equal(_x0*_x1*_x2, 1),True], [0,1/2,1], default=numpy.nan))*numpy.maximum(1, allowed_cpus - 1)/(untouched_fraction**2*numpy.maximum(1, _x0*_x3))


def migrations_to_share__by__vcpus(allowed_cpus, vcpus, untouched_fraction):
    _x0 = allowed_cpus - vcpus
    _x1 = allowed_cpus**(-1.0)
    _x2 = untouched_fraction**(-1.0)
    _x3 = _x1*_x2
    return -_x3*(numpy.select([numpy.less(_x0*_x1*_x2, 1),numpy.equal(_x0*_x1*_x2, 1),True], [0,1/2,1], default=numpy.nan))*numpy.maximum(1, allowed_cpus - 1)/numpy.maximum(1, _x0*_x3)


def mask_between_flushes__by__allowed_cpus(allowed_cpus, vcpus, rate_per_s, migration_rate_per_s):
    _x0 = numpy.maximum(1, allowed_cpus - 1)
    _x1 = _x0*rate_per_s
    _x2 = _x1 + migration_rate_per_s
    _x3 = _x2**(-1.0)
    _x4 = (allowed_cpus - vcpus)*(numpy.select([numpy.less(allowed_cpus, 2),numpy.equal(allowed_cpus, 2),True], [0,1/2,1], default=numpy.nan))
    return _x0*_x4*rate_per_s**2/_x2**2 - _x1*_x3 - _x3*_x4*rate_per_s + 1


def mask_between_flushes__by__migration_rate_per_s(allowed_cpus, vcpus, rate_per_s, migration_rate_per_s):
    _x0 = rate_per_s*numpy.maximum(1, allowed_cpus - 1)
    return _x0*(allowed_cpus - vcpus)/(_x0 + migration_rate_per_s)**2


def mask_between_flushes__by__rate_per_s(allowed_cpus, vcpus, rate_per_s, migration_rate_per_s):
    _x0 = allowed_cpus - vcpus
    _x1 = numpy.maximum(1, allowed_cpus - 1)
    _x2 = _x1*rate_per_s + migration_rate_per_s
    return _x0*_x1**2*rate_per_s/_x2**2 - _x0*_x1/_x2


def mask_between_flushes__by__vcpus(allowed_cpus, vcpus, rate_per_s, migration_rate_per_s):
    _x0 = rate_per_s*numpy.maximum(1, allowed_cpus - 1)
    return _x0/(_x0 + migration_rate_per_s)


def domains_touched__by__cpus_per_domain(domains, cpus_per_domain, mask_cpus):
    _x0 = (1/2)*cpus_per_domain
    _x1 = numpy.maximum(1, -_x0 + cpus_per_domain*domains + 1/2)
    _x2 = 1 - mask_cpus/_x1
    _x3 = numpy.maximum(0, _x2)
    _x4 = _x3**cpus_per_domain
    return -_x4*domains*(numpy.log(_x3) + cpus_per_domain*mask_cpus*(domains - 1/2)*(numpy.select([numpy.less(_x2, 0),numpy.equal(_x2, 0),True], [0,1/2,1], default=numpy.nan))*(numpy.select([numpy.greater(_x0 - cpus_per_domain*domains, -1/2),numpy.equal(_x0 - cpus_per_domain*domains, -1/2),True], [0,1/2,1], default=numpy.nan))/(_x1**2*_x3))*(numpy.select([numpy.logical_or.reduce((numpy.logical_and.reduce((numpy.greater_equal(mask_cpus, 1),numpy.less(domains*(1 - _x4), 1))),numpy.logical_and.reduce((numpy.less(mask_cpus, 1),numpy.greater(_x4*domains - domains + mask_cpus, 0))))),numpy.logical_or.reduce((numpy.logical_and.reduce((numpy.greater_equal(mask_cpus, 1),numpy.equal(domains*(1 - _x4), 1))),numpy.logical_and.reduce((numpy.less(mask_cpus, 1),numpy.equal(_x4*domains - domains + mask_cpus, 0))))),True], [0,1/2,1], default=numpy.nan))


def domains_touched__by__domains(domains, cpus_per_domain, mask_cpus):
    _x0 = (1/2)*cpus_per_domain
    _x1 = numpy.maximum(1, -_x0 + cpus_per_domain*domains + 1/2)
    _x2 = 1 - mask_cpus/_x1
    _x3 = numpy.maximum(0, _x2)
    _x4 = _x3**cpus_per_domain
    _x5 = _x4 - 1
    return (-_x5 - _x4*cpus_per_domain**2*domains*mask_cpus*(numpy.select([numpy.less(_x2, 0),numpy.equal(_x2, 0),True], [0,1/2,1], default=numpy.nan))*(numpy.select([numpy.greater(_x0 - cpus_per_domain*domains, -1/2),numpy.equal(_x0 - cpus_per_domain*domains, -1/2),True], [0,1/2,1], default=numpy.nan))/(_x1**2*_x3))*(numpy.select([numpy.logical_or.reduce((numpy.logical_and.reduce((numpy.greater_equal(mask_cpus, 1),numpy.greater(_x5*domains, -1))),numpy.logical_and.reduce((numpy.less(mask_cpus, 1),numpy.greater(_x5*domains + mask_cpus, 0))))),numpy.logical_or.reduce((numpy.logical_and.reduce((numpy.greater_equal(mask_cpus, 1),numpy.equal(_x5*domains, -1))),numpy.logical_and.reduce((numpy.less(mask_cpus, 1),numpy.equal(_x5*domains + mask_cpus, 0))))),True], [0,1/2,1], default=numpy.nan))


def domains_touched__by__mask_cpus(domains, cpus_per_domain, mask_cpus):
    _x0 = cpus_per_domain*domains
    _x1 = numpy.maximum(1, _x0 - 1/2*cpus_per_domain + 1/2)**(-1.0)
    _x2 = -_x1*mask_cpus + 1
    _x3 = numpy.maximum(0, _x2)
    _x4 = _x3**cpus_per_domain
    _x5 = domains*(1 - _x4) - numpy.minimum(1, mask_cpus)
    return _x0*_x1*_x4*(numpy.select([numpy.less(_x2, 0),numpy.equal(_x2, 0),True], [0,1/2,1], default=numpy.nan))*(numpy.select([numpy.less(_x5, 0),numpy.equal(_x5, 0),True], [0,1/2,1], default=numpy.nan))/_x3 + (numpy.select([numpy.greater(_x5, 0),numpy.equal(_x5, 0),True], [0,1/2,1], default=numpy.nan))*(numpy.select([numpy.greater(mask_cpus, 1),numpy.equal(mask_cpus, 1),True], [0,1/2,1], default=numpy.nan))


def present_cold__by__cached_fraction(cold_fraction, presence_position, cached_fraction):
    return (numpy.select([numpy.greater(cached_fraction - cold_fraction*presence_position, 0),numpy.equal(cached_fraction - cold_fraction*presence_position, 0),True], [0,1/2,1], default=numpy.nan))


def present_cold__by__cold_fraction(cold_fraction, presence_position, cached_fraction):
    return presence_position*(numpy.select([numpy.less(cached_fraction - cold_fraction*presence_position, 0),numpy.equal(cached_fraction - cold_fraction*presence_position, 0),True], [0,1/2,1], default=numpy.nan))


def present_cold__by__presence_position(cold_fraction, presence_position, cached_fraction):
    return cold_fraction*(numpy.select([numpy.less(cached_fraction - cold_fraction*presence_position, 0),numpy.equal(cached_fraction - cold_fraction*presence_position, 0),True], [0,1/2,1], default=numpy.nan))


def present_between__by__cached_fraction(cold_fraction, presence_position, cached_fraction):
    return (numpy.select([numpy.greater(cached_fraction - cold_fraction**(1 - presence_position), 0),numpy.equal(cached_fraction - cold_fraction**(1 - presence_position), 0),True], [0,1/2,1], default=numpy.nan))


def present_between__by__cold_fraction(cold_fraction, presence_position, cached_fraction):
    _x0 = presence_position - 1
    _x1 = cold_fraction**(-_x0)
    return -_x0*_x1*(numpy.select([numpy.greater(_x1 - cached_fraction, 0),numpy.equal(_x1 - cached_fraction, 0),True], [0,1/2,1], default=numpy.nan))/cold_fraction


def present_between__by__presence_position(cold_fraction, presence_position, cached_fraction):
    _x0 = cold_fraction**(1 - presence_position)
    return -_x0*numpy.log(cold_fraction)*(numpy.select([numpy.greater(_x0 - cached_fraction, 0),numpy.equal(_x0 - cached_fraction, 0),True], [0,1/2,1], default=numpy.nan))


def refill_floor__by__evicted_bytes(evicted_bytes, reused_fraction, read_bytes_per_s):
    return reused_fraction/read_bytes_per_s


def refill_floor__by__read_bytes_per_s(evicted_bytes, reused_fraction, read_bytes_per_s):
    return -evicted_bytes*reused_fraction/read_bytes_per_s**2


def refill_floor__by__reused_fraction(evicted_bytes, reused_fraction, read_bytes_per_s):
    return evicted_bytes/read_bytes_per_s


def dirty_at_flush__by__dirty_lines_per_s(dirty_lines_per_s, lines, rate_per_s):
    _x0 = dirty_lines_per_s + lines*rate_per_s
    return _x0**(-1.0) - dirty_lines_per_s/_x0**2


def dirty_at_flush__by__lines(dirty_lines_per_s, lines, rate_per_s):
    return -dirty_lines_per_s*rate_per_s/(dirty_lines_per_s + lines*rate_per_s)**2


def dirty_at_flush__by__rate_per_s(dirty_lines_per_s, lines, rate_per_s):
    return -dirty_lines_per_s*lines/(dirty_lines_per_s + lines*rate_per_s)**2


def dirty_at_flush_regular__by__dirty_lines_per_s(dirty_lines_per_s, lines, gap_s):
    _x0 = gap_s/lines
    return _x0*numpy.exp(-_x0*dirty_lines_per_s)


def dirty_at_flush_regular__by__gap_s(dirty_lines_per_s, lines, gap_s):
    _x0 = dirty_lines_per_s/lines
    return _x0*numpy.exp(-_x0*gap_s)


def dirty_at_flush_regular__by__lines(dirty_lines_per_s, lines, gap_s):
    _x0 = dirty_lines_per_s*gap_s
    return -_x0*numpy.exp(-_x0/lines)/lines**2


def in_progress__by__parallel_s(rate_per_s, serial_s, parallel_s):
    return rate_per_s*numpy.exp(-parallel_s*rate_per_s)*numpy.maximum(0, -rate_per_s*serial_s + 1)


def in_progress__by__rate_per_s(rate_per_s, serial_s, parallel_s):
    _x0 = numpy.exp(-parallel_s*rate_per_s)
    _x1 = -rate_per_s*serial_s + 1
    return _x0*parallel_s*numpy.maximum(0, _x1) + _x0*serial_s*(numpy.select([numpy.less(_x1, 0),numpy.equal(_x1, 0),True], [0,1/2,1], default=numpy.nan))


def in_progress__by__serial_s(rate_per_s, serial_s, parallel_s):
    return rate_per_s*numpy.exp(-parallel_s*rate_per_s)*(numpy.select([numpy.greater(rate_per_s*serial_s, 1),numpy.equal(rate_per_s*serial_s, 1),True], [0,1/2,1], default=numpy.nan))


def in_progress_closed__by__rate_per_s(rate_per_s, window_s):
    return window_s*(numpy.select([numpy.greater(rate_per_s*window_s, 1),numpy.equal(rate_per_s*window_s, 1),True], [0,1/2,1], default=numpy.nan))


def in_progress_closed__by__window_s(rate_per_s, window_s):
    return rate_per_s*(numpy.select([numpy.greater(rate_per_s*window_s, 1),numpy.equal(rate_per_s*window_s, 1),True], [0,1/2,1], default=numpy.nan))


def window_stall__by__parallel_s(rate_per_s, serial_s, parallel_s):
    _x0 = parallel_s*rate_per_s
    _x1 = numpy.exp(_x0)
    _x2 = rate_per_s**2
    _x3 = rate_per_s*serial_s
    _x4 = 1 - _x3
    _x5 = _x4**(-1.0)
    _x6 = numpy.expm1(_x0)
    _x7 = _x3 + _x6
    _x8 = _x1/_x7
    _x9 = -_x0 + (1/2)*_x2*serial_s**2/_x4**2 + _x3*_x5*_x6 + _x6
    return _x8*_x9 + _x8*(_x1*_x2*_x5*serial_s + _x1*rate_per_s - rate_per_s)/rate_per_s - _x9*numpy.exp(2*_x0)/_x7**2


def window_stall__by__rate_per_s(rate_per_s, serial_s, parallel_s):
    _x0 = rate_per_s**2
    _x1 = parallel_s*rate_per_s
    _x2 = numpy.expm1(_x1)
    _x3 = rate_per_s*serial_s
    _x4 = 1 - _x3
    _x5 = _x4**(-1.0)
    _x6 = _x2*_x5
    _x7 = serial_s**2/_x4**2
    _x8 = (1/2)*_x0*_x7 - _x1 + _x2 + _x3*_x6
    _x9 = numpy.exp(_x1)
    _x10 = _x2 + _x3
    _x11 = _x10**(-1.0)
    _x12 = _x11*_x9
    _x13 = _x9*parallel_s
    _x14 = rate_per_s**(-1.0)
    _x15 = _x14*_x8
    _x16 = _x7*rate_per_s
    return _x11*_x13*_x15 + _x12*_x14*(_x0*serial_s**3/_x4**3 + _x13*_x3*_x5 + _x13 + _x16*_x2 + _x16 + _x6*serial_s - parallel_s) + _x15*_x9*(-_x13 - serial_s)/_x10**2 - _x12*_x8/_x0


def window_stall__by__serial_s(rate_per_s, serial_s, parallel_s):
    _x0 = parallel_s*rate_per_s
    _x1 = numpy.exp(_x0)
    _x2 = rate_per_s*serial_s
    _x3 = numpy.expm1(_x0)
    _x4 = _x2 + _x3
    _x5 = 1 - _x2
    _x6 = _x3/_x5
    _x7 = serial_s**2
    _x8 = rate_per_s**2/_x5**2
    _x9 = _x8*serial_s
    return _x1*(_x3*_x9 + _x6*rate_per_s + _x9 + _x7*rate_per_s**3/_x5**3)/(_x4*rate_per_s) - _x1*(-_x0 + _x2*_x6 + _x3 + (1/2)*_x7*_x8)/_x4**2


def merged_fraction__by__parallel_s(range_fraction, rate_per_s, serial_s, parallel_s):
    _x0 = 1 - range_fraction
    _x1 = rate_per_s*serial_s
    _x2 = 1 - _x1
    _x3 = parallel_s*rate_per_s
    _x4 = (numpy.select([numpy.less(_x3 - 1.0e-6, 0),numpy.equal(_x3 - 1.0e-6, 0),True], [0,1/2,1], default=numpy.nan))
    _x5 = -numpy.maximum(1.0e-6, _x3)
    _x6 = numpy.exp(_x5)
    _x7 = numpy.expm1(_x5)
    _x8 = _x1*_x6 - _x7
    _x9 = _x8**(-1.0)
    _x10 = 0.930568155797026*_x1
    _x11 = 1 - _x10
    _x12 = 0.0694318442029738*_x1
    _x13 = numpy.expm1(_x12)
    _x14 = numpy.exp(_x12)
    _x15 = _x11*_x14*(_x13/(0.0694318442029738 - 0.930568155797026*_x13) - _x7)
    _x16 = 0.930568155797026*_x7 + 1
    _x17 = 0.323702641724621/_x16
    _x18 = 0.669990521792428*_x1
    _x19 = 1 - _x18
    _x20 = 0.330009478207572*_x1
    _x21 = numpy.expm1(_x20)
    _x22 = numpy.exp(_x20)
    _x23 = _x19*_x22*(_x21/(0.330009478207572 - 0.669990521792428*_x21) - _x7)
    _x24 = 0.669990521792428*_x7 + 1
    _x25 = 0.436931072590761/_x24
    _x26 = 1 - _x20
    _x27 = numpy.expm1(_x18)
    _x28 = numpy.exp(_x18)
    _x29 = _x26*_x28*(_x27/(0.669990521792428 - 0.330009478207572*_x27) - _x7)
    _x30 = 0.330009478207572*_x7 + 1
    _x31 = 0.215214082271785/_x30
    _x32 = 1 - 0.0694318442029737*_x1
    _x33 = numpy.expm1(_x10)
    _x34 = numpy.exp(_x10)
    _x35 = _x32*_x34*(_x33/(0.930568155797026 - 0.0694318442029737*_x33) - _x7)
    _x36 = 0.0694318442029737*_x7 + 1
    _x37 = 0.0241522034128332/_x36
    _x38 = _x15*_x17 + _x23*_x25 + _x29*_x31 + _x35*_x37
    _x39 = _x4*_x6
    _x40 = _x39*rate_per_s
    _x41 = _x0*_x2*_x6
    return _x0*_x2*_x38*_x4*_x6*_x9*rate_per_s - _x38*_x41*(_x39*rate_per_s**2*serial_s - _x40)/_x8**2 - _x41*_x9*(_x11*_x14*_x17*_x40 + 0.301227370336306*_x15*_x40/_x16**2 + _x19*_x22*_x25*_x40 + 0.292739677312409*_x23*_x40/_x24**2 + _x26*_x28*_x31*_x40 + 0.0710226869934332*_x29*_x40/_x30**2 + _x32*_x34*_x37*_x40 + 0.00167693202451837*_x35*_x40/_x36**2)


def merged_fraction__by__range_fraction(range_fraction, rate_per_s, serial_s, parallel_s):
    _x0 = rate_per_s*serial_s
    _x1 = -numpy.maximum(1.0e-6, parallel_s*rate_per_s)
    _x2 = numpy.exp(_x1)
    _x3 = numpy.expm1(_x1)
    _x4 = 0.0694318442029738*_x0
    _x5 = 0.930568155797026*_x0
    _x6 = numpy.expm1(_x4)
    _x7 = 0.330009478207572*_x0
    _x8 = 0.669990521792428*_x0
    _x9 = numpy.expm1(_x7)
    _x10 = numpy.expm1(_x8)
    _x11 = numpy.expm1(_x5)
    return _x2*(1 - _x0)*(0.0241522034128332*(1 - 0.0694318442029737*_x0)*(_x11/(0.930568155797026 - 0.0694318442029737*_x11) - _x3)*numpy.exp(_x5)/(0.0694318442029737*_x3 + 1) + 0.323702641724621*(1 - _x5)*(-_x3 + _x6/(0.0694318442029738 - 0.930568155797026*_x6))*numpy.exp(_x4)/(0.930568155797026*_x3 + 1) + 0.215214082271785*(1 - _x7)*(_x10/(0.669990521792428 - 0.330009478207572*_x10) - _x3)*numpy.exp(_x8)/(0.330009478207572*_x3 + 1) + 0.436931072590761*(1 - _x8)*(-_x3 + _x9/(0.330009478207572 - 0.669990521792428*_x9))*numpy.exp(_x7)/(0.669990521792428*_x3 + 1))/(_x0*_x2 - _x3)


def merged_fraction__by__rate_per_s(range_fraction, rate_per_s, serial_s, parallel_s):
    _x0 = parallel_s*rate_per_s
    _x1 = -numpy.maximum(1.0e-6, _x0)
    _x2 = numpy.exp(_x1)
    _x3 = _x2*serial_s
    _x4 = rate_per_s*serial_s
    _x5 = 0.930568155797026*_x4
    _x6 = 1 - _x5
    _x7 = numpy.expm1(_x1)
    _x8 = 0.930568155797026*_x7 + 1
    _x9 = _x8**(-1.0)
    _x10 = 0.0694318442029738*_x4
    _x11 = numpy.expm1(_x10)
    _x12 = 0.0694318442029738 - 0.930568155797026*_x11
    _x13 = _x12**(-1.0)
    _x14 = _x11*_x13 - _x7
    _x15 = _x14*_x9
    _x16 = _x15*_x6
    _x17 = numpy.exp(_x10)
    _x18 = 0.323702641724621*_x17
    _x19 = 0.669990521792428*_x4
    _x20 = 1 - _x19
    _x21 = 0.669990521792428*_x7 + 1
    _x22 = _x21**(-1.0)
    _x23 = 0.330009478207572*_x4
    _x24 = numpy.expm1(_x23)
    _x25 = 0.330009478207572 - 0.669990521792428*_x24
    _x26 = _x25**(-1.0)
    _x27 = _x24*_x26 - _x7
    _x28 = _x22*_x27
    _x29 = _x20*_x28
    _x30 = numpy.exp(_x23)
    _x31 = 0.436931072590761*_x30
    _x32 = 1 - _x23
    _x33 = 0.330009478207572*_x7 + 1
    _x34 = _x33**(-1.0)
    _x35 = numpy.expm1(_x19)
    _x36 = 0.669990521792428 - 0.330009478207572*_x35
    _x37 = _x36**(-1.0)
    _x38 = _x35*_x37 - _x7
    _x39 = _x34*_x38
    _x40 = _x32*_x39
    _x41 = numpy.exp(_x19)
    _x42 = 0.215214082271785*_x41
    _x43 = 1 - 0.0694318442029737*_x4
    _x44 = 0.0694318442029737*_x7 + 1
    _x45 = _x44**(-1.0)
    _x46 = numpy.expm1(_x5)
    _x47 = 0.930568155797026 - 0.0694318442029737*_x46
    _x48 = _x47**(-1.0)
    _x49 = _x46*_x48 - _x7
    _x50 = _x45*_x49
    _x51 = _x43*_x50
    _x52 = numpy.exp(_x5)
    _x53 = 0.0241522034128332*_x52
    _x54 = _x16*_x18 + _x29*_x31 + _x40*_x42 + _x51*_x53
    _x55 = _x2*_x4 - _x7
    _x56 = 1 - range_fraction
    _x57 = _x56/_x55
    _x58 = _x54*_x57
    _x59 = 1 - _x4
    _x60 = (numpy.select([numpy.less(_x0 - 1.0e-6, 0),numpy.equal(_x0 - 1.0e-6, 0),True], [0,1/2,1], default=numpy.nan))
    _x61 = _x2*_x60*parallel_s
    _x62 = _x2*_x59
    _x63 = _x17*serial_s
    _x64 = _x30*serial_s
    _x65 = _x41*serial_s
    _x66 = _x52*serial_s
    return _x3*_x58 - _x54*_x56*_x62*(_x2*_x60*parallel_s*rate_per_s*serial_s - _x3 - _x61)/_x55**2 - _x57*_x62*(0.301227370336306*_x14*_x17*_x6*_x61/_x8**2 - 0.301227370336306*_x15*_x63 + 0.0224752713883149*_x16*_x63 + _x18*_x6*_x9*(0.0646110632135477*_x11*_x63/_x12**2 + 0.0694318442029738*_x13*_x63 + _x61) + _x20*_x22*_x31*(0.221103222500738*_x24*_x64/_x25**2 + 0.330009478207572*_x26*_x64 + _x61) + 0.292739677312409*_x20*_x27*_x30*_x61/_x21**2 - 0.292739677312409*_x28*_x64 + 0.144191395278352*_x29*_x64 + _x32*_x34*_x42*(0.221103222500738*_x35*_x65/_x36**2 + 0.669990521792428*_x37*_x65 + _x61) + 0.0710226869934332*_x32*_x38*_x41*_x61/_x33**2 - 0.0710226869934332*_x39*_x65 + 0.144191395278352*_x40*_x65 + _x43*_x45*_x53*(0.0646110632135477*_x46*_x66/_x47**2 + 0.930568155797026*_x48*_x66 + _x61) + 0.00167693202451837*_x43*_x49*_x52*_x61/_x44**2 - 0.00167693202451837*_x50*_x66 + 0.0224752713883149*_x51*_x66) + _x58*_x59*_x61


def merged_fraction__by__serial_s(range_fraction, rate_per_s, serial_s, parallel_s):
    _x0 = numpy.maximum(1.0e-6, parallel_s*rate_per_s)
    _x1 = -_x0
    _x2 = numpy.exp(_x1)
    _x3 = numpy.expm1(_x1)
    _x4 = rate_per_s*serial_s
    _x5 = _x2*_x4 - _x3
    _x6 = 1 - range_fraction
    _x7 = _x2*_x6/_x5
    _x8 = 0.930568155797026*_x4
    _x9 = 1 - _x8
    _x10 = (0.930568155797026*_x3 + 1)**(-1.0)
    _x11 = 0.0694318442029738*_x4
    _x12 = numpy.expm1(_x11)
    _x13 = 0.0694318442029738 - 0.930568155797026*_x12
    _x14 = _x13**(-1.0)
    _x15 = _x10*(_x12*_x14 - _x3)
    _x16 = _x15*_x9
    _x17 = numpy.exp(_x11)
    _x18 = 0.323702641724621*_x17
    _x19 = 0.669990521792428*_x4
    _x20 = 1 - _x19
    _x21 = (0.669990521792428*_x3 + 1)**(-1.0)
    _x22 = 0.330009478207572*_x4
    _x23 = numpy.expm1(_x22)
    _x24 = 0.330009478207572 - 0.669990521792428*_x23
    _x25 = _x24**(-1.0)
    _x26 = _x21*(_x23*_x25 - _x3)
    _x27 = _x20*_x26
    _x28 = numpy.exp(_x22)
    _x29 = 0.436931072590761*_x28
    _x30 = 1 - _x22
    _x31 = (0.330009478207572*_x3 + 1)**(-1.0)
    _x32 = numpy.expm1(_x19)
    _x33 = 0.669990521792428 - 0.330009478207572*_x32
    _x34 = _x33**(-1.0)
    _x35 = _x31*(-_x3 + _x32*_x34)
    _x36 = _x30*_x35
    _x37 = numpy.exp(_x19)
    _x38 = 0.215214082271785*_x37
    _x39 = 1 - 0.0694318442029737*_x4
    _x40 = (0.0694318442029737*_x3 + 1)**(-1.0)
    _x41 = numpy.expm1(_x8)
    _x42 = 0.930568155797026 - 0.0694318442029737*_x41
    _x43 = _x42**(-1.0)
    _x44 = _x40*(-_x3 + _x41*_x43)
    _x45 = _x39*_x44
    _x46 = numpy.exp(_x8)
    _x47 = 0.0241522034128332*_x46
    _x48 = rate_per_s*(_x16*_x18 + _x27*_x29 + _x36*_x38 + _x45*_x47)
    _x49 = 1 - _x4
    _x50 = _x17*rate_per_s
    _x51 = _x28*rate_per_s
    _x52 = _x37*rate_per_s
    _x53 = _x46*rate_per_s
    return _x48*_x49*_x6*numpy.exp(-2*_x0)/_x5**2 + _x48*_x7 - _x49*_x7*(_x10*_x18*_x9*(0.0646110632135477*_x12*_x50/_x13**2 + 0.0694318442029738*_x14*_x50) - 0.301227370336306*_x15*_x50 + 0.0224752713883149*_x16*_x50 + _x20*_x21*_x29*(0.221103222500738*_x23*_x51/_x24**2 + 0.330009478207572*_x25*_x51) - 0.292739677312409*_x26*_x51 + 0.144191395278352*_x27*_x51 + _x30*_x31*_x38*(0.221103222500738*_x32*_x52/_x33**2 + 0.669990521792428*_x34*_x52) - 0.0710226869934332*_x35*_x52 + 0.144191395278352*_x36*_x52 + _x39*_x40*_x47*(0.0646110632135477*_x41*_x53/_x42**2 + 0.930568155797026*_x43*_x53) - 0.00167693202451837*_x44*_x53 + 0.0224752713883149*_x45*_x53)


def merged_fraction_stall__by__parallel_s(range_fraction, rate_per_s, serial_s, parallel_s):
    _x0 = 1 - range_fraction
    _x1 = parallel_s*rate_per_s
    _x2 = (numpy.select([numpy.less(_x1 - 1.0e-6, 0),numpy.equal(_x1 - 1.0e-6, 0),True], [0,1/2,1], default=numpy.nan))
    _x3 = numpy.maximum(1.0e-6, _x1)
    _x4 = -_x3
    _x5 = numpy.exp(_x4)
    _x6 = rate_per_s**2
    _x7 = rate_per_s*serial_s
    _x8 = 1 - _x7
    _x9 = numpy.expm1(_x3)
    _x10 = _x8**(-1.0)
    _x11 = _x4 + _x9
    _x12 = _x10*_x7*_x9 + _x11 + (1/2)*_x6*serial_s**2/_x8**2
    _x13 = _x12**(-1.0)
    _x14 = 0.0694318442029738*_x7
    _x15 = numpy.expm1(_x14)
    _x16 = 0.0694318442029738 - 0.930568155797026*_x15
    _x17 = _x15/_x16
    _x18 = numpy.exp(_x14)
    _x19 = _x11 + _x17*_x9 + _x18*(_x14 + numpy.expm1(-_x14))/_x16**2
    _x20 = numpy.expm1(_x4)
    _x21 = 0.930568155797026*_x20 + 1
    _x22 = 0.930568155797026*_x7
    _x23 = _x18*(1 - _x22)
    _x24 = 0.323702641724621*_x23/_x21
    _x25 = 0.330009478207572*_x7
    _x26 = numpy.expm1(_x25)
    _x27 = 0.330009478207572 - 0.669990521792428*_x26
    _x28 = _x26/_x27
    _x29 = numpy.exp(_x25)
    _x30 = _x11 + _x28*_x9 + _x29*(_x25 + numpy.expm1(-_x25))/_x27**2
    _x31 = 0.669990521792428*_x20 + 1
    _x32 = 0.669990521792428*_x7
    _x33 = _x29*(1 - _x32)
    _x34 = 0.436931072590761*_x33/_x31
    _x35 = numpy.expm1(_x32)
    _x36 = 0.669990521792428 - 0.330009478207572*_x35
    _x37 = _x35/_x36
    _x38 = numpy.exp(_x32)
    _x39 = _x11 + _x37*_x9 + _x38*(_x32 + numpy.expm1(-_x32))/_x36**2
    _x40 = 0.330009478207572*_x20 + 1
    _x41 = _x38*(1 - _x25)
    _x42 = 0.215214082271785*_x41/_x40
    _x43 = numpy.expm1(_x22)
    _x44 = 0.930568155797026 - 0.0694318442029737*_x43
    _x45 = _x43/_x44
    _x46 = numpy.exp(_x22)
    _x47 = _x11 + _x45*_x9 + _x46*(_x22 + numpy.expm1(-_x22))/_x44**2
    _x48 = 0.0694318442029737*_x20 + 1
    _x49 = _x46*(1 - 0.0694318442029737*_x7)
    _x50 = 0.0241522034128332*_x49/_x48
    _x51 = _x19*_x24 + _x30*_x34 + _x39*_x42 + _x47*_x50
    _x52 = numpy.exp(_x3)
    _x53 = _x2*rate_per_s
    _x54 = _x52*_x53
    _x55 = -_x53 + _x54
    _x56 = _x0*_x5
    _x57 = _x5*_x53
    return _x0*_x13*_x2*_x5*_x51*rate_per_s - _x13*_x56*(0.301227370336306*_x19*_x23*_x57/_x21**2 + _x24*(_x17*_x54 + _x55) + 0.292739677312409*_x30*_x33*_x57/_x31**2 + _x34*(_x28*_x54 + _x55) + 0.0710226869934332*_x39*_x41*_x57/_x40**2 + _x42*(_x37*_x54 + _x55) + 0.00167693202451837*_x47*_x49*_x57/_x48**2 + _x50*(_x45*_x54 + _x55)) - _x51*_x56*(-_x10*_x2*_x52*_x6*serial_s - _x55)/_x12**2


def merged_fraction_stall__by__range_fraction(range_fraction, rate_per_s, serial_s, parallel_s):
    _x0 = numpy.maximum(1.0e-6, parallel_s*rate_per_s)
    _x1 = -_x0
    _x2 = rate_per_s*serial_s
    _x3 = 1 - _x2
    _x4 = numpy.expm1(_x0)
    _x5 = _x1 + _x4
    _x6 = 0.0694318442029738*_x2
    _x7 = numpy.exp(_x6)
    _x8 = 0.930568155797026*_x2
    _x9 = numpy.expm1(_x1)
    _x10 = numpy.expm1(_x6)
    _x11 = 0.0694318442029738 - 0.930568155797026*_x10
    _x12 = 0.330009478207572*_x2
    _x13 = numpy.exp(_x12)
    _x14 = 0.669990521792428*_x2
    _x15 = numpy.expm1(_x12)
    _x16 = 0.330009478207572 - 0.669990521792428*_x15
    _x17 = numpy.exp(_x14)
    _x18 = numpy.expm1(_x14)
    _x19 = 0.669990521792428 - 0.330009478207572*_x18
    _x20 = numpy.exp(_x8)
    _x21 = numpy.expm1(_x8)
    _x22 = 0.930568155797026 - 0.0694318442029737*_x21
    return (0.436931072590761*_x13*(1 - _x14)*(_x13*(_x12 + numpy.expm1(-_x12))/_x16**2 + _x15*_x4/_x16 + _x5)/(0.669990521792428*_x9 + 1) + 0.215214082271785*_x17*(1 - _x12)*(_x17*(_x14 + numpy.expm1(-_x14))/_x19**2 + _x18*_x4/_x19 + _x5)/(0.330009478207572*_x9 + 1) + 0.0241522034128332*_x20*(1 - 0.0694318442029737*_x2)*(_x20*(_x8 + numpy.expm1(-_x8))/_x22**2 + _x21*_x4/_x22 + _x5)/(0.0694318442029737*_x9 + 1) + 0.323702641724621*_x7*(1 - _x8)*(_x10*_x4/_x11 + _x5 + _x7*(_x6 + numpy.expm1(-_x6))/_x11**2)/(0.930568155797026*_x9 + 1))*numpy.exp(_x1)/(_x2*_x4/_x3 + _x5 + (1/2)*rate_per_s**2*serial_s**2/_x3**2)


def merged_fraction_stall__by__rate_per_s(range_fraction, rate_per_s, serial_s, parallel_s):
    _x0 = 1 - range_fraction
    _x1 = parallel_s*rate_per_s
    _x2 = (numpy.select([numpy.less(_x1 - 1.0e-6, 0),numpy.equal(_x1 - 1.0e-6, 0),True], [0,1/2,1], default=numpy.nan))
    _x3 = numpy.maximum(1.0e-6, _x1)
    _x4 = -_x3
    _x5 = numpy.exp(_x4)
    _x6 = rate_per_s**2
    _x7 = rate_per_s*serial_s
    _x8 = 1 - _x7
    _x9 = serial_s**2/_x8**2
    _x10 = numpy.expm1(_x3)
    _x11 = _x8**(-1.0)
    _x12 = _x10*_x11
    _x13 = _x10 + _x4
    _x14 = _x12*_x7 + _x13 + (1/2)*_x6*_x9
    _x15 = _x14**(-1.0)
    _x16 = 0.0694318442029738*_x7
    _x17 = numpy.expm1(_x16)
    _x18 = 0.0694318442029738 - 0.930568155797026*_x17
    _x19 = _x18**(-1.0)
    _x20 = _x10*_x19
    _x21 = -_x16
    _x22 = _x16 + numpy.expm1(_x21)
    _x23 = numpy.exp(_x16)
    _x24 = _x23/_x18**2
    _x25 = _x22*_x24
    _x26 = _x13 + _x17*_x20 + _x25
    _x27 = 0.930568155797026*_x7
    _x28 = 1 - _x27
    _x29 = numpy.expm1(_x4)
    _x30 = 0.930568155797026*_x29 + 1
    _x31 = _x23/_x30
    _x32 = _x28*_x31
    _x33 = 0.323702641724621*_x32
    _x34 = 0.330009478207572*_x7
    _x35 = numpy.expm1(_x34)
    _x36 = 0.330009478207572 - 0.669990521792428*_x35
    _x37 = _x36**(-1.0)
    _x38 = _x10*_x37
    _x39 = -_x34
    _x40 = _x34 + numpy.expm1(_x39)
    _x41 = numpy.exp(_x34)
    _x42 = _x41/_x36**2
    _x43 = _x40*_x42
    _x44 = _x13 + _x35*_x38 + _x43
    _x45 = 0.669990521792428*_x7
    _x46 = 1 - _x45
    _x47 = 0.669990521792428*_x29 + 1
    _x48 = _x41/_x47
    _x49 = _x46*_x48
    _x50 = 0.436931072590761*_x49
    _x51 = numpy.expm1(_x45)
    _x52 = 0.669990521792428 - 0.330009478207572*_x51
    _x53 = _x52**(-1.0)
    _x54 = _x10*_x53
    _x55 = -_x45
    _x56 = _x45 + numpy.expm1(_x55)
    _x57 = numpy.exp(_x45)
    _x58 = _x57/_x52**2
    _x59 = _x56*_x58
    _x60 = _x13 + _x51*_x54 + _x59
    _x61 = 1 - _x34
    _x62 = 0.330009478207572*_x29 + 1
    _x63 = _x57/_x62
    _x64 = _x61*_x63
    _x65 = 0.215214082271785*_x64
    _x66 = numpy.expm1(_x27)
    _x67 = 0.930568155797026 - 0.0694318442029737*_x66
    _x68 = _x67**(-1.0)
    _x69 = _x10*_x68
    _x70 = -_x27
    _x71 = _x27 + numpy.expm1(_x70)
    _x72 = numpy.exp(_x27)
    _x73 = _x72/_x67**2
    _x74 = _x71*_x73
    _x75 = _x13 + _x66*_x69 + _x74
    _x76 = 1 - 0.0694318442029737*_x7
    _x77 = 0.0694318442029737*_x29 + 1
    _x78 = _x72/_x77
    _x79 = _x76*_x78
    _x80 = 0.0241522034128332*_x79
    _x81 = _x26*_x33 + _x44*_x50 + _x60*_x65 + _x75*_x80
    _x82 = _x9*rate_per_s
    _x83 = numpy.exp(_x3)
    _x84 = _x2*parallel_s
    _x85 = _x83*_x84
    _x86 = -_x84 + _x85
    _x87 = _x0*_x5
    _x88 = _x75*serial_s
    _x89 = _x60*serial_s
    _x90 = _x44*serial_s
    _x91 = _x26*serial_s
    _x92 = _x5*_x84
    _x93 = 0.0694318442029738*serial_s
    _x94 = _x10*serial_s
    _x95 = 0.330009478207572*serial_s
    _x96 = 0.442206445001476*serial_s
    _x97 = 0.221103222500738*_x94
    _x98 = 0.669990521792428*serial_s
    _x99 = 0.930568155797026*serial_s
    return _x0*_x15*_x2*_x5*_x81*parallel_s - _x15*_x87*(0.301227370336306*_x23*_x26*_x28*_x92/_x30**2 - 0.301227370336306*_x31*_x91 + 0.0224752713883149*_x32*_x91 + _x33*(_x17*_x19*_x85 + 0.0646110632135477*_x17*_x24*_x94 + _x20*_x23*_x93 + _x24*(-_x93*numpy.exp(_x21) + _x93) + _x25*_x93 + _x86 + 0.129222126427095*_x22*serial_s*numpy.exp(0.138863688405948*_x7)/_x18**3) + 0.292739677312409*_x41*_x44*_x46*_x92/_x47**2 - 0.292739677312409*_x48*_x90 + 0.144191395278352*_x49*_x90 + _x50*(_x35*_x37*_x85 + _x35*_x42*_x97 + _x38*_x41*_x95 + _x42*(-_x95*numpy.exp(_x39) + _x95) + _x43*_x95 + _x86 + _x40*_x96*numpy.exp(0.660018956415144*_x7)/_x36**3) + 0.0710226869934332*_x57*_x60*_x61*_x92/_x62**2 - 0.0710226869934332*_x63*_x89 + 0.144191395278352*_x64*_x89 + _x65*(_x51*_x53*_x85 + _x51*_x58*_x97 + _x54*_x57*_x98 + _x58*(-_x98*numpy.exp(_x55) + _x98) + _x59*_x98 + _x86 + _x56*_x96*numpy.exp(1.33998104358486*_x7)/_x52**3) + 0.00167693202451837*_x72*_x75*_x76*_x92/_x77**2 - 0.00167693202451837*_x78*_x88 + 0.0224752713883149*_x79*_x88 + _x80*(_x66*_x68*_x85 + 0.0646110632135477*_x66*_x73*_x94 + _x69*_x72*_x99 + _x73*(-_x99*numpy.exp(_x70) + _x99) + _x74*_x99 + _x86 + 0.129222126427095*_x71*serial_s*numpy.exp(1.86113631159405*_x7)/_x67**3)) - _x81*_x87*(-_x1*_x11*_x2*_x83*serial_s - _x10*_x82 - _x12*serial_s - _x6*serial_s**3/_x8**3 - _x82 - _x86)/_x14**2


def merged_fraction_stall__by__serial_s(range_fraction, rate_per_s, serial_s, parallel_s):
    _x0 = serial_s**2
    _x1 = rate_per_s*serial_s
    _x2 = 1 - _x1
    _x3 = rate_per_s**2/_x2**2
    _x4 = numpy.maximum(1.0e-6, parallel_s*rate_per_s)
    _x5 = numpy.expm1(_x4)
    _x6 = _x5/_x2
    _x7 = -_x4
    _x8 = _x5 + _x7
    _x9 = (1/2)*_x0*_x3 + _x1*_x6 + _x8
    _x10 = _x3*serial_s
    _x11 = 0.0694318442029738*_x1
    _x12 = numpy.expm1(_x11)
    _x13 = 0.0694318442029738 - 0.930568155797026*_x12
    _x14 = _x5/_x13
    _x15 = -_x11
    _x16 = _x11 + numpy.expm1(_x15)
    _x17 = numpy.exp(_x11)
    _x18 = _x17/_x13**2
    _x19 = _x16*_x18
    _x20 = _x12*_x14 + _x19 + _x8
    _x21 = 0.930568155797026*_x1
    _x22 = numpy.expm1(_x7)
    _x23 = _x17/(0.930568155797026*_x22 + 1)
    _x24 = _x23*(1 - _x21)
    _x25 = 0.323702641724621*_x24
    _x26 = 0.330009478207572*_x1
    _x27 = numpy.expm1(_x26)
    _x28 = 0.330009478207572 - 0.669990521792428*_x27
    _x29 = _x5/_x28
    _x30 = -_x26
    _x31 = _x26 + numpy.expm1(_x30)
    _x32 = numpy.exp(_x26)
    _x33 = _x32/_x28**2
    _x34 = _x31*_x33
    _x35 = _x27*_x29 + _x34 + _x8
    _x36 = 0.669990521792428*_x1
    _x37 = _x32/(0.669990521792428*_x22 + 1)
    _x38 = _x37*(1 - _x36)
    _x39 = 0.436931072590761*_x38
    _x40 = numpy.expm1(_x36)
    _x41 = 0.669990521792428 - 0.330009478207572*_x40
    _x42 = _x5/_x41
    _x43 = -_x36
    _x44 = _x36 + numpy.expm1(_x43)
    _x45 = numpy.exp(_x36)
    _x46 = _x45/_x41**2
    _x47 = _x44*_x46
    _x48 = _x40*_x42 + _x47 + _x8
    _x49 = _x45/(0.330009478207572*_x22 + 1)
    _x50 = _x49*(1 - _x26)
    _x51 = 0.215214082271785*_x50
    _x52 = numpy.expm1(_x21)
    _x53 = 0.930568155797026 - 0.0694318442029737*_x52
    _x54 = _x5/_x53
    _x55 = -_x21
    _x56 = _x21 + numpy.expm1(_x55)
    _x57 = numpy.exp(_x21)
    _x58 = _x57/_x53**2
    _x59 = _x56*_x58
    _x60 = _x52*_x54 + _x59 + _x8
    _x61 = _x57/(0.0694318442029737*_x22 + 1)
    _x62 = _x61*(1 - 0.0694318442029737*_x1)
    _x63 = 0.0241522034128332*_x62
    _x64 = (1 - range_fraction)*numpy.exp(_x7)
    _x65 = _x60*rate_per_s
    _x66 = _x48*rate_per_s
    _x67 = _x35*rate_per_s
    _x68 = _x20*rate_per_s
    _x69 = 0.0694318442029738*rate_per_s
    _x70 = _x5*rate_per_s
    _x71 = 0.330009478207572*rate_per_s
    _x72 = 0.442206445001476*rate_per_s
    _x73 = 0.221103222500738*_x70
    _x74 = 0.669990521792428*rate_per_s
    _x75 = 0.930568155797026*rate_per_s
    return -_x64*(-0.301227370336306*_x23*_x68 + 0.0224752713883149*_x24*_x68 + _x25*(0.0646110632135477*_x12*_x18*_x70 + _x14*_x17*_x69 + _x18*(-_x69*numpy.exp(_x15) + _x69) + _x19*_x69 + 0.129222126427095*_x16*rate_per_s*numpy.exp(0.138863688405948*_x1)/_x13**3) - 0.292739677312409*_x37*_x67 + 0.144191395278352*_x38*_x67 + _x39*(_x27*_x33*_x73 + _x29*_x32*_x71 + _x33*(-_x71*numpy.exp(_x30) + _x71) + _x34*_x71 + _x31*_x72*numpy.exp(0.660018956415144*_x1)/_x28**3) - 0.0710226869934332*_x49*_x66 + 0.144191395278352*_x50*_x66 + _x51*(_x40*_x46*_x73 + _x42*_x45*_x74 + _x46*(-_x74*numpy.exp(_x43) + _x74) + _x47*_x74 + _x44*_x72*numpy.exp(1.33998104358486*_x1)/_x41**3) - 0.00167693202451837*_x61*_x65 + 0.0224752713883149*_x62*_x65 + _x63*(0.0646110632135477*_x52*_x58*_x70 + _x54*_x57*_x75 + _x58*(-_x75*numpy.exp(_x55) + _x75) + _x59*_x75 + 0.129222126427095*_x56*rate_per_s*numpy.exp(1.86113631159405*_x1)/_x53**3))/_x9 - _x64*(_x20*_x25 + _x35*_x39 + _x48*_x51 + _x60*_x63)*(-_x0*rate_per_s**3/_x2**3 - _x10*_x5 - _x10 - _x6*rate_per_s)/_x9**2


def fault_stall__by__in_progress_fraction(merged_fraction, in_progress_fraction, window_stall_s):
    return merged_fraction*window_stall_s


def fault_stall__by__merged_fraction(merged_fraction, in_progress_fraction, window_stall_s):
    return in_progress_fraction*window_stall_s


def fault_stall__by__window_stall_s(merged_fraction, in_progress_fraction, window_stall_s):
    return in_progress_fraction*merged_fraction


def stall_quantile__by__merged_fraction(share, merged_fraction, rate_per_s, parallel_s):
    _x0 = rate_per_s**(-1.0)
    _x1 = numpy.exp(parallel_s*rate_per_s)
    _x2 = _x0*(_x1*(1 - share/merged_fraction) - 1)
    return _x0*_x1*share*(numpy.select([numpy.greater(_x2 - parallel_s, 0),numpy.equal(_x2 - parallel_s, 0),True], [0,1/2,1], default=numpy.nan))*(numpy.select([numpy.logical_and.reduce((numpy.less_equal(_x2, parallel_s),numpy.less(_x2, 0))),numpy.logical_or.reduce((numpy.logical_and.reduce((numpy.equal(_x2, 0),numpy.less_equal(_x2, parallel_s))),numpy.logical_and.reduce((numpy.equal(parallel_s, 0),numpy.greater(_x2, parallel_s))))),True], [0,1/2,1], default=numpy.nan))/merged_fraction**2


def stall_quantile__by__parallel_s(share, merged_fraction, rate_per_s, parallel_s):
    _x0 = (1 - share/merged_fraction)*numpy.exp(parallel_s*rate_per_s)
    _x1 = (_x0 - 1)/rate_per_s
    _x2 = -_x1 + parallel_s
    return (_x0*(numpy.select([numpy.less(_x2, 0),numpy.equal(_x2, 0),True], [0,1/2,1], default=numpy.nan)) + (numpy.select([numpy.greater(_x2, 0),numpy.equal(_x2, 0),True], [0,1/2,1], default=numpy.nan)))*(numpy.select([numpy.logical_and.reduce((numpy.less_equal(_x1, parallel_s),numpy.less(_x1, 0))),numpy.logical_or.reduce((numpy.logical_and.reduce((numpy.equal(_x1, 0),numpy.less_equal(_x1, parallel_s))),numpy.logical_and.reduce((numpy.equal(parallel_s, 0),numpy.greater(_x1, parallel_s))))),True], [0,1/2,1], default=numpy.nan))


def stall_quantile__by__rate_per_s(share, merged_fraction, rate_per_s, parallel_s):
    _x0 = rate_per_s**(-1.0)
    _x1 = (1 - share/merged_fraction)*numpy.exp(parallel_s*rate_per_s)
    _x2 = _x1 - 1
    _x3 = _x0*_x2
    return (_x0*_x1*parallel_s - _x2/rate_per_s**2)*(numpy.select([numpy.greater(_x3 - parallel_s, 0),numpy.equal(_x3 - parallel_s, 0),True], [0,1/2,1], default=numpy.nan))*(numpy.select([numpy.logical_and.reduce((numpy.less_equal(_x3, parallel_s),numpy.less(_x3, 0))),numpy.logical_or.reduce((numpy.logical_and.reduce((numpy.equal(_x3, 0),numpy.less_equal(_x3, parallel_s))),numpy.logical_and.reduce((numpy.equal(parallel_s, 0),numpy.greater(_x3, parallel_s))))),True], [0,1/2,1], default=numpy.nan))


def stall_quantile__by__share(share, merged_fraction, rate_per_s, parallel_s):
    _x0 = merged_fraction**(-1.0)
    _x1 = rate_per_s**(-1.0)
    _x2 = numpy.exp(parallel_s*rate_per_s)
    _x3 = _x1*(_x2*(-_x0*share + 1) - 1)
    return -_x0*_x1*_x2*(numpy.select([numpy.greater(_x3 - parallel_s, 0),numpy.equal(_x3 - parallel_s, 0),True], [0,1/2,1], default=numpy.nan))*(numpy.select([numpy.logical_and.reduce((numpy.less_equal(_x3, parallel_s),numpy.less(_x3, 0))),numpy.logical_or.reduce((numpy.logical_and.reduce((numpy.equal(_x3, 0),numpy.less_equal(_x3, parallel_s))),numpy.logical_and.reduce((numpy.equal(parallel_s, 0),numpy.greater(_x3, parallel_s))))),True], [0,1/2,1], default=numpy.nan))


def stall_quantile_closed__by__merged_fraction(window_s, share, rate_per_s, merged_fraction):
    _x0 = share/rate_per_s
    return _x0*(numpy.select([numpy.greater(_x0/merged_fraction - window_s, 0),numpy.equal(_x0/merged_fraction - window_s, 0),True], [0,1/2,1], default=numpy.nan))/merged_fraction**2


def stall_quantile_closed__by__rate_per_s(window_s, share, rate_per_s, merged_fraction):
    _x0 = share/merged_fraction
    return _x0*(numpy.select([numpy.greater(_x0/rate_per_s - window_s, 0),numpy.equal(_x0/rate_per_s - window_s, 0),True], [0,1/2,1], default=numpy.nan))/rate_per_s**2


def stall_quantile_closed__by__share(window_s, share, rate_per_s, merged_fraction):
    _x0 = 1/(merged_fraction*rate_per_s)
    return -_x0*(numpy.select([numpy.greater(_x0*share - window_s, 0),numpy.equal(_x0*share - window_s, 0),True], [0,1/2,1], default=numpy.nan))


def stall_quantile_closed__by__window_s(window_s, share, rate_per_s, merged_fraction):
    return (numpy.select([numpy.less(window_s - share/(merged_fraction*rate_per_s), 0),numpy.equal(window_s - share/(merged_fraction*rate_per_s), 0),True], [0,1/2,1], default=numpy.nan))


def retries_per_fault__by__fault_work_s(merged_fraction, in_progress_fraction, window_stall_s, retry_loop_s, rate_per_s, fault_work_s):
    return rate_per_s*numpy.exp(-fault_work_s*rate_per_s)


def retries_per_fault__by__in_progress_fraction(merged_fraction, in_progress_fraction, window_stall_s, retry_loop_s, rate_per_s, fault_work_s):
    return merged_fraction*(1/2 + window_stall_s/retry_loop_s)


def retries_per_fault__by__merged_fraction(merged_fraction, in_progress_fraction, window_stall_s, retry_loop_s, rate_per_s, fault_work_s):
    return in_progress_fraction*(1/2 + window_stall_s/retry_loop_s)


def retries_per_fault__by__rate_per_s(merged_fraction, in_progress_fraction, window_stall_s, retry_loop_s, rate_per_s, fault_work_s):
    return fault_work_s*numpy.exp(-fault_work_s*rate_per_s)


def retries_per_fault__by__retry_loop_s(merged_fraction, in_progress_fraction, window_stall_s, retry_loop_s, rate_per_s, fault_work_s):
    return -in_progress_fraction*merged_fraction*window_stall_s/retry_loop_s**2


def retries_per_fault__by__window_stall_s(merged_fraction, in_progress_fraction, window_stall_s, retry_loop_s, rate_per_s, fault_work_s):
    return in_progress_fraction*merged_fraction/retry_loop_s


def lock_hold__by__flush_s(zap_s, under_lock, flush_s):
    return under_lock


def lock_hold__by__under_lock(zap_s, under_lock, flush_s):
    return flush_s


def lock_hold__by__zap_s(zap_s, under_lock, flush_s):
    return 1


def lock_busy__by__end_hold_s(rate_per_s, hold_s, end_hold_s):
    return rate_per_s*(numpy.select([numpy.greater(rate_per_s*(end_hold_s + hold_s), 1),numpy.equal(rate_per_s*(end_hold_s + hold_s), 1),True], [0,1/2,1], default=numpy.nan))


def lock_busy__by__hold_s(rate_per_s, hold_s, end_hold_s):
    return rate_per_s*(numpy.select([numpy.greater(rate_per_s*(end_hold_s + hold_s), 1),numpy.equal(rate_per_s*(end_hold_s + hold_s), 1),True], [0,1/2,1], default=numpy.nan))


def lock_busy__by__rate_per_s(rate_per_s, hold_s, end_hold_s):
    _x0 = end_hold_s + hold_s
    return _x0*(numpy.select([numpy.greater(_x0*rate_per_s, 1),numpy.equal(_x0*rate_per_s, 1),True], [0,1/2,1], default=numpy.nan))


def lock_saturation__by__end_hold_s(hold_s, end_hold_s):
    return -1/(end_hold_s + hold_s)**2


def lock_saturation__by__hold_s(hold_s, end_hold_s):
    return -1/(end_hold_s + hold_s)**2


def lock_wait__by__end_hold_s(rate_per_s, hold_s, end_hold_s, queueing):
    _x0 = 2*rate_per_s
    _x1 = -_x0*queueing*(end_hold_s + hold_s) + 2
    return _x0*end_hold_s/_x1 + 2*queueing*rate_per_s**2*(end_hold_s**2 + hold_s**2)/_x1**2


def lock_wait__by__hold_s(rate_per_s, hold_s, end_hold_s, queueing):
    _x0 = 2*rate_per_s
    _x1 = -_x0*queueing*(end_hold_s + hold_s) + 2
    return _x0*hold_s/_x1 + 2*queueing*rate_per_s**2*(end_hold_s**2 + hold_s**2)/_x1**2


def lock_wait__by__queueing(rate_per_s, hold_s, end_hold_s, queueing):
    _x0 = 2*end_hold_s + 2*hold_s
    return _x0*rate_per_s**2*(end_hold_s**2 + hold_s**2)/(-_x0*queueing*rate_per_s + 2)**2


def lock_wait__by__rate_per_s(rate_per_s, hold_s, end_hold_s, queueing):
    _x0 = end_hold_s**2 + hold_s**2
    _x1 = 2*queueing*rate_per_s*(end_hold_s + hold_s)
    _x2 = 2 - _x1
    return _x0*_x1/_x2**2 + _x0/_x2


def lock_wait_quantile__by__hold_s(share, rate_per_s, hold_s, queueing):
    _x0 = rate_per_s**(-1.0)
    _x1 = (-hold_s*queueing*rate_per_s + 1)**(-1.0)
    _x2 = _x0*numpy.log(_x1*(1 - share))
    _x3 = -_x2 + hold_s
    return (queueing*(_x1*queueing*(numpy.select([numpy.less(_x3, 0),numpy.equal(_x3, 0),True], [0,1/2,1], default=numpy.nan)) + (numpy.select([numpy.greater(_x3, 0),numpy.equal(_x3, 0),True], [0,1/2,1], default=numpy.nan))) - queueing + 1)*(numpy.select([numpy.logical_or.reduce((numpy.logical_and.reduce((numpy.greater(_x2, hold_s),numpy.less(_x0*queueing*share - _x0*share + hold_s, 0))),numpy.logical_and.reduce((numpy.less_equal(_x2, hold_s),numpy.less(_x2*queueing + (queueing - 1)*(_x0*share - hold_s), 0))))),numpy.logical_or.reduce((numpy.logical_and.reduce((numpy.greater(_x2, hold_s),numpy.equal(_x0*queueing*share - _x0*share + hold_s, 0))),numpy.logical_and.reduce((numpy.less_equal(_x2, hold_s),numpy.equal(_x2*queueing + (queueing - 1)*(_x0*share - hold_s), 0))))),True], [0,1/2,1], default=numpy.nan))


def lock_wait_quantile__by__queueing(share, rate_per_s, hold_s, queueing):
    _x0 = rate_per_s**(-1.0)
    _x1 = _x0*share
    _x2 = hold_s*queueing
    _x3 = (-_x2*rate_per_s + 1)**(-1.0)
    _x4 = _x0*numpy.log(_x3*(1 - share))
    _x5 = numpy.minimum(_x4, hold_s)
    return (_x1 + _x2*_x3*(numpy.select([numpy.greater(_x4 - hold_s, 0),numpy.equal(_x4 - hold_s, 0),True], [0,1/2,1], default=numpy.nan)) + _x5 - hold_s)*(numpy.select([numpy.less(_x5*queueing + (1 - queueing)*(-_x1 + hold_s), 0),numpy.equal(_x5*queueing + (1 - queueing)*(-_x1 + hold_s), 0),True], [0,1/2,1], default=numpy.nan))


def lock_wait_quantile__by__rate_per_s(share, rate_per_s, hold_s, queueing):
    _x0 = 1 - queueing
    _x1 = rate_per_s**(-1.0)
    _x2 = hold_s*queueing
    _x3 = (-_x2*rate_per_s + 1)**(-1.0)
    _x4 = numpy.log(_x3*(1 - share))
    _x5 = _x1*_x4
    _x6 = rate_per_s**(-2.0)
    return (_x0*_x6*share + queueing*(_x1*_x2*_x3 - _x4*_x6)*(numpy.select([numpy.greater(_x5 - hold_s, 0),numpy.equal(_x5 - hold_s, 0),True], [0,1/2,1], default=numpy.nan)))*(numpy.select([numpy.logical_or.reduce((numpy.logical_and.reduce((numpy.less_equal(_x5, hold_s),numpy.greater(_x0*(_x1*share - hold_s) - _x5*queueing, 0))),numpy.logical_and.reduce((numpy.greater(_x5, hold_s),numpy.greater(_x0*(_x1*share - hold_s) - hold_s*queueing, 0))))),numpy.logical_or.reduce((numpy.logical_and.reduce((numpy.less_equal(_x5, hold_s),numpy.equal(_x0*(_x1*share - hold_s) - _x5*queueing, 0))),numpy.logical_and.reduce((numpy.greater(_x5, hold_s),numpy.equal(_x0*(_x1*share - hold_s) - hold_s*queueing, 0))))),True], [0,1/2,1], default=numpy.nan))


def lock_wait_quantile__by__share(share, rate_per_s, hold_s, queueing):
    _x0 = 1 - queueing
    _x1 = rate_per_s**(-1.0)
    _x2 = 1 - share
    _x3 = _x1*numpy.log(_x2/(-hold_s*queueing*rate_per_s + 1))
    return (-_x0*_x1 - _x1*queueing*(numpy.select([numpy.greater(_x3 - hold_s, 0),numpy.equal(_x3 - hold_s, 0),True], [0,1/2,1], default=numpy.nan))/_x2)*(numpy.select([numpy.logical_or.reduce((numpy.logical_and.reduce((numpy.less_equal(_x3, hold_s),numpy.greater(_x0*(_x1*share - hold_s) - _x3*queueing, 0))),numpy.logical_and.reduce((numpy.greater(_x3, hold_s),numpy.greater(_x0*(_x1*share - hold_s) - hold_s*queueing, 0))))),numpy.logical_or.reduce((numpy.logical_and.reduce((numpy.less_equal(_x3, hold_s),numpy.equal(_x0*(_x1*share - hold_s) - _x3*queueing, 0))),numpy.logical_and.reduce((numpy.greater(_x3, hold_s),numpy.equal(_x0*(_x1*share - hold_s) - hold_s*queueing, 0))))),True], [0,1/2,1], default=numpy.nan))


def missed_flushes__by__rate_per_s(rate_per_s, same_page_fraction, window_s):
    _x0 = rate_per_s*same_page_fraction*window_s
    _x1 = numpy.exp(-_x0)
    return _x0*_x1 - _x1 + 1


def missed_flushes__by__same_page_fraction(rate_per_s, same_page_fraction, window_s):
    return rate_per_s**2*window_s*numpy.exp(-rate_per_s*same_page_fraction*window_s)


def missed_flushes__by__window_s(rate_per_s, same_page_fraction, window_s):
    return rate_per_s**2*same_page_fraction*numpy.exp(-rate_per_s*same_page_fraction*window_s)


def spte_events__by__kvm_zaps_per_s(rate_per_s, kvm_zaps_per_s):
    return 1


def spte_events__by__rate_per_s(rate_per_s, kvm_zaps_per_s):
    return 1


def precise_events__by__overlap_fraction(rate_per_s, overlap_fraction):
    return rate_per_s


def precise_events__by__rate_per_s(rate_per_s, overlap_fraction):
    return overlap_fraction


def coalesced_batch__by__flush_s(rate_per_s, flush_s):
    return rate_per_s - rate_per_s*numpy.exp(-flush_s*rate_per_s)


def coalesced_batch__by__rate_per_s(rate_per_s, flush_s):
    return flush_s - flush_s*numpy.exp(-flush_s*rate_per_s)


def coalesced_busy__by__flush_s(rate_per_s, flush_s):
    _x0 = flush_s*rate_per_s
    _x1 = numpy.exp(-_x0)
    _x2 = _x0 + _x1
    return _x0*(_x1*rate_per_s - rate_per_s)/_x2**2 + rate_per_s/_x2


def coalesced_busy__by__rate_per_s(rate_per_s, flush_s):
    _x0 = flush_s*rate_per_s
    _x1 = numpy.exp(-_x0)
    _x2 = _x0 + _x1
    return _x0*(_x1*flush_s - flush_s)/_x2**2 + flush_s/_x2


def coalesced_latency__by__flush_s(rate_per_s, flush_s):
    _x0 = flush_s*rate_per_s
    _x1 = numpy.exp(-_x0)
    _x2 = _x0 + _x1
    return _x0/_x2 + 1 + (1/2)*flush_s**2*rate_per_s*(_x1*rate_per_s - rate_per_s)/_x2**2


def coalesced_latency__by__rate_per_s(rate_per_s, flush_s):
    _x0 = flush_s*rate_per_s
    _x1 = numpy.exp(-_x0)
    _x2 = _x0 + _x1
    _x3 = (1/2)*flush_s**2
    return _x3/_x2 + _x3*rate_per_s*(_x1*flush_s - flush_s)/_x2**2


def queued_latency__by__flush_s(rate_per_s, flush_s):
    _x0 = 2*flush_s*rate_per_s
    _x1 = 2 - _x0
    return _x0/_x1 + 1 + 2*flush_s**2*rate_per_s**2/_x1**2


def queued_latency__by__rate_per_s(rate_per_s, flush_s):
    _x0 = 2*rate_per_s
    _x1 = -_x0*flush_s + 2
    return _x0*flush_s**3/_x1**2 + flush_s**2/_x1


def deferred_rate__by__delay_s(rate_per_s, delay_s):
    return -rate_per_s**2/(delay_s*rate_per_s + 1)**2


def deferred_rate__by__rate_per_s(rate_per_s, delay_s):
    _x0 = delay_s*rate_per_s
    _x1 = _x0 + 1
    return -_x0/_x1**2 + _x1**(-1.0)


def closed_rate__by__cycle_flush_s(threads, event_fraction, events_per_cycle, sleep_s, cycle_flush_s):
    return -event_fraction**2*events_per_cycle*threads/(cycle_flush_s*event_fraction + sleep_s)**2


def closed_rate__by__event_fraction(threads, event_fraction, events_per_cycle, sleep_s, cycle_flush_s):
    _x0 = cycle_flush_s*event_fraction
    _x1 = _x0 + sleep_s
    return -_x0*events_per_cycle*threads/_x1**2 + events_per_cycle*threads/_x1


def closed_rate__by__events_per_cycle(threads, event_fraction, events_per_cycle, sleep_s, cycle_flush_s):
    return event_fraction*threads/(cycle_flush_s*event_fraction + sleep_s)


def closed_rate__by__sleep_s(threads, event_fraction, events_per_cycle, sleep_s, cycle_flush_s):
    return -event_fraction*events_per_cycle*threads/(cycle_flush_s*event_fraction + sleep_s)**2


def closed_rate__by__threads(threads, event_fraction, events_per_cycle, sleep_s, cycle_flush_s):
    return event_fraction*events_per_cycle/(cycle_flush_s*event_fraction + sleep_s)


def numa_rate__by__event_flush_s(event_fraction, flushes_per_pass, numa_scan_period_s, numa_limiter_factor, event_flush_s, vcpus):
    _x0 = vcpus**(-1.0)
    _x1 = event_flush_s*flushes_per_pass*numa_limiter_factor + numa_scan_period_s
    return -_x0*event_fraction*flushes_per_pass**2*numa_limiter_factor*(numpy.select([numpy.less(_x0*_x1 - numa_scan_period_s, 0),numpy.equal(_x0*_x1 - numa_scan_period_s, 0),True], [0,1/2,1], default=numpy.nan))/numpy.maximum(numa_scan_period_s, _x0*_x1)**2


def numa_rate__by__event_fraction(event_fraction, flushes_per_pass, numa_scan_period_s, numa_limiter_factor, event_flush_s, vcpus):
    return flushes_per_pass/numpy.maximum(numa_scan_period_s, (event_flush_s*flushes_per_pass*numa_limiter_factor + numa_scan_period_s)/vcpus)


def numa_rate__by__flushes_per_pass(event_fraction, flushes_per_pass, numa_scan_period_s, numa_limiter_factor, event_flush_s, vcpus):
    _x0 = vcpus**(-1.0)
    _x1 = event_flush_s*flushes_per_pass*numa_limiter_factor
    _x2 = _x1 + numa_scan_period_s
    _x3 = numpy.maximum(numa_scan_period_s, _x0*_x2)
    return -_x0*_x1*event_fraction*(numpy.select([numpy.less(_x0*_x2 - numa_scan_period_s, 0),numpy.equal(_x0*_x2 - numa_scan_period_s, 0),True], [0,1/2,1], default=numpy.nan))/_x3**2 + event_fraction/_x3


def numa_rate__by__numa_limiter_factor(event_fraction, flushes_per_pass, numa_scan_period_s, numa_limiter_factor, event_flush_s, vcpus):
    _x0 = vcpus**(-1.0)
    _x1 = event_flush_s*flushes_per_pass*numa_limiter_factor + numa_scan_period_s
    return -_x0*event_flush_s*event_fraction*flushes_per_pass**2*(numpy.select([numpy.less(_x0*_x1 - numa_scan_period_s, 0),numpy.equal(_x0*_x1 - numa_scan_period_s, 0),True], [0,1/2,1], default=numpy.nan))/numpy.maximum(numa_scan_period_s, _x0*_x1)**2


def numa_rate__by__numa_scan_period_s(event_fraction, flushes_per_pass, numa_scan_period_s, numa_limiter_factor, event_flush_s, vcpus):
    _x0 = vcpus**(-1.0)
    _x1 = _x0*(event_flush_s*flushes_per_pass*numa_limiter_factor + numa_scan_period_s)
    _x2 = -_x1 + numa_scan_period_s
    return event_fraction*flushes_per_pass*(-_x0*(numpy.select([numpy.greater(_x2, 0),numpy.equal(_x2, 0),True], [0,1/2,1], default=numpy.nan)) - (numpy.select([numpy.less(_x2, 0),numpy.equal(_x2, 0),True], [0,1/2,1], default=numpy.nan)))/numpy.maximum(_x1, numa_scan_period_s)**2


def numa_rate__by__vcpus(event_fraction, flushes_per_pass, numa_scan_period_s, numa_limiter_factor, event_flush_s, vcpus):
    _x0 = event_flush_s*flushes_per_pass*numa_limiter_factor + numa_scan_period_s
    _x1 = vcpus**(-1.0)
    return _x0*event_fraction*flushes_per_pass*(numpy.select([numpy.less(_x0*_x1 - numa_scan_period_s, 0),numpy.equal(_x0*_x1 - numa_scan_period_s, 0),True], [0,1/2,1], default=numpy.nan))/(vcpus**2*numpy.maximum(numa_scan_period_s, _x0*_x1)**2)


def numa_rate_at_least__by__event_flush_s(event_fraction, flushes_per_pass, numa_scan_period_s, numa_limiter_factor, event_flush_s, vcpus):
    _x0 = vcpus**(-1.0)
    _x1 = event_flush_s*flushes_per_pass*numa_limiter_factor + numa_scan_period_s
    return -_x0*event_fraction*flushes_per_pass**2*numa_limiter_factor*(numpy.select([numpy.less(_x0*_x1 - numa_scan_period_s, 0),numpy.equal(_x0*_x1 - numa_scan_period_s, 0),True], [0,1/2,1], default=numpy.nan))/(2*_x0*numa_scan_period_s + numpy.maximum(numa_scan_period_s, _x0*_x1))**2


def numa_rate_at_least__by__event_fraction(event_fraction, flushes_per_pass, numa_scan_period_s, numa_limiter_factor, event_flush_s, vcpus):
    _x0 = vcpus**(-1.0)
    return flushes_per_pass/(2*_x0*numa_scan_period_s + numpy.maximum(numa_scan_period_s, _x0*(event_flush_s*flushes_per_pass*numa_limiter_factor + numa_scan_period_s)))


def numa_rate_at_least__by__flushes_per_pass(event_fraction, flushes_per_pass, numa_scan_period_s, numa_limiter_factor, event_flush_s, vcpus):
    _x0 = vcpus**(-1.0)
    _x1 = event_flush_s*flushes_per_pass*numa_limiter_factor
    _x2 = _x1 + numa_scan_period_s
    _x3 = 2*_x0*numa_scan_period_s + numpy.maximum(numa_scan_period_s, _x0*_x2)
    return -_x0*_x1*event_fraction*(numpy.select([numpy.less(_x0*_x2 - numa_scan_period_s, 0),numpy.equal(_x0*_x2 - numa_scan_period_s, 0),True], [0,1/2,1], default=numpy.nan))/_x3**2 + event_fraction/_x3


def numa_rate_at_least__by__numa_limiter_factor(event_fraction, flushes_per_pass, numa_scan_period_s, numa_limiter_factor, event_flush_s, vcpus):
    _x0 = vcpus**(-1.0)
    _x1 = event_flush_s*flushes_per_pass*numa_limiter_factor + numa_scan_period_s
    return -_x0*event_flush_s*event_fraction*flushes_per_pass**2*(numpy.select([numpy.less(_x0*_x1 - numa_scan_period_s, 0),numpy.equal(_x0*_x1 - numa_scan_period_s, 0),True], [0,1/2,1], default=numpy.nan))/(2*_x0*numa_scan_period_s + numpy.maximum(numa_scan_period_s, _x0*_x1))**2


def numa_rate_at_least__by__numa_scan_period_s(event_fraction, flushes_per_pass, numa_scan_period_s, numa_limiter_factor, event_flush_s, vcpus):
    _x0 = vcpus**(-1.0)
    _x1 = 2*_x0
    _x2 = _x0*(event_flush_s*flushes_per_pass*numa_limiter_factor + numa_scan_period_s)
    _x3 = -_x2 + numa_scan_period_s
    return event_fraction*flushes_per_pass*(-_x0*(numpy.select([numpy.greater(_x3, 0),numpy.equal(_x3, 0),True], [0,1/2,1], default=numpy.nan)) - _x1 - (numpy.select([numpy.less(_x3, 0),numpy.equal(_x3, 0),True], [0,1/2,1], default=numpy.nan)))/(_x1*numa_scan_period_s + numpy.maximum(_x2, numa_scan_period_s))**2


def numa_rate_at_least__by__vcpus(event_fraction, flushes_per_pass, numa_scan_period_s, numa_limiter_factor, event_flush_s, vcpus):
    _x0 = vcpus**(-1.0)
    _x1 = 2*numa_scan_period_s
    _x2 = event_flush_s*flushes_per_pass*numa_limiter_factor + numa_scan_period_s
    _x3 = vcpus**(-2.0)
    return event_fraction*flushes_per_pass*(_x1*_x3 + _x2*_x3*(numpy.select([numpy.less(_x0*_x2 - numa_scan_period_s, 0),numpy.equal(_x0*_x2 - numa_scan_period_s, 0),True], [0,1/2,1], default=numpy.nan)))/(_x0*_x1 + numpy.maximum(numa_scan_period_s, _x0*_x2))**2


def host_loss__by__logical_cpus(rate_per_s, stolen_cpu_s_per_event, logical_cpus):
    return (numpy.select([numpy.greater(logical_cpus - rate_per_s*stolen_cpu_s_per_event, 0),numpy.equal(logical_cpus - rate_per_s*stolen_cpu_s_per_event, 0),True], [0,1/2,1], default=numpy.nan))


def host_loss__by__rate_per_s(rate_per_s, stolen_cpu_s_per_event, logical_cpus):
    return stolen_cpu_s_per_event*(numpy.select([numpy.less(logical_cpus - rate_per_s*stolen_cpu_s_per_event, 0),numpy.equal(logical_cpus - rate_per_s*stolen_cpu_s_per_event, 0),True], [0,1/2,1], default=numpy.nan))


def host_loss__by__stolen_cpu_s_per_event(rate_per_s, stolen_cpu_s_per_event, logical_cpus):
    return rate_per_s*(numpy.select([numpy.less(logical_cpus - rate_per_s*stolen_cpu_s_per_event, 0),numpy.equal(logical_cpus - rate_per_s*stolen_cpu_s_per_event, 0),True], [0,1/2,1], default=numpy.nan))


def rate_at_loss__by__logical_cpus(lost_fraction, logical_cpus, stolen_cpu_s_per_event):
    return lost_fraction/stolen_cpu_s_per_event


def rate_at_loss__by__lost_fraction(lost_fraction, logical_cpus, stolen_cpu_s_per_event):
    return logical_cpus/stolen_cpu_s_per_event


def rate_at_loss__by__stolen_cpu_s_per_event(lost_fraction, logical_cpus, stolen_cpu_s_per_event):
    return -logical_cpus*lost_fraction/stolen_cpu_s_per_event**2


def gmem_release__by__page_flush_s(pages, rmpupdate_s, page_flush_s):
    return pages


def gmem_release__by__pages(pages, rmpupdate_s, page_flush_s):
    return page_flush_s + rmpupdate_s


def gmem_release__by__rmpupdate_s(pages, rmpupdate_s, page_flush_s):
    return pages


def page_chain__by__page_operation_s(pages, page_operation_s):
    return pages


def page_chain__by__pages(pages, page_operation_s):
    return page_operation_s


def stolen_whole_cache__by__broadcast_s(cpus_stopped, flush_s, broadcast_s, cpus_outside, memory_bound_fraction, written_bytes_per_socket, writeback_bytes_per_s, reused_fraction, evicted_bytes, cpu_read_bytes_per_s):
    return 1


def stolen_whole_cache__by__cpu_read_bytes_per_s(cpus_stopped, flush_s, broadcast_s, cpus_outside, memory_bound_fraction, written_bytes_per_socket, writeback_bytes_per_s, reused_fraction, evicted_bytes, cpu_read_bytes_per_s):
    return -evicted_bytes*reused_fraction/cpu_read_bytes_per_s**2


def stolen_whole_cache__by__cpus_outside(cpus_stopped, flush_s, broadcast_s, cpus_outside, memory_bound_fraction, written_bytes_per_socket, writeback_bytes_per_s, reused_fraction, evicted_bytes, cpu_read_bytes_per_s):
    return memory_bound_fraction*written_bytes_per_socket/writeback_bytes_per_s


def stolen_whole_cache__by__cpus_stopped(cpus_stopped, flush_s, broadcast_s, cpus_outside, memory_bound_fraction, written_bytes_per_socket, writeback_bytes_per_s, reused_fraction, evicted_bytes, cpu_read_bytes_per_s):
    return flush_s


def stolen_whole_cache__by__evicted_bytes(cpus_stopped, flush_s, broadcast_s, cpus_outside, memory_bound_fraction, written_bytes_per_socket, writeback_bytes_per_s, reused_fraction, evicted_bytes, cpu_read_bytes_per_s):
    return reused_fraction/cpu_read_bytes_per_s


def stolen_whole_cache__by__flush_s(cpus_stopped, flush_s, broadcast_s, cpus_outside, memory_bound_fraction, written_bytes_per_socket, writeback_bytes_per_s, reused_fraction, evicted_bytes, cpu_read_bytes_per_s):
    return cpus_stopped


def stolen_whole_cache__by__memory_bound_fraction(cpus_stopped, flush_s, broadcast_s, cpus_outside, memory_bound_fraction, written_bytes_per_socket, writeback_bytes_per_s, reused_fraction, evicted_bytes, cpu_read_bytes_per_s):
    return cpus_outside*written_bytes_per_socket/writeback_bytes_per_s


def stolen_whole_cache__by__reused_fraction(cpus_stopped, flush_s, broadcast_s, cpus_outside, memory_bound_fraction, written_bytes_per_socket, writeback_bytes_per_s, reused_fraction, evicted_bytes, cpu_read_bytes_per_s):
    return evicted_bytes/cpu_read_bytes_per_s


def stolen_whole_cache__by__writeback_bytes_per_s(cpus_stopped, flush_s, broadcast_s, cpus_outside, memory_bound_fraction, written_bytes_per_socket, writeback_bytes_per_s, reused_fraction, evicted_bytes, cpu_read_bytes_per_s):
    return -cpus_outside*memory_bound_fraction*written_bytes_per_socket/writeback_bytes_per_s**2


def stolen_whole_cache__by__written_bytes_per_socket(cpus_stopped, flush_s, broadcast_s, cpus_outside, memory_bound_fraction, written_bytes_per_socket, writeback_bytes_per_s, reused_fraction, evicted_bytes, cpu_read_bytes_per_s):
    return cpus_outside*memory_bound_fraction/writeback_bytes_per_s


def stolen_range__by__cpu_read_bytes_per_s(time_s, reused_fraction, evicted_bytes, cpu_read_bytes_per_s):
    return -evicted_bytes*reused_fraction/cpu_read_bytes_per_s**2


def stolen_range__by__evicted_bytes(time_s, reused_fraction, evicted_bytes, cpu_read_bytes_per_s):
    return reused_fraction/cpu_read_bytes_per_s


def stolen_range__by__reused_fraction(time_s, reused_fraction, evicted_bytes, cpu_read_bytes_per_s):
    return evicted_bytes/cpu_read_bytes_per_s


def stolen_range__by__time_s(time_s, reused_fraction, evicted_bytes, cpu_read_bytes_per_s):
    return 1


def break_even_range__by__line_bytes(whole_cache_s, range_start_s, line_s, line_bytes):
    return (-range_start_s + whole_cache_s)/line_s


def break_even_range__by__line_s(whole_cache_s, range_start_s, line_s, line_bytes):
    return -line_bytes*(-range_start_s + whole_cache_s)/line_s**2


def break_even_range__by__range_start_s(whole_cache_s, range_start_s, line_s, line_bytes):
    return -line_bytes/line_s


def break_even_range__by__whole_cache_s(whole_cache_s, range_start_s, line_s, line_bytes):
    return line_bytes/line_s


def whole_cache_event__by__both_siblings(cpus_stopped, cpus_outside, memory_bound_fraction, writeback_bytes_per_s, reused_fraction, cpu_read_bytes_per_s, walk_start_s, llc_bytes_per_domain, l2_bytes_per_core, line_bytes, line_empty_s, line_valid_s, cores_flushing, serial_exponent, valid_exponent, smt_factor, both_siblings, valid_fraction, dirty_fraction, domain_writeback_bytes_per_s, domains_per_socket, broadcast_start_s, broadcast_per_cpu_s, sockets, invalidates):
    _x0 = dirty_fraction*valid_fraction*(cores_flushing*l2_bytes_per_core + llc_bytes_per_domain)
    _x1 = (l2_bytes_per_core + llc_bytes_per_domain)/line_bytes
    _x2 = cores_flushing**serial_exponent*smt_factor**both_siblings*(_x1*line_empty_s + walk_start_s)
    return _x2*cpus_stopped*numpy.log(smt_factor)*(numpy.select([numpy.less(-_x0*domains_per_socket/writeback_bytes_per_s + _x0/domain_writeback_bytes_per_s + _x1*cores_flushing**valid_exponent*line_valid_s*valid_fraction + _x2, 0),numpy.equal(-_x0*domains_per_socket/writeback_bytes_per_s + _x0/domain_writeback_bytes_per_s + _x1*cores_flushing**valid_exponent*line_valid_s*valid_fraction + _x2, 0),True], [0,1/2,1], default=numpy.nan))


def whole_cache_event__by__broadcast_per_cpu_s(cpus_stopped, cpus_outside, memory_bound_fraction, writeback_bytes_per_s, reused_fraction, cpu_read_bytes_per_s, walk_start_s, llc_bytes_per_domain, l2_bytes_per_core, line_bytes, line_empty_s, line_valid_s, cores_flushing, serial_exponent, valid_exponent, smt_factor, both_siblings, valid_fraction, dirty_fraction, domain_writeback_bytes_per_s, domains_per_socket, broadcast_start_s, broadcast_per_cpu_s, sockets, invalidates):
    return cpus_stopped - 1


def whole_cache_event__by__broadcast_start_s(cpus_stopped, cpus_outside, memory_bound_fraction, writeback_bytes_per_s, reused_fraction, cpu_read_bytes_per_s, walk_start_s, llc_bytes_per_domain, l2_bytes_per_core, line_bytes, line_empty_s, line_valid_s, cores_flushing, serial_exponent, valid_exponent, smt_factor, both_siblings, valid_fraction, dirty_fraction, domain_writeback_bytes_per_s, domains_per_socket, broadcast_start_s, broadcast_per_cpu_s, sockets, invalidates):
    return 1


def whole_cache_event__by__cores_flushing(cpus_stopped, cpus_outside, memory_bound_fraction, writeback_bytes_per_s, reused_fraction, cpu_read_bytes_per_s, walk_start_s, llc_bytes_per_domain, l2_bytes_per_core, line_bytes, line_empty_s, line_valid_s, cores_flushing, serial_exponent, valid_exponent, smt_factor, both_siblings, valid_fraction, dirty_fraction, domain_writeback_bytes_per_s, domains_per_socket, broadcast_start_s, broadcast_per_cpu_s, sockets, invalidates):
    _x0 = dirty_fraction*valid_fraction
    _x1 = _x0*domains_per_socket/writeback_bytes_per_s
    _x2 = _x1*l2_bytes_per_core
    _x3 = cores_flushing*l2_bytes_per_core + llc_bytes_per_domain
    _x4 = _x0/domain_writeback_bytes_per_s
    _x5 = (l2_bytes_per_core + llc_bytes_per_domain)/line_bytes
    _x6 = _x5*cores_flushing**valid_exponent*line_valid_s*valid_fraction
    _x7 = cores_flushing**serial_exponent*smt_factor**both_siblings*(_x5*line_empty_s + walk_start_s)
    _x8 = -_x1*_x3 + _x3*_x4 + _x6 + _x7
    _x9 = cores_flushing**(-1.0)
    return _x2*cpus_outside*memory_bound_fraction + cpus_stopped*(_x2*(numpy.select([numpy.greater(_x8, 0),numpy.equal(_x8, 0),True], [0,1/2,1], default=numpy.nan)) + (_x4*l2_bytes_per_core + _x6*_x9*valid_exponent + _x7*_x9*serial_exponent)*(numpy.select([numpy.less(_x8, 0),numpy.equal(_x8, 0),True], [0,1/2,1], default=numpy.nan))) + domains_per_socket*invalidates*l2_bytes_per_core*reused_fraction*sockets*valid_fraction/cpu_read_bytes_per_s


def whole_cache_event__by__cpu_read_bytes_per_s(cpus_stopped, cpus_outside, memory_bound_fraction, writeback_bytes_per_s, reused_fraction, cpu_read_bytes_per_s, walk_start_s, llc_bytes_per_domain, l2_bytes_per_core, line_bytes, line_empty_s, line_valid_s, cores_flushing, serial_exponent, valid_exponent, smt_factor, both_siblings, valid_fraction, dirty_fraction, domain_writeback_bytes_per_s, domains_per_socket, broadcast_start_s, broadcast_per_cpu_s, sockets, invalidates):
    return -domains_per_socket*invalidates*reused_fraction*sockets*valid_fraction*(cores_flushing*l2_bytes_per_core + llc_bytes_per_domain)/cpu_read_bytes_per_s**2


def whole_cache_event__by__cpus_outside(cpus_stopped, cpus_outside, memory_bound_fraction, writeback_bytes_per_s, reused_fraction, cpu_read_bytes_per_s, walk_start_s, llc_bytes_per_domain, l2_bytes_per_core, line_bytes, line_empty_s, line_valid_s, cores_flushing, serial_exponent, valid_exponent, smt_factor, both_siblings, valid_fraction, dirty_fraction, domain_writeback_bytes_per_s, domains_per_socket, broadcast_start_s, broadcast_per_cpu_s, sockets, invalidates):
    return dirty_fraction*domains_per_socket*memory_bound_fraction*valid_fraction*(cores_flushing*l2_bytes_per_core + llc_bytes_per_domain)/writeback_bytes_per_s


def whole_cache_event__by__cpus_stopped(cpus_stopped, cpus_outside, memory_bound_fraction, writeback_bytes_per_s, reused_fraction, cpu_read_bytes_per_s, walk_start_s, llc_bytes_per_domain, l2_bytes_per_core, line_bytes, line_empty_s, line_valid_s, cores_flushing, serial_exponent, valid_exponent, smt_factor, both_siblings, valid_fraction, dirty_fraction, domain_writeback_bytes_per_s, domains_per_socket, broadcast_start_s, broadcast_per_cpu_s, sockets, invalidates):
    _x0 = dirty_fraction*valid_fraction*(cores_flushing*l2_bytes_per_core + llc_bytes_per_domain)
    _x1 = (l2_bytes_per_core + llc_bytes_per_domain)/line_bytes
    return broadcast_per_cpu_s + numpy.maximum(_x0*domains_per_socket/writeback_bytes_per_s, _x0/domain_writeback_bytes_per_s + _x1*cores_flushing**valid_exponent*line_valid_s*valid_fraction + cores_flushing**serial_exponent*smt_factor**both_siblings*(_x1*line_empty_s + walk_start_s))


def whole_cache_event__by__dirty_fraction(cpus_stopped, cpus_outside, memory_bound_fraction, writeback_bytes_per_s, reused_fraction, cpu_read_bytes_per_s, walk_start_s, llc_bytes_per_domain, l2_bytes_per_core, line_bytes, line_empty_s, line_valid_s, cores_flushing, serial_exponent, valid_exponent, smt_factor, both_siblings, valid_fraction, dirty_fraction, domain_writeback_bytes_per_s, domains_per_socket, broadcast_start_s, broadcast_per_cpu_s, sockets, invalidates):
    _x0 = valid_fraction*(cores_flushing*l2_bytes_per_core + llc_bytes_per_domain)
    _x1 = _x0*domains_per_socket/writeback_bytes_per_s
    _x2 = _x0/domain_writeback_bytes_per_s
    _x3 = (l2_bytes_per_core + llc_bytes_per_domain)/line_bytes
    _x4 = -_x1*dirty_fraction + _x2*dirty_fraction + _x3*cores_flushing**valid_exponent*line_valid_s*valid_fraction + cores_flushing**serial_exponent*smt_factor**both_siblings*(_x3*line_empty_s + walk_start_s)
    return _x1*cpus_outside*memory_bound_fraction + cpus_stopped*(_x1*(numpy.select([numpy.greater(_x4, 0),numpy.equal(_x4, 0),True], [0,1/2,1], default=numpy.nan)) + _x2*(numpy.select([numpy.less(_x4, 0),numpy.equal(_x4, 0),True], [0,1/2,1], default=numpy.nan)))


def whole_cache_event__by__domain_writeback_bytes_per_s(cpus_stopped, cpus_outside, memory_bound_fraction, writeback_bytes_per_s, reused_fraction, cpu_read_bytes_per_s, walk_start_s, llc_bytes_per_domain, l2_bytes_per_core, line_bytes, line_empty_s, line_valid_s, cores_flushing, serial_exponent, valid_exponent, smt_factor, both_siblings, valid_fraction, dirty_fraction, domain_writeback_bytes_per_s, domains_per_socket, broadcast_start_s, broadcast_per_cpu_s, sockets, invalidates):
    _x0 = dirty_fraction*valid_fraction*(cores_flushing*l2_bytes_per_core + llc_bytes_per_domain)
    _x1 = (l2_bytes_per_core + llc_bytes_per_domain)/line_bytes
    return -_x0*cpus_stopped*(numpy.select([numpy.less(-_x0*domains_per_socket/writeback_bytes_per_s + _x0/domain_writeback_bytes_per_s + _x1*cores_flushing**valid_exponent*line_valid_s*valid_fraction + cores_flushing**serial_exponent*smt_factor**both_siblings*(_x1*line_empty_s + walk_start_s), 0),numpy.equal(-_x0*domains_per_socket/writeback_bytes_per_s + _x0/domain_writeback_bytes_per_s + _x1*cores_flushing**valid_exponent*line_valid_s*valid_fraction + cores_flushing**serial_exponent*smt_factor**both_siblings*(_x1*line_empty_s + walk_start_s), 0),True], [0,1/2,1], default=numpy.nan))/domain_writeback_bytes_per_s**2


def whole_cache_event__by__domains_per_socket(cpus_stopped, cpus_outside, memory_bound_fraction, writeback_bytes_per_s, reused_fraction, cpu_read_bytes_per_s, walk_start_s, llc_bytes_per_domain, l2_bytes_per_core, line_bytes, line_empty_s, line_valid_s, cores_flushing, serial_exponent, valid_exponent, smt_factor, both_siblings, valid_fraction, dirty_fraction, domain_writeback_bytes_per_s, domains_per_socket, broadcast_start_s, broadcast_per_cpu_s, sockets, invalidates):
    _x0 = cores_flushing*l2_bytes_per_core + llc_bytes_per_domain
    _x1 = _x0*valid_fraction
    _x2 = writeback_bytes_per_s**(-1.0)
    _x3 = _x1*dirty_fraction
    _x4 = _x2*_x3
    _x5 = (l2_bytes_per_core + llc_bytes_per_domain)/line_bytes
    return _x1*invalidates*reused_fraction*sockets/cpu_read_bytes_per_s + _x4*cpus_outside*memory_bound_fraction + _x4*cpus_stopped*(numpy.select([numpy.greater(-_x0*_x2*dirty_fraction*domains_per_socket*valid_fraction + _x3/domain_writeback_bytes_per_s + _x5*cores_flushing**valid_exponent*line_valid_s*valid_fraction + cores_flushing**serial_exponent*smt_factor**both_siblings*(_x5*line_empty_s + walk_start_s), 0),numpy.equal(-_x0*_x2*dirty_fraction*domains_per_socket*valid_fraction + _x3/domain_writeback_bytes_per_s + _x5*cores_flushing**valid_exponent*line_valid_s*valid_fraction + cores_flushing**serial_exponent*smt_factor**both_siblings*(_x5*line_empty_s + walk_start_s), 0),True], [0,1/2,1], default=numpy.nan))


def whole_cache_event__by__invalidates(cpus_stopped, cpus_outside, memory_bound_fraction, writeback_bytes_per_s, reused_fraction, cpu_read_bytes_per_s, walk_start_s, llc_bytes_per_domain, l2_bytes_per_core, line_bytes, line_empty_s, line_valid_s, cores_flushing, serial_exponent, valid_exponent, smt_factor, both_siblings, valid_fraction, dirty_fraction, domain_writeback_bytes_per_s, domains_per_socket, broadcast_start_s, broadcast_per_cpu_s, sockets, invalidates):
    return domains_per_socket*reused_fraction*sockets*valid_fraction*(cores_flushing*l2_bytes_per_core + llc_bytes_per_domain)/cpu_read_bytes_per_s


def whole_cache_event__by__l2_bytes_per_core(cpus_stopped, cpus_outside, memory_bound_fraction, writeback_bytes_per_s, reused_fraction, cpu_read_bytes_per_s, walk_start_s, llc_bytes_per_domain, l2_bytes_per_core, line_bytes, line_empty_s, line_valid_s, cores_flushing, serial_exponent, valid_exponent, smt_factor, both_siblings, valid_fraction, dirty_fraction, domain_writeback_bytes_per_s, domains_per_socket, broadcast_start_s, broadcast_per_cpu_s, sockets, invalidates):
    _x0 = dirty_fraction*valid_fraction
    _x1 = _x0*domains_per_socket/writeback_bytes_per_s
    _x2 = _x1*cores_flushing
    _x3 = cores_flushing*l2_bytes_per_core + llc_bytes_per_domain
    _x4 = _x0/domain_writeback_bytes_per_s
    _x5 = l2_bytes_per_core + llc_bytes_per_domain
    _x6 = line_bytes**(-1.0)
    _x7 = _x6*cores_flushing**valid_exponent*line_valid_s*valid_fraction
    _x8 = _x6*line_empty_s
    _x9 = cores_flushing**serial_exponent*smt_factor**both_siblings
    _x10 = -_x1*_x3 + _x3*_x4 + _x5*_x7 + _x9*(_x5*_x8 + walk_start_s)
    return _x2*cpus_outside*memory_bound_fraction + cores_flushing*domains_per_socket*invalidates*reused_fraction*sockets*valid_fraction/cpu_read_bytes_per_s + cpus_stopped*(_x2*(numpy.select([numpy.greater(_x10, 0),numpy.equal(_x10, 0),True], [0,1/2,1], default=numpy.nan)) + (_x4*cores_flushing + _x7 + _x8*_x9)*(numpy.select([numpy.less(_x10, 0),numpy.equal(_x10, 0),True], [0,1/2,1], default=numpy.nan)))


def whole_cache_event__by__line_bytes(cpus_stopped, cpus_outside, memory_bound_fraction, writeback_bytes_per_s, reused_fraction, cpu_read_bytes_per_s, walk_start_s, llc_bytes_per_domain, l2_bytes_per_core, line_bytes, line_empty_s, line_valid_s, cores_flushing, serial_exponent, valid_exponent, smt_factor, both_siblings, valid_fraction, dirty_fraction, domain_writeback_bytes_per_s, domains_per_socket, broadcast_start_s, broadcast_per_cpu_s, sockets, invalidates):
    _x0 = line_bytes**(-2.0)
    _x1 = l2_bytes_per_core + llc_bytes_per_domain
    _x2 = _x1*cores_flushing**valid_exponent*line_valid_s*valid_fraction
    _x3 = _x1*line_empty_s
    _x4 = cores_flushing**serial_exponent*smt_factor**both_siblings
    _x5 = dirty_fraction*valid_fraction*(cores_flushing*l2_bytes_per_core + llc_bytes_per_domain)
    _x6 = line_bytes**(-1.0)
    return cpus_stopped*(-_x0*_x2 - _x0*_x3*_x4)*(numpy.select([numpy.less(_x2*_x6 + _x4*(_x3*_x6 + walk_start_s) - _x5*domains_per_socket/writeback_bytes_per_s + _x5/domain_writeback_bytes_per_s, 0),numpy.equal(_x2*_x6 + _x4*(_x3*_x6 + walk_start_s) - _x5*domains_per_socket/writeback_bytes_per_s + _x5/domain_writeback_bytes_per_s, 0),True], [0,1/2,1], default=numpy.nan))


def whole_cache_event__by__line_empty_s(cpus_stopped, cpus_outside, memory_bound_fraction, writeback_bytes_per_s, reused_fraction, cpu_read_bytes_per_s, walk_start_s, llc_bytes_per_domain, l2_bytes_per_core, line_bytes, line_empty_s, line_valid_s, cores_flushing, serial_exponent, valid_exponent, smt_factor, both_siblings, valid_fraction, dirty_fraction, domain_writeback_bytes_per_s, domains_per_socket, broadcast_start_s, broadcast_per_cpu_s, sockets, invalidates):
    _x0 = dirty_fraction*valid_fraction*(cores_flushing*l2_bytes_per_core + llc_bytes_per_domain)
    _x1 = (l2_bytes_per_core + llc_bytes_per_domain)/line_bytes
    _x2 = cores_flushing**serial_exponent*smt_factor**both_siblings
    return _x1*_x2*cpus_stopped*(numpy.select([numpy.less(-_x0*domains_per_socket/writeback_bytes_per_s + _x0/domain_writeback_bytes_per_s + _x1*cores_flushing**valid_exponent*line_valid_s*valid_fraction + _x2*(_x1*line_empty_s + walk_start_s), 0),numpy.equal(-_x0*domains_per_socket/writeback_bytes_per_s + _x0/domain_writeback_bytes_per_s + _x1*cores_flushing**valid_exponent*line_valid_s*valid_fraction + _x2*(_x1*line_empty_s + walk_start_s), 0),True], [0,1/2,1], default=numpy.nan))


def whole_cache_event__by__line_valid_s(cpus_stopped, cpus_outside, memory_bound_fraction, writeback_bytes_per_s, reused_fraction, cpu_read_bytes_per_s, walk_start_s, llc_bytes_per_domain, l2_bytes_per_core, line_bytes, line_empty_s, line_valid_s, cores_flushing, serial_exponent, valid_exponent, smt_factor, both_siblings, valid_fraction, dirty_fraction, domain_writeback_bytes_per_s, domains_per_socket, broadcast_start_s, broadcast_per_cpu_s, sockets, invalidates):
    _x0 = dirty_fraction*valid_fraction*(cores_flushing*l2_bytes_per_core + llc_bytes_per_domain)
    _x1 = (l2_bytes_per_core + llc_bytes_per_domain)/line_bytes
    _x2 = _x1*cores_flushing**valid_exponent*valid_fraction
    return _x2*cpus_stopped*(numpy.select([numpy.less(-_x0*domains_per_socket/writeback_bytes_per_s + _x0/domain_writeback_bytes_per_s + _x2*line_valid_s + cores_flushing**serial_exponent*smt_factor**both_siblings*(_x1*line_empty_s + walk_start_s), 0),numpy.equal(-_x0*domains_per_socket/writeback_bytes_per_s + _x0/domain_writeback_bytes_per_s + _x2*line_valid_s + cores_flushing**serial_exponent*smt_factor**both_siblings*(_x1*line_empty_s + walk_start_s), 0),True], [0,1/2,1], default=numpy.nan))


def whole_cache_event__by__llc_bytes_per_domain(cpus_stopped, cpus_outside, memory_bound_fraction, writeback_bytes_per_s, reused_fraction, cpu_read_bytes_per_s, walk_start_s, llc_bytes_per_domain, l2_bytes_per_core, line_bytes, line_empty_s, line_valid_s, cores_flushing, serial_exponent, valid_exponent, smt_factor, both_siblings, valid_fraction, dirty_fraction, domain_writeback_bytes_per_s, domains_per_socket, broadcast_start_s, broadcast_per_cpu_s, sockets, invalidates):
    _x0 = dirty_fraction*valid_fraction
    _x1 = _x0*domains_per_socket/writeback_bytes_per_s
    _x2 = cores_flushing*l2_bytes_per_core + llc_bytes_per_domain
    _x3 = _x0/domain_writeback_bytes_per_s
    _x4 = l2_bytes_per_core + llc_bytes_per_domain
    _x5 = line_bytes**(-1.0)
    _x6 = _x5*cores_flushing**valid_exponent*line_valid_s*valid_fraction
    _x7 = _x5*line_empty_s
    _x8 = cores_flushing**serial_exponent*smt_factor**both_siblings
    _x9 = -_x1*_x2 + _x2*_x3 + _x4*_x6 + _x8*(_x4*_x7 + walk_start_s)
    return _x1*cpus_outside*memory_bound_fraction + cpus_stopped*(_x1*(numpy.select([numpy.greater(_x9, 0),numpy.equal(_x9, 0),True], [0,1/2,1], default=numpy.nan)) + (_x3 + _x6 + _x7*_x8)*(numpy.select([numpy.less(_x9, 0),numpy.equal(_x9, 0),True], [0,1/2,1], default=numpy.nan))) + domains_per_socket*invalidates*reused_fraction*sockets*valid_fraction/cpu_read_bytes_per_s


def whole_cache_event__by__memory_bound_fraction(cpus_stopped, cpus_outside, memory_bound_fraction, writeback_bytes_per_s, reused_fraction, cpu_read_bytes_per_s, walk_start_s, llc_bytes_per_domain, l2_bytes_per_core, line_bytes, line_empty_s, line_valid_s, cores_flushing, serial_exponent, valid_exponent, smt_factor, both_siblings, valid_fraction, dirty_fraction, domain_writeback_bytes_per_s, domains_per_socket, broadcast_start_s, broadcast_per_cpu_s, sockets, invalidates):
    return cpus_outside*dirty_fraction*domains_per_socket*valid_fraction*(cores_flushing*l2_bytes_per_core + llc_bytes_per_domain)/writeback_bytes_per_s


def whole_cache_event__by__reused_fraction(cpus_stopped, cpus_outside, memory_bound_fraction, writeback_bytes_per_s, reused_fraction, cpu_read_bytes_per_s, walk_start_s, llc_bytes_per_domain, l2_bytes_per_core, line_bytes, line_empty_s, line_valid_s, cores_flushing, serial_exponent, valid_exponent, smt_factor, both_siblings, valid_fraction, dirty_fraction, domain_writeback_bytes_per_s, domains_per_socket, broadcast_start_s, broadcast_per_cpu_s, sockets, invalidates):
    return domains_per_socket*invalidates*sockets*valid_fraction*(cores_flushing*l2_bytes_per_core + llc_bytes_per_domain)/cpu_read_bytes_per_s


def whole_cache_event__by__serial_exponent(cpus_stopped, cpus_outside, memory_bound_fraction, writeback_bytes_per_s, reused_fraction, cpu_read_bytes_per_s, walk_start_s, llc_bytes_per_domain, l2_bytes_per_core, line_bytes, line_empty_s, line_valid_s, cores_flushing, serial_exponent, valid_exponent, smt_factor, both_siblings, valid_fraction, dirty_fraction, domain_writeback_bytes_per_s, domains_per_socket, broadcast_start_s, broadcast_per_cpu_s, sockets, invalidates):
    _x0 = dirty_fraction*valid_fraction*(cores_flushing*l2_bytes_per_core + llc_bytes_per_domain)
    _x1 = (l2_bytes_per_core + llc_bytes_per_domain)/line_bytes
    _x2 = cores_flushing**serial_exponent*smt_factor**both_siblings*(_x1*line_empty_s + walk_start_s)
    return _x2*cpus_stopped*numpy.log(cores_flushing)*(numpy.select([numpy.less(-_x0*domains_per_socket/writeback_bytes_per_s + _x0/domain_writeback_bytes_per_s + _x1*cores_flushing**valid_exponent*line_valid_s*valid_fraction + _x2, 0),numpy.equal(-_x0*domains_per_socket/writeback_bytes_per_s + _x0/domain_writeback_bytes_per_s + _x1*cores_flushing**valid_exponent*line_valid_s*valid_fraction + _x2, 0),True], [0,1/2,1], default=numpy.nan))


def whole_cache_event__by__smt_factor(cpus_stopped, cpus_outside, memory_bound_fraction, writeback_bytes_per_s, reused_fraction, cpu_read_bytes_per_s, walk_start_s, llc_bytes_per_domain, l2_bytes_per_core, line_bytes, line_empty_s, line_valid_s, cores_flushing, serial_exponent, valid_exponent, smt_factor, both_siblings, valid_fraction, dirty_fraction, domain_writeback_bytes_per_s, domains_per_socket, broadcast_start_s, broadcast_per_cpu_s, sockets, invalidates):
    _x0 = dirty_fraction*valid_fraction*(cores_flushing*l2_bytes_per_core + llc_bytes_per_domain)
    _x1 = (l2_bytes_per_core + llc_bytes_per_domain)/line_bytes
    _x2 = cores_flushing**serial_exponent*smt_factor**both_siblings*(_x1*line_empty_s + walk_start_s)
    return _x2*both_siblings*cpus_stopped*(numpy.select([numpy.less(-_x0*domains_per_socket/writeback_bytes_per_s + _x0/domain_writeback_bytes_per_s + _x1*cores_flushing**valid_exponent*line_valid_s*valid_fraction + _x2, 0),numpy.equal(-_x0*domains_per_socket/writeback_bytes_per_s + _x0/domain_writeback_bytes_per_s + _x1*cores_flushing**valid_exponent*line_valid_s*valid_fraction + _x2, 0),True], [0,1/2,1], default=numpy.nan))/smt_factor


def whole_cache_event__by__sockets(cpus_stopped, cpus_outside, memory_bound_fraction, writeback_bytes_per_s, reused_fraction, cpu_read_bytes_per_s, walk_start_s, llc_bytes_per_domain, l2_bytes_per_core, line_bytes, line_empty_s, line_valid_s, cores_flushing, serial_exponent, valid_exponent, smt_factor, both_siblings, valid_fraction, dirty_fraction, domain_writeback_bytes_per_s, domains_per_socket, broadcast_start_s, broadcast_per_cpu_s, sockets, invalidates):
    return domains_per_socket*invalidates*reused_fraction*valid_fraction*(cores_flushing*l2_bytes_per_core + llc_bytes_per_domain)/cpu_read_bytes_per_s


def whole_cache_event__by__valid_exponent(cpus_stopped, cpus_outside, memory_bound_fraction, writeback_bytes_per_s, reused_fraction, cpu_read_bytes_per_s, walk_start_s, llc_bytes_per_domain, l2_bytes_per_core, line_bytes, line_empty_s, line_valid_s, cores_flushing, serial_exponent, valid_exponent, smt_factor, both_siblings, valid_fraction, dirty_fraction, domain_writeback_bytes_per_s, domains_per_socket, broadcast_start_s, broadcast_per_cpu_s, sockets, invalidates):
    _x0 = dirty_fraction*valid_fraction*(cores_flushing*l2_bytes_per_core + llc_bytes_per_domain)
    _x1 = (l2_bytes_per_core + llc_bytes_per_domain)/line_bytes
    _x2 = _x1*cores_flushing**valid_exponent*line_valid_s*valid_fraction
    return _x2*cpus_stopped*numpy.log(cores_flushing)*(numpy.select([numpy.less(-_x0*domains_per_socket/writeback_bytes_per_s + _x0/domain_writeback_bytes_per_s + _x2 + cores_flushing**serial_exponent*smt_factor**both_siblings*(_x1*line_empty_s + walk_start_s), 0),numpy.equal(-_x0*domains_per_socket/writeback_bytes_per_s + _x0/domain_writeback_bytes_per_s + _x2 + cores_flushing**serial_exponent*smt_factor**both_siblings*(_x1*line_empty_s + walk_start_s), 0),True], [0,1/2,1], default=numpy.nan))


def whole_cache_event__by__valid_fraction(cpus_stopped, cpus_outside, memory_bound_fraction, writeback_bytes_per_s, reused_fraction, cpu_read_bytes_per_s, walk_start_s, llc_bytes_per_domain, l2_bytes_per_core, line_bytes, line_empty_s, line_valid_s, cores_flushing, serial_exponent, valid_exponent, smt_factor, both_siblings, valid_fraction, dirty_fraction, domain_writeback_bytes_per_s, domains_per_socket, broadcast_start_s, broadcast_per_cpu_s, sockets, invalidates):
    _x0 = cores_flushing*l2_bytes_per_core + llc_bytes_per_domain
    _x1 = _x0*dirty_fraction
    _x2 = _x1*domains_per_socket/writeback_bytes_per_s
    _x3 = _x1/domain_writeback_bytes_per_s
    _x4 = (l2_bytes_per_core + llc_bytes_per_domain)/line_bytes
    _x5 = _x4*cores_flushing**valid_exponent*line_valid_s
    _x6 = -_x2*valid_fraction + _x3*valid_fraction + _x5*valid_fraction + cores_flushing**serial_exponent*smt_factor**both_siblings*(_x4*line_empty_s + walk_start_s)
    return _x0*domains_per_socket*invalidates*reused_fraction*sockets/cpu_read_bytes_per_s + _x2*cpus_outside*memory_bound_fraction + cpus_stopped*(_x2*(numpy.select([numpy.greater(_x6, 0),numpy.equal(_x6, 0),True], [0,1/2,1], default=numpy.nan)) + (_x3 + _x5)*(numpy.select([numpy.less(_x6, 0),numpy.equal(_x6, 0),True], [0,1/2,1], default=numpy.nan)))


def whole_cache_event__by__walk_start_s(cpus_stopped, cpus_outside, memory_bound_fraction, writeback_bytes_per_s, reused_fraction, cpu_read_bytes_per_s, walk_start_s, llc_bytes_per_domain, l2_bytes_per_core, line_bytes, line_empty_s, line_valid_s, cores_flushing, serial_exponent, valid_exponent, smt_factor, both_siblings, valid_fraction, dirty_fraction, domain_writeback_bytes_per_s, domains_per_socket, broadcast_start_s, broadcast_per_cpu_s, sockets, invalidates):
    _x0 = dirty_fraction*valid_fraction*(cores_flushing*l2_bytes_per_core + llc_bytes_per_domain)
    _x1 = (l2_bytes_per_core + llc_bytes_per_domain)/line_bytes
    _x2 = cores_flushing**serial_exponent*smt_factor**both_siblings
    return _x2*cpus_stopped*(numpy.select([numpy.less(-_x0*domains_per_socket/writeback_bytes_per_s + _x0/domain_writeback_bytes_per_s + _x1*cores_flushing**valid_exponent*line_valid_s*valid_fraction + _x2*(_x1*line_empty_s + walk_start_s), 0),numpy.equal(-_x0*domains_per_socket/writeback_bytes_per_s + _x0/domain_writeback_bytes_per_s + _x1*cores_flushing**valid_exponent*line_valid_s*valid_fraction + _x2*(_x1*line_empty_s + walk_start_s), 0),True], [0,1/2,1], default=numpy.nan))


def whole_cache_event__by__writeback_bytes_per_s(cpus_stopped, cpus_outside, memory_bound_fraction, writeback_bytes_per_s, reused_fraction, cpu_read_bytes_per_s, walk_start_s, llc_bytes_per_domain, l2_bytes_per_core, line_bytes, line_empty_s, line_valid_s, cores_flushing, serial_exponent, valid_exponent, smt_factor, both_siblings, valid_fraction, dirty_fraction, domain_writeback_bytes_per_s, domains_per_socket, broadcast_start_s, broadcast_per_cpu_s, sockets, invalidates):
    _x0 = cores_flushing*l2_bytes_per_core + llc_bytes_per_domain
    _x1 = _x0*dirty_fraction*valid_fraction
    _x2 = _x1*domains_per_socket/writeback_bytes_per_s**2
    _x3 = (l2_bytes_per_core + llc_bytes_per_domain)/line_bytes
    return -_x2*cpus_outside*memory_bound_fraction - _x2*cpus_stopped*(numpy.select([numpy.greater(-_x0*dirty_fraction*domains_per_socket*valid_fraction/writeback_bytes_per_s + _x1/domain_writeback_bytes_per_s + _x3*cores_flushing**valid_exponent*line_valid_s*valid_fraction + cores_flushing**serial_exponent*smt_factor**both_siblings*(_x3*line_empty_s + walk_start_s), 0),numpy.equal(-_x0*dirty_fraction*domains_per_socket*valid_fraction/writeback_bytes_per_s + _x1/domain_writeback_bytes_per_s + _x3*cores_flushing**valid_exponent*line_valid_s*valid_fraction + cores_flushing**serial_exponent*smt_factor**both_siblings*(_x3*line_empty_s + walk_start_s), 0),True], [0,1/2,1], default=numpy.nan))


def range_event__by__cpu_read_bytes_per_s(range_start_s, remote_factor, lines, present_fraction, line_dirty_s, line_clean_s, line_absent_s, line_bytes, dirty_fraction, writeback_bytes_per_s, reused_fraction, cpu_read_bytes_per_s):
    return -line_bytes*lines*present_fraction*reused_fraction/cpu_read_bytes_per_s**2


def range_event__by__dirty_fraction(range_start_s, remote_factor, lines, present_fraction, line_dirty_s, line_clean_s, line_absent_s, line_bytes, dirty_fraction, writeback_bytes_per_s, reused_fraction, cpu_read_bytes_per_s):
    _x0 = line_bytes*lines*present_fraction/writeback_bytes_per_s
    _x1 = lines*remote_factor
    _x2 = _x0*dirty_fraction - _x1*(line_absent_s*(1 - present_fraction) + present_fraction*(dirty_fraction*line_dirty_s + line_clean_s*(1 - dirty_fraction)))
    return _x0*(numpy.select([numpy.less(_x2, 0),numpy.equal(_x2, 0),True], [0,1/2,1], default=numpy.nan)) + _x1*present_fraction*(-line_clean_s + line_dirty_s)*(numpy.select([numpy.greater(_x2, 0),numpy.equal(_x2, 0),True], [0,1/2,1], default=numpy.nan))


def range_event__by__line_absent_s(range_start_s, remote_factor, lines, present_fraction, line_dirty_s, line_clean_s, line_absent_s, line_bytes, dirty_fraction, writeback_bytes_per_s, reused_fraction, cpu_read_bytes_per_s):
    _x0 = 1 - present_fraction
    return _x0*lines*remote_factor*(numpy.select([numpy.greater(dirty_fraction*line_bytes*lines*present_fraction/writeback_bytes_per_s - lines*remote_factor*(_x0*line_absent_s + present_fraction*(dirty_fraction*line_dirty_s + line_clean_s*(1 - dirty_fraction))), 0),numpy.equal(dirty_fraction*line_bytes*lines*present_fraction/writeback_bytes_per_s - lines*remote_factor*(_x0*line_absent_s + present_fraction*(dirty_fraction*line_dirty_s + line_clean_s*(1 - dirty_fraction))), 0),True], [0,1/2,1], default=numpy.nan))


def range_event__by__line_bytes(range_start_s, remote_factor, lines, present_fraction, line_dirty_s, line_clean_s, line_absent_s, line_bytes, dirty_fraction, writeback_bytes_per_s, reused_fraction, cpu_read_bytes_per_s):
    _x0 = lines*present_fraction
    _x1 = _x0*dirty_fraction/writeback_bytes_per_s
    return _x0*reused_fraction/cpu_read_bytes_per_s + _x1*(numpy.select([numpy.less(_x1*line_bytes - lines*remote_factor*(line_absent_s*(1 - present_fraction) + present_fraction*(dirty_fraction*line_dirty_s + line_clean_s*(1 - dirty_fraction))), 0),numpy.equal(_x1*line_bytes - lines*remote_factor*(line_absent_s*(1 - present_fraction) + present_fraction*(dirty_fraction*line_dirty_s + line_clean_s*(1 - dirty_fraction))), 0),True], [0,1/2,1], default=numpy.nan))


def range_event__by__line_clean_s(range_start_s, remote_factor, lines, present_fraction, line_dirty_s, line_clean_s, line_absent_s, line_bytes, dirty_fraction, writeback_bytes_per_s, reused_fraction, cpu_read_bytes_per_s):
    _x0 = 1 - dirty_fraction
    return _x0*lines*present_fraction*remote_factor*(numpy.select([numpy.greater(dirty_fraction*line_bytes*lines*present_fraction/writeback_bytes_per_s - lines*remote_factor*(line_absent_s*(1 - present_fraction) + present_fraction*(_x0*line_clean_s + dirty_fraction*line_dirty_s)), 0),numpy.equal(dirty_fraction*line_bytes*lines*present_fraction/writeback_bytes_per_s - lines*remote_factor*(line_absent_s*(1 - present_fraction) + present_fraction*(_x0*line_clean_s + dirty_fraction*line_dirty_s)), 0),True], [0,1/2,1], default=numpy.nan))


def range_event__by__line_dirty_s(range_start_s, remote_factor, lines, present_fraction, line_dirty_s, line_clean_s, line_absent_s, line_bytes, dirty_fraction, writeback_bytes_per_s, reused_fraction, cpu_read_bytes_per_s):
    _x0 = dirty_fraction*present_fraction
    return _x0*lines*remote_factor*(numpy.select([numpy.greater(_x0*line_bytes*lines/writeback_bytes_per_s - lines*remote_factor*(line_absent_s*(1 - present_fraction) + present_fraction*(dirty_fraction*line_dirty_s + line_clean_s*(1 - dirty_fraction))), 0),numpy.equal(_x0*line_bytes*lines/writeback_bytes_per_s - lines*remote_factor*(line_absent_s*(1 - present_fraction) + present_fraction*(dirty_fraction*line_dirty_s + line_clean_s*(1 - dirty_fraction))), 0),True], [0,1/2,1], default=numpy.nan))


def range_event__by__lines(range_start_s, remote_factor, lines, present_fraction, line_dirty_s, line_clean_s, line_absent_s, line_bytes, dirty_fraction, writeback_bytes_per_s, reused_fraction, cpu_read_bytes_per_s):
    _x0 = line_bytes*present_fraction
    _x1 = _x0*dirty_fraction/writeback_bytes_per_s
    _x2 = line_absent_s*(1 - present_fraction) + present_fraction*(dirty_fraction*line_dirty_s + line_clean_s*(1 - dirty_fraction))
    _x3 = _x1*lines - _x2*lines*remote_factor
    return _x0*reused_fraction/cpu_read_bytes_per_s + _x1*(numpy.select([numpy.less(_x3, 0),numpy.equal(_x3, 0),True], [0,1/2,1], default=numpy.nan)) + _x2*remote_factor*(numpy.select([numpy.greater(_x3, 0),numpy.equal(_x3, 0),True], [0,1/2,1], default=numpy.nan))


def range_event__by__present_fraction(range_start_s, remote_factor, lines, present_fraction, line_dirty_s, line_clean_s, line_absent_s, line_bytes, dirty_fraction, writeback_bytes_per_s, reused_fraction, cpu_read_bytes_per_s):
    _x0 = line_bytes*lines
    _x1 = _x0*dirty_fraction/writeback_bytes_per_s
    _x2 = dirty_fraction*line_dirty_s + line_clean_s*(1 - dirty_fraction)
    _x3 = _x1*present_fraction - lines*remote_factor*(_x2*present_fraction + line_absent_s*(1 - present_fraction))
    return _x0*reused_fraction/cpu_read_bytes_per_s + _x1*(numpy.select([numpy.less(_x3, 0),numpy.equal(_x3, 0),True], [0,1/2,1], default=numpy.nan)) + lines*remote_factor*(_x2 - line_absent_s)*(numpy.select([numpy.greater(_x3, 0),numpy.equal(_x3, 0),True], [0,1/2,1], default=numpy.nan))


def range_event__by__range_start_s(range_start_s, remote_factor, lines, present_fraction, line_dirty_s, line_clean_s, line_absent_s, line_bytes, dirty_fraction, writeback_bytes_per_s, reused_fraction, cpu_read_bytes_per_s):
    return remote_factor


def range_event__by__remote_factor(range_start_s, remote_factor, lines, present_fraction, line_dirty_s, line_clean_s, line_absent_s, line_bytes, dirty_fraction, writeback_bytes_per_s, reused_fraction, cpu_read_bytes_per_s):
    _x0 = line_absent_s*(1 - present_fraction) + present_fraction*(dirty_fraction*line_dirty_s + line_clean_s*(1 - dirty_fraction))
    return _x0*lines*(numpy.select([numpy.less(_x0*lines*remote_factor - dirty_fraction*line_bytes*lines*present_fraction/writeback_bytes_per_s, 0),numpy.equal(_x0*lines*remote_factor - dirty_fraction*line_bytes*lines*present_fraction/writeback_bytes_per_s, 0),True], [0,1/2,1], default=numpy.nan)) + range_start_s


def range_event__by__reused_fraction(range_start_s, remote_factor, lines, present_fraction, line_dirty_s, line_clean_s, line_absent_s, line_bytes, dirty_fraction, writeback_bytes_per_s, reused_fraction, cpu_read_bytes_per_s):
    return line_bytes*lines*present_fraction/cpu_read_bytes_per_s


def range_event__by__writeback_bytes_per_s(range_start_s, remote_factor, lines, present_fraction, line_dirty_s, line_clean_s, line_absent_s, line_bytes, dirty_fraction, writeback_bytes_per_s, reused_fraction, cpu_read_bytes_per_s):
    _x0 = dirty_fraction*line_bytes*lines*present_fraction
    return -_x0*(numpy.select([numpy.less(_x0/writeback_bytes_per_s - lines*remote_factor*(line_absent_s*(1 - present_fraction) + present_fraction*(dirty_fraction*line_dirty_s + line_clean_s*(1 - dirty_fraction))), 0),numpy.equal(_x0/writeback_bytes_per_s - lines*remote_factor*(line_absent_s*(1 - present_fraction) + present_fraction*(dirty_fraction*line_dirty_s + line_clean_s*(1 - dirty_fraction))), 0),True], [0,1/2,1], default=numpy.nan))/writeback_bytes_per_s**2


def paged_event__by__cpu_read_bytes_per_s(range_start_s, remote_factor, lines, present_fraction, line_dirty_s, line_clean_s, line_absent_s, line_bytes, dirty_fraction, writeback_bytes_per_s, reused_fraction, cpu_read_bytes_per_s, pages):
    return -line_bytes*lines*pages*present_fraction*reused_fraction/cpu_read_bytes_per_s**2


def paged_event__by__dirty_fraction(range_start_s, remote_factor, lines, present_fraction, line_dirty_s, line_clean_s, line_absent_s, line_bytes, dirty_fraction, writeback_bytes_per_s, reused_fraction, cpu_read_bytes_per_s, pages):
    _x0 = line_bytes*lines*present_fraction/writeback_bytes_per_s
    _x1 = lines*remote_factor
    _x2 = _x0*dirty_fraction - _x1*(line_absent_s*(1 - present_fraction) + present_fraction*(dirty_fraction*line_dirty_s + line_clean_s*(1 - dirty_fraction)))
    return pages*(_x0*(numpy.select([numpy.less(_x2, 0),numpy.equal(_x2, 0),True], [0,1/2,1], default=numpy.nan)) + _x1*present_fraction*(-line_clean_s + line_dirty_s)*(numpy.select([numpy.greater(_x2, 0),numpy.equal(_x2, 0),True], [0,1/2,1], default=numpy.nan)))


def paged_event__by__line_absent_s(range_start_s, remote_factor, lines, present_fraction, line_dirty_s, line_clean_s, line_absent_s, line_bytes, dirty_fraction, writeback_bytes_per_s, reused_fraction, cpu_read_bytes_per_s, pages):
    _x0 = 1 - present_fraction
    return _x0*lines*pages*remote_factor*(numpy.select([numpy.greater(dirty_fraction*line_bytes*lines*present_fraction/writeback_bytes_per_s - lines*remote_factor*(_x0*line_absent_s + present_fraction*(dirty_fraction*line_dirty_s + line_clean_s*(1 - dirty_fraction))), 0),numpy.equal(dirty_fraction*line_bytes*lines*present_fraction/writeback_bytes_per_s - lines*remote_factor*(_x0*line_absent_s + present_fraction*(dirty_fraction*line_dirty_s + line_clean_s*(1 - dirty_fraction))), 0),True], [0,1/2,1], default=numpy.nan))


def paged_event__by__line_bytes(range_start_s, remote_factor, lines, present_fraction, line_dirty_s, line_clean_s, line_absent_s, line_bytes, dirty_fraction, writeback_bytes_per_s, reused_fraction, cpu_read_bytes_per_s, pages):
    _x0 = lines*present_fraction
    _x1 = _x0*dirty_fraction/writeback_bytes_per_s
    return pages*(_x0*reused_fraction/cpu_read_bytes_per_s + _x1*(numpy.select([numpy.less(_x1*line_bytes - lines*remote_factor*(line_absent_s*(1 - present_fraction) + present_fraction*(dirty_fraction*line_dirty_s + line_clean_s*(1 - dirty_fraction))), 0),numpy.equal(_x1*line_bytes - lines*remote_factor*(line_absent_s*(1 - present_fraction) + present_fraction*(dirty_fraction*line_dirty_s + line_clean_s*(1 - dirty_fraction))), 0),True], [0,1/2,1], default=numpy.nan)))


def paged_event__by__line_clean_s(range_start_s, remote_factor, lines, present_fraction, line_dirty_s, line_clean_s, line_absent_s, line_bytes, dirty_fraction, writeback_bytes_per_s, reused_fraction, cpu_read_bytes_per_s, pages):
    _x0 = 1 - dirty_fraction
    return _x0*lines*pages*present_fraction*remote_factor*(numpy.select([numpy.greater(dirty_fraction*line_bytes*lines*present_fraction/writeback_bytes_per_s - lines*remote_factor*(line_absent_s*(1 - present_fraction) + present_fraction*(_x0*line_clean_s + dirty_fraction*line_dirty_s)), 0),numpy.equal(dirty_fraction*line_bytes*lines*present_fraction/writeback_bytes_per_s - lines*remote_factor*(line_absent_s*(1 - present_fraction) + present_fraction*(_x0*line_clean_s + dirty_fraction*line_dirty_s)), 0),True], [0,1/2,1], default=numpy.nan))


def paged_event__by__line_dirty_s(range_start_s, remote_factor, lines, present_fraction, line_dirty_s, line_clean_s, line_absent_s, line_bytes, dirty_fraction, writeback_bytes_per_s, reused_fraction, cpu_read_bytes_per_s, pages):
    _x0 = dirty_fraction*present_fraction
    return _x0*lines*pages*remote_factor*(numpy.select([numpy.greater(_x0*line_bytes*lines/writeback_bytes_per_s - lines*remote_factor*(line_absent_s*(1 - present_fraction) + present_fraction*(dirty_fraction*line_dirty_s + line_clean_s*(1 - dirty_fraction))), 0),numpy.equal(_x0*line_bytes*lines/writeback_bytes_per_s - lines*remote_factor*(line_absent_s*(1 - present_fraction) + present_fraction*(dirty_fraction*line_dirty_s + line_clean_s*(1 - dirty_fraction))), 0),True], [0,1/2,1], default=numpy.nan))


def paged_event__by__lines(range_start_s, remote_factor, lines, present_fraction, line_dirty_s, line_clean_s, line_absent_s, line_bytes, dirty_fraction, writeback_bytes_per_s, reused_fraction, cpu_read_bytes_per_s, pages):
    _x0 = line_bytes*present_fraction
    _x1 = _x0*dirty_fraction/writeback_bytes_per_s
    _x2 = line_absent_s*(1 - present_fraction) + present_fraction*(dirty_fraction*line_dirty_s + line_clean_s*(1 - dirty_fraction))
    _x3 = _x1*lines - _x2*lines*remote_factor
    return pages*(_x0*reused_fraction/cpu_read_bytes_per_s + _x1*(numpy.select([numpy.less(_x3, 0),numpy.equal(_x3, 0),True], [0,1/2,1], default=numpy.nan)) + _x2*remote_factor*(numpy.select([numpy.greater(_x3, 0),numpy.equal(_x3, 0),True], [0,1/2,1], default=numpy.nan)))


def paged_event__by__pages(range_start_s, remote_factor, lines, present_fraction, line_dirty_s, line_clean_s, line_absent_s, line_bytes, dirty_fraction, writeback_bytes_per_s, reused_fraction, cpu_read_bytes_per_s, pages):
    _x0 = line_bytes*lines*present_fraction
    return _x0*reused_fraction/cpu_read_bytes_per_s + range_start_s*remote_factor + numpy.maximum(_x0*dirty_fraction/writeback_bytes_per_s, lines*remote_factor*(line_absent_s*(1 - present_fraction) + present_fraction*(dirty_fraction*line_dirty_s + line_clean_s*(1 - dirty_fraction))))


def paged_event__by__present_fraction(range_start_s, remote_factor, lines, present_fraction, line_dirty_s, line_clean_s, line_absent_s, line_bytes, dirty_fraction, writeback_bytes_per_s, reused_fraction, cpu_read_bytes_per_s, pages):
    _x0 = line_bytes*lines
    _x1 = _x0*dirty_fraction/writeback_bytes_per_s
    _x2 = dirty_fraction*line_dirty_s + line_clean_s*(1 - dirty_fraction)
    _x3 = _x1*present_fraction - lines*remote_factor*(_x2*present_fraction + line_absent_s*(1 - present_fraction))
    return pages*(_x0*reused_fraction/cpu_read_bytes_per_s + _x1*(numpy.select([numpy.less(_x3, 0),numpy.equal(_x3, 0),True], [0,1/2,1], default=numpy.nan)) + lines*remote_factor*(_x2 - line_absent_s)*(numpy.select([numpy.greater(_x3, 0),numpy.equal(_x3, 0),True], [0,1/2,1], default=numpy.nan)))


def paged_event__by__range_start_s(range_start_s, remote_factor, lines, present_fraction, line_dirty_s, line_clean_s, line_absent_s, line_bytes, dirty_fraction, writeback_bytes_per_s, reused_fraction, cpu_read_bytes_per_s, pages):
    return pages*remote_factor


def paged_event__by__remote_factor(range_start_s, remote_factor, lines, present_fraction, line_dirty_s, line_clean_s, line_absent_s, line_bytes, dirty_fraction, writeback_bytes_per_s, reused_fraction, cpu_read_bytes_per_s, pages):
    _x0 = line_absent_s*(1 - present_fraction) + present_fraction*(dirty_fraction*line_dirty_s + line_clean_s*(1 - dirty_fraction))
    return pages*(_x0*lines*(numpy.select([numpy.less(_x0*lines*remote_factor - dirty_fraction*line_bytes*lines*present_fraction/writeback_bytes_per_s, 0),numpy.equal(_x0*lines*remote_factor - dirty_fraction*line_bytes*lines*present_fraction/writeback_bytes_per_s, 0),True], [0,1/2,1], default=numpy.nan)) + range_start_s)


def paged_event__by__reused_fraction(range_start_s, remote_factor, lines, present_fraction, line_dirty_s, line_clean_s, line_absent_s, line_bytes, dirty_fraction, writeback_bytes_per_s, reused_fraction, cpu_read_bytes_per_s, pages):
    return line_bytes*lines*pages*present_fraction/cpu_read_bytes_per_s


def paged_event__by__writeback_bytes_per_s(range_start_s, remote_factor, lines, present_fraction, line_dirty_s, line_clean_s, line_absent_s, line_bytes, dirty_fraction, writeback_bytes_per_s, reused_fraction, cpu_read_bytes_per_s, pages):
    _x0 = dirty_fraction*line_bytes*lines*present_fraction
    return -_x0*pages*(numpy.select([numpy.less(_x0/writeback_bytes_per_s - lines*remote_factor*(line_absent_s*(1 - present_fraction) + present_fraction*(dirty_fraction*line_dirty_s + line_clean_s*(1 - dirty_fraction))), 0),numpy.equal(_x0/writeback_bytes_per_s - lines*remote_factor*(line_absent_s*(1 - present_fraction) + present_fraction*(dirty_fraction*line_dirty_s + line_clean_s*(1 - dirty_fraction))), 0),True], [0,1/2,1], default=numpy.nan))/writeback_bytes_per_s**2


def others_pay__by__cpus_stopped(cpus_stopped, vcpus, flush_s):
    return flush_s*(numpy.select([numpy.less(cpus_stopped - vcpus, 0),numpy.equal(cpus_stopped - vcpus, 0),True], [0,1/2,1], default=numpy.nan))


def others_pay__by__flush_s(cpus_stopped, vcpus, flush_s):
    return numpy.maximum(0, cpus_stopped - vcpus)


def others_pay__by__vcpus(cpus_stopped, vcpus, flush_s):
    return -flush_s*(numpy.select([numpy.less(cpus_stopped - vcpus, 0),numpy.equal(cpus_stopped - vcpus, 0),True], [0,1/2,1], default=numpy.nan))


def forced_loss__by__event_s(stolen_cpu_s_per_event, event_s, think_s):
    return -stolen_cpu_s_per_event/(event_s + think_s)**2


def forced_loss__by__stolen_cpu_s_per_event(stolen_cpu_s_per_event, event_s, think_s):
    return (event_s + think_s)**(-1.0)


def forced_loss__by__think_s(stolen_cpu_s_per_event, event_s, think_s):
    return -stolen_cpu_s_per_event/(event_s + think_s)**2


def initiators_at_limit__by__flush_s(limit_s, flush_s):
    return -limit_s/flush_s**2


def initiators_at_limit__by__limit_s(limit_s, flush_s):
    return flush_s**(-1.0)


def vms_at_loss__by__logical_cpus(lost_fraction, logical_cpus, rate_per_s, stolen_cpu_s_per_event):
    return lost_fraction/(rate_per_s*stolen_cpu_s_per_event)


def vms_at_loss__by__lost_fraction(lost_fraction, logical_cpus, rate_per_s, stolen_cpu_s_per_event):
    return logical_cpus/(rate_per_s*stolen_cpu_s_per_event)


def vms_at_loss__by__rate_per_s(lost_fraction, logical_cpus, rate_per_s, stolen_cpu_s_per_event):
    return -logical_cpus*lost_fraction/(rate_per_s**2*stolen_cpu_s_per_event)


def vms_at_loss__by__stolen_cpu_s_per_event(lost_fraction, logical_cpus, rate_per_s, stolen_cpu_s_per_event):
    return -logical_cpus*lost_fraction/(rate_per_s*stolen_cpu_s_per_event**2)
