"""One numpy function per formula: printed by `make formulas`, not written by hand."""

# mypy: ignore-errors

SOURCES = "f325b00ecc030799"

import numpy



def range_lines(range_bytes, offset_bytes, line_bytes):
    return numpy.ceil((offset_bytes + range_bytes)/line_bytes)


def range_flush(range_start_s, remote_factor, lines, present_fraction, line_dirty_s, line_clean_s, line_absent_s, line_bytes, dirty_fraction, writeback_bytes_per_s):
    return range_start_s*remote_factor + numpy.maximum(dirty_fraction*line_bytes*lines*present_fraction/writeback_bytes_per_s, lines*remote_factor*(line_absent_s*(1 - present_fraction) + present_fraction*(dirty_fraction*line_dirty_s + line_clean_s*(1 - dirty_fraction))))


def line_time(line_reference_s, two_socket_factor, two_sockets):
    return line_reference_s*two_socket_factor**two_sockets


def line_time_levels(range_bytes, l1_bytes, l2_bytes_per_core, llc_bytes_per_domain, line_l1_s, line_l2_s, line_llc_s, line_memory_s):
    return (line_l1_s*numpy.minimum(l1_bytes, range_bytes) + line_l2_s*numpy.maximum(0, -l1_bytes + numpy.minimum(l2_bytes_per_core, range_bytes)) + line_llc_s*numpy.maximum(0, -l2_bytes_per_core + numpy.minimum(llc_bytes_per_domain, range_bytes)) + line_memory_s*numpy.maximum(0, -llc_bytes_per_domain + range_bytes))/range_bytes


def line_time_tail(range_start_s, lines, line_tail_s):
    return line_tail_s + range_start_s/lines


def domain_flush(walk_start_s, llc_bytes_per_domain, l2_bytes_per_core, line_bytes, line_empty_s, line_valid_s, cores_flushing, serial_exponent, valid_exponent, smt_factor, both_siblings, valid_fraction, dirty_fraction, domain_writeback_bytes_per_s):
    _x0 = (l2_bytes_per_core + llc_bytes_per_domain)/line_bytes
    return _x0*cores_flushing**valid_exponent*line_valid_s*valid_fraction + cores_flushing**serial_exponent*smt_factor**both_siblings*(_x0*line_empty_s + walk_start_s) + dirty_fraction*valid_fraction*(cores_flushing*l2_bytes_per_core + llc_bytes_per_domain)/domain_writeback_bytes_per_s


def whole_cache_flush(domain_flush_s, domains_per_socket, valid_fraction, dirty_fraction, llc_bytes_per_domain, cores_flushing, l2_bytes_per_core, writeback_bytes_per_s):
    return numpy.maximum(domain_flush_s, dirty_fraction*domains_per_socket*valid_fraction*(cores_flushing*l2_bytes_per_core + llc_bytes_per_domain)/writeback_bytes_per_s)


def broadcast(broadcast_start_s, broadcast_per_cpu_s, target_cpus):
    return broadcast_per_cpu_s*target_cpus + broadcast_start_s


def broadcast_tree(broadcast_start_s, broadcast_per_cpu_s, target_cpus):
    return broadcast_per_cpu_s*numpy.log(target_cpus + 1)/numpy.log(2) + broadcast_start_s


def slowest_response(response_delay_s, target_cpus):
    _x0 = target_cpus + 5/2
    return response_delay_s*(numpy.log(_x0) + 0.57721566490153286 - 1/(target_cpus + 2) - 1/(target_cpus + 1) + (1/24)/_x0**2 - (7/960)/_x0**4)


def broadcast_slowest(broadcast_start_s, broadcast_per_cpu_s, target_cpus, response_delay_s):
    _x0 = target_cpus + 5/2
    return broadcast_per_cpu_s*target_cpus + broadcast_start_s + response_delay_s*(numpy.log(_x0) + 0.57721566490153286 - 1/(target_cpus + 2) - 1/(target_cpus + 1) + (1/24)/_x0**2 - (7/960)/_x0**4)


def slowest_response_quantile(share, target_cpus, response_delay_s):
    return -response_delay_s*numpy.log(1 - numpy.maximum(0, 1 - share)**(target_cpus**(-1.0)))


def broadcast_quantile(broadcast_start_s, broadcast_per_cpu_s, target_cpus, share, response_delay_s):
    return broadcast_per_cpu_s*target_cpus + broadcast_start_s - response_delay_s*numpy.log(1 - numpy.maximum(0, 1 - share)**(target_cpus**(-1.0)))


def mask_after_migrations(other_cpus, vcpus, migrations):
    _x0 = other_cpus + 2
    return _x0 - (other_cpus/(other_cpus + 1))**migrations*(_x0 - vcpus)


