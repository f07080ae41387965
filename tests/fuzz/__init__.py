"""Fuzzers, which are run by hand and not with the tests: they look for as long as they are told."""
