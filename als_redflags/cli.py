"""The command ``als-redflags``: parses, reads, calls the library, prints."""

import json
import os
import signal
import sys
from contextlib import nullcontext
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from als_redflags import __version__
from als_redflags.errors import InputError, RedFlagsError

if TYPE_CHECKING:
    from rich.console import Console

app = typer.Typer(
    help="Reads marketing text of clinics and says, with evidence, how strongly it waves red flags.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
)

EXIT_FAIL_ON = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130
_TABLE_WIDTH = 160
MAX_CHARS = 2_000_000  # as Scorer.max_chars, which is not imported for --help


class Format(StrEnum):
    """Output of ``score``."""

    TEXT = "text"
    JSON = "json"
    JSONL = "jsonl"
    CSV = "csv"
    SARIF = "sarif"
    HTML = "html"


class RulesFormat(StrEnum):
    """Output of ``rules``."""

    TEXT = "text"
    JSON = "json"
    MARKDOWN = "markdown"


class CorpusFormat(StrEnum):
    """Output of ``corpus``."""

    TEXT = "text"
    MARKDOWN = "markdown"


class PlainFormat(StrEnum):
    """Output of ``evaluate``."""

    TEXT = "text"
    JSON = "json"


class Flags(StrEnum):
    """Columns of ``batch`` for the flags."""

    LIST = "list"
    WIDE = "wide"
    NONE = "none"


class Engine(StrEnum):
    """Where ``batch`` scores."""

    LOCAL = "local"
    DASK = "dask"


class Progress(StrEnum):
    """How ``batch`` shows how far it is."""

    AUTO = "auto"
    PLAIN = "plain"
    NONE = "none"


class FailOn(StrEnum):
    """The verdict from which ``score`` exits with status 1."""

    CAUTION = "caution"
    HIGH = "high"


def _table_console() -> "Console":
    """A console for tables: as wide as the terminal, or wide enough for whole rows in a file or pipe."""
    from rich.console import Console

    return Console(highlight=False, width=None if sys.stdout.isatty() else _TABLE_WIDTH)


def _complain(problem: object) -> None:
    """Print a problem; it may name a file, whose name may hold what a terminal obeys."""
    plain = "".join(c if c.isprintable() or c == "\n" else "\ufffd" for c in str(problem))
    typer.echo(f"als-redflags: {plain}", err=True)


def _fail(error: RedFlagsError) -> NoReturn:
    _complain(error)
    raise typer.Exit(EXIT_USAGE)


def _print_version(value: bool) -> None:
    if value:
        typer.echo(f"als-redflags {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version.")] = False,
) -> None:
    """Reads marketing text of clinics and says, with evidence, how strongly it waves red flags."""


