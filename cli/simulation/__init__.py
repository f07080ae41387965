"""A test kit in the box: people whose true ways are known, their phones, and what rules make of them.

It walks and judges in its own process, without a database and without a service: of geo_api it
uses the pure parts that match, judge, fold, rank and trust, as a contract in ``pyproject.toml``
says. ``sending`` alone talks to an installation, over HTTP like every other command.
"""
