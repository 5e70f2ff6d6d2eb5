"""Totals per guest, machine, workload and strategy."""
