"""The soak: everything at once for hours, with faults, and invariants checked all along."""