@app.command()
def score(
    paths: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[PATH ...|-]", help="Text, HTML, MHTML, PDF or Word files; - or nothing for pasted text or HTML."
        ),
    ] = None,
    format: Annotated[Format, typer.Option(help="How to print the result.")] = Format.TEXT,
    output: Annotated[Path | None, typer.Option(help="Write to this file instead of the screen.")] = None,
    fail_on: Annotated[FailOn | None, typer.Option(help="Exit with status 1 from this verdict on.")] = None,
    show_discounted: Annotated[
        bool, typer.Option("--show-discounted", help="List what was mentioned, not claimed, and why.")
    ] = False,
    show_text: Annotated[bool, typer.Option("--show-text", help="Print the text that is scored, with line numbers.")] = False,
    model: Annotated[Path | None, typer.Option(help="Folder of another trained model.")] = None,
    max_chars: Annotated[int, typer.Option(min=1, help="Longer texts are refused.")] = MAX_CHARS,
) -> None:
    """Score saved pages, documents and text files, or text pasted into the terminal."""
    from als_redflags import readers
    from als_redflags.report import Verdict
    from als_redflags.scorer import Scorer, too_long

    names = paths or ["-"]
    if names.count("-") and sys.stdin.isatty():
        end = "Ctrl-Z and Enter" if sys.platform == "win32" else "Ctrl-D"
        typer.echo(f"Paste the text, then press {end} on a line of its own.", err=True)
    texts: list[tuple[str, str]] = []
    unread = 0
    for name in names:
        try:
            page = readers.read_stdin_page() if name == "-" else readers.read_page(name)
            if len(page.text) > max_chars:
                source = "standard input" if name == "-" else name
                raise InputError(f"{source}: {too_long(page.text, max_chars)}; score its pages one by one, or raise --max-chars")
        except RedFlagsError as error:
            unread += 1
            _complain(error)
            continue
        texts.append((name, page.text))
        for note in page.notes:
            typer.echo(f"als-redflags: {'standard input' if name == '-' else name}: {note}", err=True)
    if not texts:
        raise typer.Exit(EXIT_USAGE)
    try:
        scorer = Scorer.load(model)
        scorer.max_chars = max_chars
        reports = [scorer.score(text, source="standard input" if name == "-" else name) for name, text in texts]
    except RedFlagsError as error:
        _fail(error)
    if show_text:
        from als_redflags import render

        aside = format is not Format.TEXT  # JSON stays JSON
        for name, text in texts:
            typer.echo(f"--- {name}", err=aside)
            for number, line in enumerate(render.printable(text).split("\n"), start=1):
                typer.echo(f"{number:5}  {line}", err=aside)
    try:
        with output.open("w", encoding="utf-8") if output else nullcontext(sys.stdout) as stream:
            if format is Format.TEXT:
                from rich.console import Console

                from als_redflags import render

                console = Console(file=stream, highlight=False)
                for index, report in enumerate(reports):
                    if index:
                        console.print()
                    render.print_report(console, report, scorer.book, show_discounted=show_discounted)
                if len(reports) > 1:
                    console.print()
                    render.print_table(console, reports)
            elif format is Format.SARIF:
                from als_redflags.sarif import to_sarif

                stream.write(to_sarif(reports, [text for _, text in texts], scorer.book))
            elif format is Format.CSV:
                from als_redflags.spreadsheet import to_csv

                stream.write(to_csv(reports))
            elif format is Format.HTML:
                from als_redflags.html_report import to_html

                stream.write(to_html(scorer, [(text, report) for (_, text), report in zip(texts, reports, strict=True)]))
            else:
                from als_redflags import render

                stream.write(render.to_json(reports, lines=format is Format.JSONL, several=len(names) > 1))
            stream.flush()
    except OSError as error:
        if output is None:  # or Python would try again to write the rest when it ends
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        _complain(f"{output or 'the output'}: cannot be written ({error.strerror})")
        raise typer.Exit(EXIT_USAGE) from None
    if unread:
        raise typer.Exit(EXIT_USAGE)
    limit = {FailOn.CAUTION: (Verdict.CAUTION, Verdict.HIGH), FailOn.HIGH: (Verdict.HIGH,), None: ()}[fail_on]
    if any(report.verdict in limit for report in reports):
        raise typer.Exit(EXIT_FAIL_ON)


@app.command()
def batch(
    input: Annotated[Path, typer.Argument(help="Table: .csv .tsv .jsonl (also .gz, .zst) or .parquet.")],
    output: Annotated[Path, typer.Option(help="Table to write, of any of these formats.")],
    text_column: Annotated[str, typer.Option(help="Column with the texts.")] = "text",
    id_column: Annotated[str | None, typer.Option(help="Column that names the rows in messages.")] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Worker processes.")] = 1,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a run that was broken off.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the output.")] = False,
    flags: Annotated[Flags, typer.Option(help="Flags as one column, one column each, or not at all.")] = Flags.LIST,
    engine: Annotated[Engine, typer.Option(help="Score on this machine, or on a Dask cluster.")] = Engine.LOCAL,
    scheduler: Annotated[str | None, typer.Option(help="Address of a Dask scheduler, instead of a cluster of its own.")] = None,
    progress: Annotated[Progress, typer.Option(help="A bar on a terminal, plain lines, or nothing.")] = Progress.AUTO,
    model: Annotated[Path | None, typer.Option(help="Folder of another trained model.")] = None,
    max_chars: Annotated[int, typer.Option(min=1, help="Longer texts are not scored.")] = 1_000_000,
    guard_formulas: Annotated[
        bool, typer.Option(help="Put an apostrophe before cells of CSV and TSV that a spreadsheet would run.")
    ] = True,
) -> None:
    """Score a table of texts of any size into another table."""
    from als_redflags import batch as tables
    from als_redflags.progress import shown, summary_text

    try:
        if scheduler and engine is not Engine.DASK:
            raise RedFlagsError("--scheduler belongs to --engine dask")
        where = None
        if engine is Engine.DASK:
            from als_redflags.distributed import dask_engine

            where = dask_engine(scheduler, jobs)
        with shown(progress.value) as on_progress:
            summary = tables.score_table(
                input, output, text_column=text_column, id_column=id_column, jobs=jobs, resume=resume, force=force,
                flags=flags.value, model=model, max_chars=max_chars, guard_formulas=guard_formulas, engine=where,
                on_progress=on_progress,
            )  # fmt: skip
    except RedFlagsError as error:
        _fail(error)
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C must not break the message
        typer.echo("als-redflags: interrupted; the rows done so far are kept, go on with --resume", err=True)
        raise typer.Exit(EXIT_INTERRUPTED) from None
    typer.echo(summary_text(summary, str(output)), nl=False)


