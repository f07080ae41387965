"""Use cases of places: stores, geofences, import. Each runs in the caller's transaction."""