def mask_cpus(allowed_cpus, vcpus, migrations):
    return allowed_cpus - (allowed_cpus - vcpus)*numpy.exp(-migrations/numpy.maximum(1, allowed_cpus - 1))


def migrations_to_share(allowed_cpus, vcpus, untouched_fraction):
    return numpy.log(numpy.maximum(1, (allowed_cpus - vcpus)/(allowed_cpus*untouched_fraction)))*numpy.maximum(1, allowed_cpus - 1)


def mask_between_flushes(allowed_cpus, vcpus, rate_per_s, migration_rate_per_s):
    _x0 = rate_per_s*numpy.maximum(1, allowed_cpus - 1)
    return -_x0*(allowed_cpus - vcpus)/(_x0 + migration_rate_per_s) + allowed_cpus


def domains_touched(domains, cpus_per_domain, mask_cpus):
    return numpy.maximum(numpy.minimum(1, mask_cpus), domains*(1 - numpy.maximum(0, -mask_cpus/numpy.maximum(1, cpus_per_domain*domains - 1/2*cpus_per_domain + 1/2) + 1)**cpus_per_domain))


def present_cold(cold_fraction, presence_position, cached_fraction):
    return numpy.minimum(cached_fraction, cold_fraction*presence_position)


def present_between(cold_fraction, presence_position, cached_fraction):
    return numpy.minimum(cached_fraction, cold_fraction**(1 - presence_position))


def refill_floor(evicted_bytes, reused_fraction, read_bytes_per_s):
    return evicted_bytes*reused_fraction/read_bytes_per_s


def dirty_at_flush(dirty_lines_per_s, lines, rate_per_s):
    return dirty_lines_per_s/(dirty_lines_per_s + lines*rate_per_s)


def dirty_at_flush_regular(dirty_lines_per_s, lines, gap_s):
    return 1 - numpy.exp(-dirty_lines_per_s*gap_s/lines)


def in_progress(rate_per_s, serial_s, parallel_s):
    return 1 - numpy.exp(-parallel_s*rate_per_s)*numpy.maximum(0, -rate_per_s*serial_s + 1)


def in_progress_closed(rate_per_s, window_s):
    return numpy.minimum(1, rate_per_s*window_s)


def window_stall(rate_per_s, serial_s, parallel_s):
    _x0 = parallel_s*rate_per_s
    _x1 = rate_per_s*serial_s
    _x2 = numpy.expm1(_x0)
    _x3 = 1 - _x1
    return (-_x0 + _x1*_x2/_x3 + _x2 + (1/2)*rate_per_s**2*serial_s**2/_x3**2)*numpy.exp(_x0)/(rate_per_s*(_x1 + _x2))


def merged_fraction(range_fraction, rate_per_s, serial_s, parallel_s):
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
    return -_x2*(1 - _x0)*(1 - range_fraction)*(0.0241522034128332*(1 - 0.0694318442029737*_x0)*(_x11/(0.930568155797026 - 0.0694318442029737*_x11) - _x3)*numpy.exp(_x5)/(0.0694318442029737*_x3 + 1) + 0.323702641724621*(1 - _x5)*(-_x3 + _x6/(0.0694318442029738 - 0.930568155797026*_x6))*numpy.exp(_x4)/(0.930568155797026*_x3 + 1) + 0.215214082271785*(1 - _x7)*(_x10/(0.669990521792428 - 0.330009478207572*_x10) - _x3)*numpy.exp(_x8)/(0.330009478207572*_x3 + 1) + 0.436931072590761*(1 - _x8)*(-_x3 + _x9/(0.330009478207572 - 0.669990521792428*_x9))*numpy.exp(_x7)/(0.669990521792428*_x3 + 1))/(_x0*_x2 - _x3) + 1


def merged_fraction_stall(range_fraction, rate_per_s, serial_s, parallel_s):
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
    return -(1 - range_fraction)*(0.436931072590761*_x13*(1 - _x14)*(_x13*(_x12 + numpy.expm1(-_x12))/_x16**2 + _x15*_x4/_x16 + _x5)/(0.669990521792428*_x9 + 1) + 0.215214082271785*_x17*(1 - _x12)*(_x17*(_x14 + numpy.expm1(-_x14))/_x19**2 + _x18*_x4/_x19 + _x5)/(0.330009478207572*_x9 + 1) + 0.0241522034128332*_x20*(1 - 0.0694318442029737*_x2)*(_x20*(_x8 + numpy.expm1(-_x8))/_x22**2 + _x21*_x4/_x22 + _x5)/(0.0694318442029737*_x9 + 1) + 0.323702641724621*_x7*(1 - _x8)*(_x10*_x4/_x11 + _x5 + _x7*(_x6 + numpy.expm1(-_x6))/_x11**2)/(0.930568155797026*_x9 + 1))*numpy.exp(_x1)/(_x2*_x4/_x3 + _x5 + (1/2)*rate_per_s**2*serial_s**2/_x3**2) + 1


