"""Types of arguments, each with a message that says what is wanted."""

import argparse
import math
from collections.abc import Callable


def between(least: int, most: int) -> Callable[[str], int]:
    """A whole number in a range, its ends included."""

    def whole_number(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = least - 1
        if not least <= number <= most:
            raise argparse.ArgumentTypeError(f"must be a whole number from {least} to {most}")
        return number

    return whole_number


def metres(text: str) -> float:
    """A finite length, 0 included."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number < math.inf:
        raise argparse.ArgumentTypeError("must be a number of metres, such as 20 or 7.5")
    return number
