from hypothesis import given
from hypothesis import strategies as st

from services.geo_api.offers.codes import (
    ALPHABET,
    GROUP_SYMBOLS,
    GROUPS,
    code_hash,
    lookup_key,
    new_code,
    read_code,
)
from shared.sealing import StorageKey

codes = st.builds(lambda _: new_code(), st.integers())
places = st.integers(0, GROUPS * GROUP_SYMBOLS - 1)


@given(codes)
def test_a_new_code_reads_as_itself(code: str) -> None:
    assert read_code(code) == code


@given(codes, st.sampled_from(["", " ", "-", "  - "]))
def test_case_spaces_and_dashes_do_not_matter(code: str, between: str) -> None:
    assert read_code(f" {code.lower().replace('-', between)} ") == code


@given(codes)
def test_look_alikes_are_read_as_the_digits_they_look_like(code: str) -> None:
    typed = code.translate(str.maketrans("0152", "OISZ"))

    assert read_code(typed) == code


@given(codes, places, st.sampled_from(ALPHABET))
def test_one_wrong_symbol_is_noticed_without_a_look_up(code: str, at: int, wrong: str) -> None:
    plain = code.replace("-", "")
    typed = plain[:at] + wrong + plain[at + 1 :]

    assert (read_code(typed) == code) == (typed == plain)
    assert read_code(typed) in (code if typed == plain else None, None)


@given(codes, st.integers(0, GROUPS - 1), st.integers(0, 1))
def test_two_neighbours_exchanged_within_a_group_are_noticed(
    code: str, group: int, at: int
) -> None:
    plain = list(code.replace("-", ""))
    here = group * GROUP_SYMBOLS + at
    plain[here], plain[here + 1] = plain[here + 1], plain[here]
    typed = "".join(plain)

    assert read_code(typed) == (code if typed == code.replace("-", "") else None)


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused_without_an_error(text: str) -> None:
    code = read_code(text)

    assert code is None or read_code(code) == code


def test_codes_of_another_installation_have_other_hashes() -> None:
    keys = [lookup_key(StorageKey(bytes([n]) * 32)) for n in (1, 2)]

    assert code_hash(keys[0], "A") != code_hash(keys[1], "A")
    assert code_hash(keys[0], "A") != code_hash(keys[0], "B")
