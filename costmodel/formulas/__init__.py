"""The cost terms as symbolic expressions.

In come symbols with units and sources, and nothing else; out goes one `Formula` per term, shown as text, LaTeX,
MathML, Python and C by `catalog` and evaluated with numpy, without sympy, by `compiled.value`. A term is added as a
`Formula` in the module of its subject (`flush`, `caches`, `waits`, `rates`, `event`), which lists it in the catalogue
by itself, and each new symbol gets its letter in `formula.NOTATION`.
"""