@app.command()
def rules(
    rule_id: Annotated[str | None, typer.Argument(metavar="[ID]", help="Explain one rule.")] = None,
    format: Annotated[RulesFormat, typer.Option(help="How to print.")] = RulesFormat.TEXT,
    test: Annotated[bool, typer.Option("--test", help="Run the examples inside the rule files.")] = False,
    folder: Annotated[Path | None, typer.Option("--rules", metavar="DIR", help="Another folder of rules; it is checked.")] = None,
) -> None:
    """List the rules, explain one, or run their own tests."""
    from als_redflags import render
    from als_redflags.rulebook import RuleBook

    try:
        book = RuleBook.load(folder)
        if rule_id is not None and rule_id not in book.rules:
            raise RedFlagsError(f"there is no rule {rule_id!r}; 'als-redflags rules' lists them")
    except RedFlagsError as error:
        _fail(error)
    chosen = [book.rules[rule_id]] if rule_id else list(book.rules.values())
    console = _table_console()
    if test:
        from als_redflags.matcher import RuleMatcher
        from als_redflags.selftest import failures
        from als_redflags.stance import StanceReader

        try:
            found = failures(StanceReader(RuleMatcher(book)), chosen)
        except RedFlagsError as error:
            _fail(error)
        render.print_rules(console, chosen, found)
        for failure in found:
            console.print(str(failure), markup=False)
        examples = sum(len(rule.fires) + len(rule.silent) for rule in chosen)
        console.print(f"{len(chosen)} rules, {examples} examples, {len(found)} failed")
        raise typer.Exit(EXIT_FAIL_ON if found else 0)
    if format is RulesFormat.MARKDOWN:
        typer.echo(render.rules_markdown(chosen), nl=False)
    elif format is RulesFormat.JSON:
        entries = [
            {
                "id": r.id,
                "role": r.role,
                "family": r.family,
                "title": r.title,
                "severity": r.severity,
                "why": r.why,
                "sources": [vars(s) for s in r.sources],
                "fires": list(r.fires),
                "silent": list(r.silent),
            }
            for r in chosen
        ]
        typer.echo(json.dumps(entries[0] if rule_id else entries, indent=2, ensure_ascii=False))
    elif rule_id:
        render.print_rule(console, chosen[0])
    else:
        render.print_rules(console, chosen)


@app.command()
def train(
    data: Annotated[Path, typer.Option(help="Folder with the labelled .jsonl files.")] = Path("data"),
    output: Annotated[Path, typer.Option(help="Folder for the model.")] = Path("models"),
    measure: Annotated[Path | None, typer.Option(help="Labelled documents to measure on, for the model card.")] = None,
    rules: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Another folder of rules, which the model then carries.")
    ] = None,
    save_pipeline: Annotated[Path | None, typer.Option(help="Also write the fitted scikit-learn pipeline (joblib).")] = None,
) -> None:
    """Train text model and combiner on a corpus and write the model with its card."""
    from als_redflags import render
    from als_redflags.train import train as run

    try:
        training = run(data, output, measure, rules)
    except RedFlagsError as error:
        _fail(error)
    if save_pipeline:
        import joblib

        joblib.dump(training.pipeline, save_pipeline)
    typer.echo(f"{output / 'redflags.json'}, {output / 'redflags.npz'} and {output / 'MODEL_CARD.md'} written. Out of fold:")
    render.print_metrics(_table_console(), training.combined)


