"""Looking after a device: check it, bundle what support needs, back it up, restore it."""
