"""The domain: guest types, triggers, strategies, placements, admissibility, what each kernel does. Facts, no costs."""