@app.command()
def corpus(
    data: Annotated[Path, typer.Argument(help="Folder with the labelled .jsonl files.")] = Path("data"),
    format: Annotated[
        CorpusFormat, typer.Option(help="Coverage as Markdown, or what is wrong and how varied it is.")
    ] = CorpusFormat.TEXT,
) -> None:
    """Check a corpus: format, repetition, coverage and variety."""
    from als_redflags import corpus as labelled
    from als_redflags import diversity
    from als_redflags.rulebook import RuleBook

    try:
        documents = labelled.read(data)
        found = labelled.problems(documents, RuleBook.load().rules)
    except RedFlagsError as error:
        _fail(error)
    if format is CorpusFormat.MARKDOWN:
        typer.echo(diversity.coverage_markdown(documents), nl=False)
    else:
        typer.echo(diversity.diversity_text(diversity.diversity(documents)), nl=False)
        for problem in found:
            typer.echo(problem)
        typer.echo(f"{len(documents)} documents, {len(found)} problems")
    raise typer.Exit(EXIT_FAIL_ON if found else 0)


@app.command()
def evaluate(
    labelled: Annotated[Path, typer.Argument(help="Labelled .jsonl file, or a folder of them.")],
    format: Annotated[PlainFormat, typer.Option(help="How to print.")] = PlainFormat.TEXT,
    spans: Annotated[bool, typer.Option("--spans", help="Also compare flags with marked spans.")] = False,
    rules: Annotated[
        bool, typer.Option("--rules", help="Also show hits, overlap and the worst false alarms of each rule.")
    ] = False,
    model: Annotated[Path | None, typer.Option(help="Folder of another trained model.")] = None,
) -> None:
    """Measure the scores on labelled documents."""
    from als_redflags import corpus
    from als_redflags import evaluate as evaluation
    from als_redflags.scorer import Scorer

    try:
        documents = corpus.read(labelled)
        scorer = Scorer.load(model)
        metrics, reports = evaluation.evaluate(scorer, documents)
    except RedFlagsError as error:
        _fail(error)
    quality = evaluation.rule_quality(documents, reports) if spans or rules else {}
    discounted = evaluation.discounted_quality(documents, reports) if spans else None
    if format is PlainFormat.JSON:
        data = metrics.to_dict()
        if quality:
            data["flags"] = {name: asdict(entry) for name, entry in quality.items()}
        if discounted:
            data["discounted"] = list(discounted)
        typer.echo(json.dumps(data, indent=2, ensure_ascii=False))
        return
    from als_redflags import render

    console = _table_console()
    render.print_metrics(console, metrics)
    if discounted:
        render.print_flag_quality(console, quality, discounted, scorer.book)
    if rules:
        render.print_rule_quality(console, quality)


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on; others can use the page if it is not this machine's own.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")] = 8000,
    model: Annotated[Path | None, typer.Option(help="Folder of another trained model.")] = None,
) -> None:
    """Open a page on this machine to paste texts into; nothing is stored or sent anywhere."""
    try:
        from als_redflags import server
    except ModuleNotFoundError as error:
        _fail(RedFlagsError(f"the page needs the package {error.name}; install it with: pip install 'als-redflags[web]'"))
    from als_redflags.scorer import Scorer

    try:
        server.serve(Scorer.load(model), host, port, typer.echo)
    except RedFlagsError as error:
        _fail(error)


def main() -> None:
    """Entry point: typer's own status, and 130 when interrupted."""
    try:
        app()
    except KeyboardInterrupt:
        typer.echo("als-redflags: interrupted", err=True)
        sys.exit(EXIT_INTERRUPTED)
