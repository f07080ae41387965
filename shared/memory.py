"""The garbage collector, told what a service is like."""

import gc

YOUNG = 50_000
"""Allocations between two looks at the youngest objects; Python's own 700 suits short scripts."""


def settle() -> None:
    """Call once everything is loaded, before the first request.

    A service holds hundreds of thousands of objects for ever (modules, models, fences). Going
    through them again and again stopped all requests for 0.13 s every few seconds; frozen, they
    are left alone, and only what requests leave behind is looked at.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, 20, 100)