def fault_stall(merged_fraction, in_progress_fraction, window_stall_s):
    return in_progress_fraction*merged_fraction*window_stall_s


def stall_quantile(share, merged_fraction, rate_per_s, parallel_s):
    return numpy.maximum(0, numpy.minimum(parallel_s, ((1 - share/merged_fraction)*numpy.exp(parallel_s*rate_per_s) - 1)/rate_per_s))


def stall_quantile_closed(window_s, share, rate_per_s, merged_fraction):
    return numpy.maximum(0, window_s - share/(merged_fraction*rate_per_s))


def retries_per_fault(merged_fraction, in_progress_fraction, window_stall_s, retry_loop_s, rate_per_s, fault_work_s):
    return in_progress_fraction*merged_fraction*(1/2 + window_stall_s/retry_loop_s) + 1 - numpy.exp(-fault_work_s*rate_per_s)


def lock_hold(zap_s, under_lock, flush_s):
    return flush_s*under_lock + zap_s


def lock_busy(rate_per_s, hold_s, end_hold_s):
    return numpy.minimum(1, rate_per_s*(end_hold_s + hold_s))


def lock_saturation(hold_s, end_hold_s):
    return (end_hold_s + hold_s)**(-1.0)


def lock_wait(rate_per_s, hold_s, end_hold_s, queueing):
    return rate_per_s*(end_hold_s**2 + hold_s**2)/(-2*queueing*rate_per_s*(end_hold_s + hold_s) + 2)


def lock_wait_quantile(share, rate_per_s, hold_s, queueing):
    _x0 = rate_per_s**(-1.0)
    return numpy.maximum(0, queueing*numpy.minimum(hold_s, _x0*numpy.log((1 - share)/(-hold_s*queueing*rate_per_s + 1))) + (1 - queueing)*(-_x0*share + hold_s))


def missed_flushes(rate_per_s, same_page_fraction, window_s):
    return rate_per_s*(1 - numpy.exp(-rate_per_s*same_page_fraction*window_s))


def spte_events(rate_per_s, kvm_zaps_per_s):
    return kvm_zaps_per_s + rate_per_s


def precise_events(rate_per_s, overlap_fraction):
    return overlap_fraction*rate_per_s


def coalesced_batch(rate_per_s, flush_s):
    _x0 = flush_s*rate_per_s
    return _x0 + numpy.exp(-_x0)


def coalesced_busy(rate_per_s, flush_s):
    _x0 = flush_s*rate_per_s
    return _x0/(_x0 + numpy.exp(-_x0))


def coalesced_latency(rate_per_s, flush_s):
    _x0 = flush_s*rate_per_s
    return (1/2)*flush_s**2*rate_per_s/(_x0 + numpy.exp(-_x0)) + flush_s


def queued_latency(rate_per_s, flush_s):
    return flush_s**2*rate_per_s/(-2*flush_s*rate_per_s + 2) + flush_s


def deferred_rate(rate_per_s, delay_s):
    return rate_per_s/(delay_s*rate_per_s + 1)


def closed_rate(threads, event_fraction, events_per_cycle, sleep_s, cycle_flush_s):
    return event_fraction*events_per_cycle*threads/(cycle_flush_s*event_fraction + sleep_s)


def numa_scan_period(numa_scan_size_bytes, numa_max_scan_window_bytes_per_s, task_scan_period_s, resident_bytes):
    return numpy.maximum(numa_scan_size_bytes/numa_max_scan_window_bytes_per_s, task_scan_period_s/numpy.ceil(resident_bytes/numa_scan_size_bytes))


def numa_flushes_per_pass(numa_virtpages_factor, resident_bytes, numa_scan_size_bytes):
    return numpy.minimum(numa_virtpages_factor, numpy.ceil(resident_bytes/numa_scan_size_bytes))


def numa_rate(event_fraction, flushes_per_pass, numa_scan_period_s, numa_limiter_factor, event_flush_s, vcpus):
    return event_fraction*flushes_per_pass/numpy.maximum(numa_scan_period_s, (event_flush_s*flushes_per_pass*numa_limiter_factor + numa_scan_period_s)/vcpus)


def numa_rate_at_least(event_fraction, flushes_per_pass, numa_scan_period_s, numa_limiter_factor, event_flush_s, vcpus):
    _x0 = vcpus**(-1.0)
    return event_fraction*flushes_per_pass/(2*_x0*numa_scan_period_s + numpy.maximum(numa_scan_period_s, _x0*(event_flush_s*flushes_per_pass*numa_limiter_factor + numa_scan_period_s)))


