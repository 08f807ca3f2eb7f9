"""A table scored at scale: read in chunks, duplicates once, by workers, with a checkpoint behind every chunk."""

import hashlib
import json
import sys
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from als_redflags import __version__, outcome
from als_redflags.checkpoint import PartFolder
from als_redflags.encode import CsvEncoder, Encoder, JsonlEncoder
from als_redflags.errors import BatchError, InputError
from als_redflags.lines import import_zstandard
from als_redflags.outcome import FLAG_COLUMNS, MAX_CHARS, FlagColumns, Outcome
from als_redflags.tables import Chunk, TableFormat, TextTable
from als_redflags.workers import Engine, Pending, Workers, inline, loaded_scorer, processes

if TYPE_CHECKING:
    from als_redflags.parquet import ParquetTable

# One piece of work: enough to be worth the way to a worker, little enough that nobody waits long for the last one.
_PIECE_TEXTS = 50
_PIECE_CHARS = 50_000
_REMEMBERED = 100_000  # texts whose outcome is kept for their repetitions
_FAILURES_SHOWN = 10


@dataclass
class Summary:
    """What became of a table: ``n_rows`` rows stand in the output, and ``verdicts`` counts them.

    ``n_failed`` of them could not be scored (null, no text, too long, an error) and are among the ``insufficient``;
    ``failures`` holds the first ten with row (counted from 1), id and reason. ``n_repeated`` rows had the text of an earlier row
    and got its result. ``flags`` counts the rows in which a flag was raised. ``n_rejected`` lines of the input were
    malformed and stand in ``OUT.rejected.jsonl``, ``n_blank`` lines were empty.
    """

    n_rows: int = 0
    n_rejected: int = 0
    n_blank: int = 0
    n_failed: int = 0
    n_repeated: int = 0
    verdicts: Counter[str] = field(default_factory=Counter)
    flags: Counter[str] = field(default_factory=Counter)
    failures: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        # a checkpoint holds plain dictionaries
        self.verdicts, self.flags = Counter(self.verdicts), Counter(self.flags)

    def add(self, scored: "Scored", ids: list[Any] | None) -> None:
        for index, found in enumerate(scored.outcomes):
            if found.failed and len(self.failures) < _FAILURES_SHOWN:
                name = None if ids is None or ids[index] is None else str(ids[index])
                self.failures.append({"row": self.n_rows + index + 1, "id": name, "reason": found.reason})
            self.n_failed += found.failed
            self.flags.update(found.flags)
        self.verdicts.update(found.verdict for found in scored.outcomes)
        self.n_rows += len(scored.outcomes)
        self.n_repeated += scored.n_repeated


class Scored(NamedTuple):
    """A chunk with one outcome for each of its rows."""

    chunk: Chunk
    outcomes: list[Outcome]
    n_repeated: int


