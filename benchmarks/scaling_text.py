"""What scoring costs against the length of a text: time and memory for each word, from 10 to a million words.

    python benchmarks/scaling_text.py [MOST_WORDS]

If the cost is linear, the time for each word stays where it is: the column "times", the ratio to the line above, stays near 1.
The kinds are ordinary prose (the corpus, text after text), pages of nothing but claims, and what is hard on regular expressions
and on recursion. Memory is the peak that Python allocates while a text is scored, for each character of it.
"""

import sys
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

from als_redflags import Scorer, corpus

DATA = Path(__file__).parent.parent / "data"
LENGTHS = [10**power for power in range(1, 7)]
MEMORY_WORDS = 30_000


def prose(words: int) -> str:
    found: list[str] = []
    while sum(map(len, found)) < words * 6:
        found += (document.text for document in corpus.read(DATA)[::7])
    return " ".join("\n\n".join(found).split(" ")[:words])


def repeat(piece: str) -> Callable[[int], str]:
    return lambda words: piece * max(words // len(piece.split()), 1)


KINDS: dict[str, Callable[[int], str]] = {
    "prose": prose,
    "claims, one line": repeat("Our stem cells cure ALS patients in our clinic today. "),
    "claims, no full stop": repeat("our stem cells cure als patients in our clinic today "),
    "quoted claims": repeat('"our stem cells cure ALS" '),
    "list of claims": repeat("- our stem cells cure ALS\n"),
    "lead-ins": repeat(
        "The weather of the hills was grey and cold on the long days of that winter and people told stories like:\n"
    ),
    "nested tags": lambda words: "<b>" * (words // 2) + " our stem cells cure ALS " + "</b>" * (words // 2),
    "exclamation marks": lambda words: "!" * (words * 5),
    "abbreviations": repeat("e.g. dr. a. "),
}


def main() -> None:
    most = int(sys.argv[1]) if len(sys.argv) > 1 else LENGTHS[-1]
    scorer = Scorer.load()
    scorer.max_chars = 10**9
    scorer.score(prose(1000))
    for kind, make in KINDS.items():
        before = 0.0
        for words in (length for length in LENGTHS if length <= most):
            text = make(words)
            begin = time.perf_counter()
            rounds = 0
            while rounds < 1 or time.perf_counter() - begin < 0.05:
                scorer.score(text)
                rounds += 1
            each = (time.perf_counter() - begin) / rounds / words * 1e6
            ratio = f"{each / before:8.2f} times" if before else ""
            print(f"{kind:22} {words:9,} words {len(text):10,} characters {each:8.2f} microseconds a word {ratio}", flush=True)
            before = each
        text = make(MEMORY_WORDS)
        tracemalloc.start()
        scorer.score(text)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        print(f"{kind:22} {MEMORY_WORDS:9,} words: at most {peak / len(text):.0f} bytes for each character")


if __name__ == "__main__":
    main()