def host_loss(rate_per_s, stolen_cpu_s_per_event, logical_cpus):
    return numpy.minimum(logical_cpus, rate_per_s*stolen_cpu_s_per_event)


def rate_at_loss(lost_fraction, logical_cpus, stolen_cpu_s_per_event):
    return logical_cpus*lost_fraction/stolen_cpu_s_per_event


def gmem_release(pages, rmpupdate_s, page_flush_s):
    return pages*(page_flush_s + rmpupdate_s)


def page_chain(pages, page_operation_s):
    return page_operation_s*pages


def stolen_whole_cache(cpus_stopped, flush_s, broadcast_s, cpus_outside, memory_bound_fraction, written_bytes_per_socket, writeback_bytes_per_s, reused_fraction, evicted_bytes, cpu_read_bytes_per_s):
    return broadcast_s + cpus_outside*memory_bound_fraction*written_bytes_per_socket/writeback_bytes_per_s + cpus_stopped*flush_s + evicted_bytes*reused_fraction/cpu_read_bytes_per_s


def stolen_range(time_s, reused_fraction, evicted_bytes, cpu_read_bytes_per_s):
    return time_s + evicted_bytes*reused_fraction/cpu_read_bytes_per_s


def break_even_range(whole_cache_s, range_start_s, line_s, line_bytes):
    return line_bytes*(-range_start_s + whole_cache_s)/line_s


def whole_cache_event(cpus_stopped, cpus_outside, memory_bound_fraction, writeback_bytes_per_s, reused_fraction, cpu_read_bytes_per_s, walk_start_s, llc_bytes_per_domain, l2_bytes_per_core, line_bytes, line_empty_s, line_valid_s, cores_flushing, serial_exponent, valid_exponent, smt_factor, both_siblings, valid_fraction, dirty_fraction, domain_writeback_bytes_per_s, domains_per_socket, broadcast_start_s, broadcast_per_cpu_s, sockets, invalidates):
    _x0 = valid_fraction*(cores_flushing*l2_bytes_per_core + llc_bytes_per_domain)
    _x1 = _x0*dirty_fraction
    _x2 = _x1*domains_per_socket/writeback_bytes_per_s
    _x3 = (l2_bytes_per_core + llc_bytes_per_domain)/line_bytes
    return _x0*domains_per_socket*invalidates*reused_fraction*sockets/cpu_read_bytes_per_s + _x2*cpus_outside*memory_bound_fraction + broadcast_per_cpu_s*(cpus_stopped - 1) + broadcast_start_s + cpus_stopped*numpy.maximum(_x2, _x1/domain_writeback_bytes_per_s + _x3*cores_flushing**valid_exponent*line_valid_s*valid_fraction + cores_flushing**serial_exponent*smt_factor**both_siblings*(_x3*line_empty_s + walk_start_s))


def range_event(range_start_s, remote_factor, lines, present_fraction, line_dirty_s, line_clean_s, line_absent_s, line_bytes, dirty_fraction, writeback_bytes_per_s, reused_fraction, cpu_read_bytes_per_s):
    _x0 = line_bytes*lines*present_fraction
    return _x0*reused_fraction/cpu_read_bytes_per_s + range_start_s*remote_factor + numpy.maximum(_x0*dirty_fraction/writeback_bytes_per_s, lines*remote_factor*(line_absent_s*(1 - present_fraction) + present_fraction*(dirty_fraction*line_dirty_s + line_clean_s*(1 - dirty_fraction))))


def paged_event(range_start_s, remote_factor, lines, present_fraction, line_dirty_s, line_clean_s, line_absent_s, line_bytes, dirty_fraction, writeback_bytes_per_s, reused_fraction, cpu_read_bytes_per_s, pages):
    _x0 = line_bytes*lines*present_fraction
    return pages*(_x0*reused_fraction/cpu_read_bytes_per_s + range_start_s*remote_factor + numpy.maximum(_x0*dirty_fraction/writeback_bytes_per_s, lines*remote_factor*(line_absent_s*(1 - present_fraction) + present_fraction*(dirty_fraction*line_dirty_s + line_clean_s*(1 - dirty_fraction)))))


def others_pay(cpus_stopped, vcpus, flush_s):
    return flush_s*numpy.maximum(0, cpus_stopped - vcpus)


def forced_loss(stolen_cpu_s_per_event, event_s, think_s):
    return stolen_cpu_s_per_event/(event_s + think_s)


def initiators_at_limit(limit_s, flush_s):
    return limit_s/flush_s


def vms_at_loss(lost_fraction, logical_cpus, rate_per_s, stolen_cpu_s_per_event):
    return logical_cpus*lost_fraction/(rate_per_s*stolen_cpu_s_per_event)
