"""From evidence to parameters with uncertainty.

In come the measurements, the machine and its host profile; out goes a `ParameterSet`, one distribution per parameter
with the rows it rests on and whether it is extrapolated. How a published number follows from a formula stands in
`published.PREDICTORS`, the rule for a parameter that nothing measured in `rules`, a bound on a prior
in `anchors`, what a measured host tells in `host_flush`.
"""
