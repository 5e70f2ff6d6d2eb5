"""Which strategy to use.

In come verdicts of kvm and draws of cost; out go facts, with no sentence about them (`findings`): what is safe, then
what is forced, dominated or cheapest, how sure that is, what would flip it, what can be done and what to measure next.
A new reason to prefer a strategy belongs in `choice`, a remedy in data/kvm/remedies.csv, a new table in `tables` with
its row in `result`; report puts it into words, in the module of the same name where there is one.
"""