def score_table(
    input: str | Path,
    output: str | Path,
    *,
    text_column: str = "text",
    id_column: str | None = None,
    jobs: int = 1,
    resume: bool = False,
    force: bool = False,
    flags: FlagColumns = "list",
    model: str | Path | None = None,
    max_chars: int = MAX_CHARS,
    guard_formulas: bool = True,
    engine: Engine | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Summary:
    """Score the texts of one file into another: CSV, TSV, JSON Lines (also .gz and .zst) or Parquet, told from the names.

    The output holds all columns of the input and those of :meth:`Scorer.score_frame`, in the order of the input. It is put in
    its place when it is complete; until then the rows stand in the folder ``OUT.part``, from which ``resume`` goes on to the
    same bytes.
    Texts longer than ``max_chars`` are not scored. With ``guard_formulas`` cells of CSV and TSV that a spreadsheet would take for
    a formula get a leading apostrophe. ``on_progress`` is called with the rows done and the rows there are.

    Raises
    ------
    InputError
        If the input is no readable table, lacks a column, or has one of the names that are added.
    BatchError
        If the output cannot be written or may not be overwritten, the run cannot go on, or a worker was killed.
    ModelError
        If the model is missing or damaged.
    ValueError
        If ``jobs`` or ``max_chars`` is below 1, or ``flags`` is none of the three words.
    """
    if jobs < 1 or max_chars < 1 or flags not in FLAG_COLUMNS:
        raise ValueError(f"jobs and max_chars are at least 1, and flags is one of {', '.join(FLAG_COLUMNS)}")
    source = _Source(Path(input))
    format = TableFormat.of(output)
    if Path(output).exists() and Path(output).samefile(input):
        raise BatchError(f"{output}: is the input; name another output")
    folder_of_model = None if model is None else Path(model).resolve()
    start = engine or (processes(jobs) if jobs > 1 else inline)
    # worker processes load their model while this one looks at the table
    with PartFolder(output, resume=resume, force=force) as folder, start(folder_of_model) as workers:
        scorer = loaded_scorer(folder_of_model)
        ids_of_rules = outcome.red_flags(scorer.book)
        sha256 = source.sha256()
        with folder.rejects() as write:
            table = _open_table(source.path, write)
        source.check()
        try:
            outcome.check_columns(table.columns, text_column, outcome.column_names(flags, ids_of_rules), id_column)
        except InputError as error:
            apart = "; are the cells separated by something else than its name says?" if len(table.columns) == 1 else ""
            raise InputError(f"{input}: {error}{apart}") from None
        encoder = _encoder(format, table, outcome.column_names(flags, ids_of_rules), guard_formulas)
        state = folder.start(
            {
                "the input": sha256,
                "the text column": text_column,
                "the choice of flags": flags,
                "the limit of characters": max_chars,
                "the guard against formulas": guard_formulas,
                # the header holds hashes of everything else that a score depends on
                "the model": hashlib.sha256(json.dumps(scorer.trained.header, sort_keys=True).encode()).hexdigest(),
                "the version of als_redflags": __version__,
            }
        )
        summary = Summary(**state) if state else Summary(n_rejected=table.n_rejected, n_blank=table.n_blank)
        header = encoder.header() if state is None else b""
        progress = on_progress or (lambda done, total: None)
        progress(summary.n_rows, table.n_rows)
        chunks = source.watched(table.chunks(summary.n_rows))
        for scored in score_chunks(chunks, text_column, workers, max_chars):
            data = encoder.encode(scored.chunk, outcome.columns(scored.outcomes, flags, ids_of_rules))
            summary.add(scored, scored.chunk.column(id_column) if id_column else None)
            folder.append(header + data, vars(summary))
            header = b""
            progress(summary.n_rows, table.n_rows)
        if summary.n_rows != table.n_rows:
            raise source.changed()
        if header:
            folder.append(header, vars(summary))
        folder.finish(encoder.finish, has_rejected=table.n_rejected > 0)
    return summary


def _open_table(path: Path, write: Callable[[str], None]) -> "TextTable | ParquetTable":
    if TableFormat.of(path).kind == "parquet":
        from als_redflags.parquet import ParquetTable

        return ParquetTable(path)
    return TextTable(path, lambda rejected: write(rejected.to_json()))


def _encoder(format: TableFormat, table: "TextTable | ParquetTable", added: list[str], guard: bool) -> Encoder:
    if format.kind == "parquet":
        from als_redflags.parquet import ParquetEncoder, text_schema

        return ParquetEncoder(text_schema(table) if isinstance(table, TextTable) else table.schema, added)
    if format.compression == "zstd":
        import_zstandard()  # that it lacks must not come out at the end
    return JsonlEncoder(format) if format.kind == "jsonl" else CsvEncoder(format, table.columns, added, guard=guard)


class _Source:
    """The input file, and whether it is still the one that the run began with."""

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.exists():
            raise InputError(f"{path}: no such file")
        if not path.is_file():
            raise InputError(f"{path}: is a folder or a stream; name a file, which can be read twice")
        TableFormat.of(path)
        self._stat = self._look()

    def _look(self) -> tuple[int, ...]:
        try:
            found = self.path.stat()
        except OSError:
            raise self.changed() from None
        return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns

    def sha256(self) -> str:
        try:
            with self.path.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise InputError(f"{self.path}: cannot be read ({error.strerror})") from None

    def check(self) -> None:
        if self._look() != self._stat:
            raise self.changed()

    def changed(self) -> BatchError:
        return BatchError(
            f"{self.path}: was changed or replaced while it was read; rows of two versions must not be mixed. Start again with "
            "--force, or put the old file back and go on with --resume"
        )

    def watched(self, chunks: Iterable[Chunk]) -> Iterator[Chunk]:
        """The chunks, each checked to be of the same file before it is handed over."""
        try:
            for chunk in chunks:
                self.check()
                yield chunk
        except InputError:
            self.check()
            raise


class _Slot:
    """Place of an outcome that is still to come; rows with the same text share it."""

    __slots__ = ("outcome",)
    outcome: Outcome


@dataclass
class _Started:
    """A chunk that is being worked on: a slot for each row, and the pieces of work that fill them."""

    chunk: Chunk
    slots: list[_Slot] = field(default_factory=list)
    pieces: list[tuple[Pending, list[_Slot]]] = field(default_factory=list)
    n_repeated: int = 0

    def finish(self) -> Scored:
        for pending, slots in self.pieces:
            for slot, found in zip(slots, pending.result(), strict=True):
                # strings from another process are new ones each time, and many of these are kept
                flags = tuple(map(sys.intern, found.flags))
                slot.outcome = found._replace(verdict=sys.intern(found.verdict), flags=flags)
        return Scored(self.chunk, [slot.outcome for slot in self.slots], self.n_repeated)


def score_chunks(chunks: Iterable[Chunk], text_column: str, workers: Workers, max_chars: int = MAX_CHARS) -> Iterator[Scored]:
    """The chunks in their order with their outcomes; as many are read ahead as keep the workers busy.

    A text that is among the last 100,000 different ones is not scored again.
    """
    known: OrderedDict[bytes, _Slot] = OrderedDict()
    started: deque[_Started] = deque()
    for chunk in chunks:
        started.append(_start(chunk, text_column, workers, max_chars, known))
        while len(started) > 2 * workers.n or sum(len(later.pieces) for later in list(started)[1:]) >= 2 * workers.n:
            yield started.popleft().finish()
    while started:
        yield started.popleft().finish()


def _start(chunk: Chunk, text_column: str, workers: Workers, max_chars: int, known: OrderedDict[bytes, _Slot]) -> _Started:
    started = _Started(chunk)
    texts: list[str] = []
    slots: list[_Slot] = []

    def submit() -> None:
        started.pieces.append((workers.submit(texts.copy()), slots.copy()))
        texts.clear()
        slots.clear()

    for value in chunk.column(text_column):
        failure = outcome.unscorable(value, max_chars)
        key = b"" if failure else hashlib.blake2b(value.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        slot = known.get(key)
        if failure:
            slot = _Slot()
            slot.outcome = failure
        elif slot:
            started.n_repeated += 1
            known.move_to_end(key)
        else:
            slot = known[key] = _Slot()
            if len(known) > _REMEMBERED:
                known.popitem(last=False)
            texts.append(value)
            slots.append(slot)
            if len(texts) == _PIECE_TEXTS or sum(map(len, texts)) >= _PIECE_CHARS:
                submit()
        started.slots.append(slot)
    if texts:
        submit()
    return started
