"""What KVM does, as facts without costs.

In come the tables and records of data/kvm/ (guest types, strategies, triggers, kernels, backports, decisions of the
kernel's developers); out go the catalogues by id, the verdict whether a strategy is safe at a trigger, what each
kernel does there and which events can happen at all. A guest type, strategy, trigger or kernel is added as an entry
under data/kvm/; a new reason why a flush is safe or not is one `Rule` in `rules` with its words and source in
data/kvm/reasons.toml (admissibility.csv is the reading that the rules are held to), a new condition one row in
data/kvm/predicates.csv.
"""
