"""Fuzz WeChat's parsers and callback: ``python -m tests.fuzz.wechat --minutes 10``.

A coverage-guided fuzzer (atheris, which is libFuzzer; ``pip install atheris``) runs in a process
of its own and stops at the first error, whose input it leaves in a file here. What it found
interesting is then fed again and again under tracemalloc, to see that no memory stays behind.
``--corpus`` keeps that for the next time.
"""

import argparse
import gc
import re
import subprocess
import sys
import tempfile
import time
import tracemalloc
from pathlib import Path

_ROUNDS = 6
_REPLAY_S = 60.0
_MAY_STAY_BYTES = 4096
_STATISTICS = re.compile(r"stat::(\w+):\s+(\d+)")
_COVERAGE = re.compile(r"cov: (\d+) ft: (\d+) corp: (\d+)")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.wechat")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--corpus", type=Path)
    parser.add_argument("--fuzz", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.fuzz is not None:
        fuzz(options.fuzz)
    with tempfile.TemporaryDirectory() as folder:
        corpus = options.corpus or Path(folder)
        return search(corpus, options.minutes) or replay(corpus)


def fuzz(arguments: list[str]) -> None:
    """Be the fuzzer; it ends the process."""
    import atheris  # noqa: PLC0415 - needed for this alone

    with atheris.instrument_imports(include=["shared.wechat"]):
        from tests.fuzz import wechat_targets  # noqa: PLC0415 - instrumented as it is imported

    atheris.Setup([sys.argv[0], *arguments], wechat_targets.feed)
    atheris.Fuzz()


def search(corpus: Path, minutes: float) -> int:
    """Fuzz for so long in another process; its exit status, 0 where nothing was found."""
    from tests.fuzz.wechat_targets import seeds, words  # noqa: PLC0415 - the child has its own

    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds()):
        (corpus / f"seed-{number:04}").write_bytes(seed)
    with tempfile.TemporaryDirectory() as folder:
        dictionary = Path(folder, "words")
        dictionary.write_text("\n".join(map(quoted, words())))
        command = [
            sys.executable, "-m", "tests.fuzz.wechat", "--fuzz", str(corpus),
            f"-max_total_time={round(minutes * 60)}", f"-dict={dictionary}", "-max_len=8192",
            "-timeout=10", "-rss_limit_mb=1024", "-print_final_stats=1",
        ]  # fmt: skip
        done = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)
    report(done.stderr, done.returncode)
    return done.returncode


def quoted(word: bytes) -> str:
    return '"' + "".join(f"\\x{byte:02x}" for byte in word) + '"'


def report(log: str, status: int) -> None:
    found = dict(_STATISTICS.findall(log))
    progress = _COVERAGE.findall(log)
    if status or not progress:
        say(log[-8000:])
        return
    say(f"{found['number_of_executed_units']} inputs, nothing but the two refusals")
    say(f"branches reached: {progress[0][0]} by the seeds, {progress[-1][0]} in the end")
    say(f"interesting inputs: {progress[-1][2]}; peak memory {found['peak_rss_mb']} MiB")


def replay(corpus: Path) -> int:
    """Feed the corpus in rounds; 1 where a round leaves memory behind that the first did not."""
    from tests.fuzz.wechat_targets import feed  # noqa: PLC0415 - as above

    inputs = [path.read_bytes() for path in sorted(corpus.iterdir())]
    tracemalloc.start()
    held: list[int] = []
    resident: list[int] = []
    ends = time.monotonic() + _REPLAY_S
    while len(held) < _ROUNDS and (len(held) < 3 or time.monotonic() < ends):
        for data in inputs:
            feed(data)
        gc.collect()
        held.append(tracemalloc.get_traced_memory()[0])
        resident.append(resident_kib())
    stays = held[-1] - held[1]
    say(f"{len(held)} rounds of {len(inputs)} inputs: {stays} bytes stayed after the second")
    say(f"resident: {resident[1]} KiB after the second round, {resident[-1]} KiB after the last")
    return int(stays > _MAY_STAY_BYTES)


def resident_kib() -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
