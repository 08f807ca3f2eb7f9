"""Rule files: loaded, checked, and held as plain data.

A rule book is a folder: ``<family>/<rule-id>.yaml`` (one rule a file), ``lexicon/*.txt`` (word lists), ``stance.yaml``
(cues that discount a match) and ``sources.yaml`` (who names a red flag). YAML is read with the safe loader, in files of limited
size and without aliases, which could unfold into more than fits into memory. Patterns cannot hold regular expressions.
"""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, is_dataclass
from functools import cache, cached_property
from importlib.resources import files
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import yaml

from als_redflags.errors import RuleError
from als_redflags.patterns import Chain, Label, parse
from als_redflags.shapes import SHAPE_NAMES

RULES = Path(str(files("als_redflags"))) / "rules"  # the shipped ones
ROLES = ("red_flag", "offer", "honest", "legitimacy")
SEVERITY_POINTS = {"high": 3, "medium": 2, "low": 1}
STANCES = ("negated", "attributed", "warned", "asked", "hypothetical", "historical", "quoted", "accepted_care", "other_seller")

# What a sentence can hold besides rules and cues; stance.yaml says what each is for.
FRAMES = ("topic", "short_topic", "lawful", "break", "rhetorical")

RawPattern = list[dict[str, Any]]  # a spaCy Matcher token pattern, given as it is


@dataclass(frozen=True)
class Source:
    """Who names a red flag, and where it can be read."""

    key: str
    organisation: str
    title: str
    year: str
    url: str


@dataclass(frozen=True)
class Spread:
    """Condition of a rule that counts: entries of a lexicon named close together, over several sub-lists of it.

    Fires where at least ``terms`` different entries from at least ``groups`` of its included lists stand in
    neighbouring sentences.
    """

    lexicon: str
    terms: int
    groups: int


@dataclass(frozen=True)
class PageCondition:
    """Condition on a whole page that sells: something is named there, and something that belongs beside it is not said.

    Fires on an offer page of at least ``min_words`` words that names an entry of every lexicon in ``names``, holds a match
    of a ``present`` pattern (if there are any) and no match of an ``absent`` pattern, in whatever stance.
    """

    min_words: int
    names: tuple[str, ...]
    present: tuple[str | RawPattern, ...]
    absent: tuple[str | RawPattern, ...]


@dataclass(frozen=True)
class Rule:
    """One rule; ``patterns`` and ``unless`` hold compact notation (str) or spaCy token patterns (list).

    ``on_offer``: patterns that count only where an unproven treatment is named and something is on offer, for words that are
    harmless elsewhere ("free consultation"). ``needs_offer``: no pattern counts without an offer. ``credential``: what it finds
    (an ethics board, a registry number, a disclaimer) is a token that sellers add freely, so its sentence speaks neither for nor
    against a text. ``ignores``: stances that do not discount it.
    """

    id: str
    role: str
    family: str
    title: str
    why: str
    severity: str | None
    sources: tuple[Source, ...]
    patterns: tuple[str | RawPattern, ...]
    on_offer: tuple[str | RawPattern, ...]
    unless: tuple[str | RawPattern, ...]
    spread: Spread | None
    page: PageCondition | None
    needs_offer: bool
    credential: bool
    ignores: frozenset[str]
    fires: tuple[str, ...]
    silent: tuple[str, ...]

    @property
    def points(self) -> int:
        """Severity as a number: 3 high, 2 medium, 1 low, 0 for rules that are no red flag."""
        return SEVERITY_POINTS[self.severity] if self.severity else 0

    @property
    def by_absence(self) -> bool:
        """Whether the rule fires for what a page leaves out. Such a flag informs; it does not move the score.

        Otherwise a seller who adds a sentence about risks or an ethics board would lower the score.
        """
        return self.page is not None and bool(self.page.absent)


@dataclass(frozen=True)
class Cue:
    """Words that take away (or, with stance ``none``, protect) the assertion of a match near them.

    ``scope`` is ``before`` (the cue stands before the match), ``after``, ``sentence``, or ``heading`` (it stands in the
    line that governs the block). ``reach`` is the largest distance in tokens. ``sellers_too``: whether
    it counts on a page that sells.
    """

    id: str
    stance: str
    scope: str
    reach: int
    sellers_too: bool
    patterns: tuple[str | RawPattern, ...]


@dataclass(frozen=True)
class RuleBook:
    """All rules by id, cues in their order of precedence, frames by name, lexicons with their includes resolved."""

    rules: dict[str, Rule]
    cues: tuple[Cue, ...]
    frames: dict[str, tuple[str | RawPattern, ...]]
    lexicons: dict[str, tuple[str, ...]]
    includes: dict[str, tuple[str, ...]]
    sources: dict[str, Source]
    sha256: str

    @classmethod
    def load(cls, path: str | Path | None = None) -> "RuleBook":
        """Load a rule folder, by default the one shipped with the package.

        Raises
        ------
        RuleError
            If a file is missing or breaks the format; the message names file and key.
        """
        root = Path(path) if path is not None else RULES
        if not root.is_dir():
            raise RuleError(f"{root}: no such folder of rules")
        found = sorted(root.glob("*/*.yaml"))
        if len(found) > _MOST_FILES:
            raise RuleError(f"{root}: holds more than {_MOST_FILES} rules; is it a folder of rules?")
        sources = _load_sources(root / "sources.yaml")
        lexicons, includes = load_lexicons(root / "lexicon")
        rules: dict[str, Rule] = {}
        for file in found:
            with _explained(file):
                rule = _load_rule(file, sources)
            if rule.id in rules:
                raise RuleError(f"{file}: a rule {rule.id!r} exists already in family {rules[rule.id].family!r}")
            rules[rule.id] = rule
        if not rules:
            raise RuleError(f"{root}: holds no rule (expected FAMILY/RULE-ID.yaml)")
        with _explained(root / "stance.yaml"):
            cues, frames = _load_cues(root / "stance.yaml")
        book = cls(rules, cues, frames, lexicons, includes, sources, digest(root))
        book._check_labels()
        return book

    def to_dict(self) -> dict[str, Any]:
        """The book as plain data, which can be written as JSON."""
        rules = [
            {**vars(rule), "sources": [source.key for source in rule.sources], "ignores": sorted(rule.ignores)}
            for rule in self.rules.values()
        ]
        for rule in rules:
            rule["spread"] = vars(rule["spread"]) if rule["spread"] else None
            rule["page"] = vars(rule["page"]) if rule["page"] else None
        return {
            "rules": rules,
            "cues": [vars(cue) for cue in self.cues],
            "frames": self.frames,
            "lexicons": self.lexicons,
            "includes": self.includes,
            "sources": [vars(source) for source in self.sources.values()],
            "sha256": self.sha256,
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "RuleBook":
        """The book that :meth:`to_dict` gave.

        Raises
        ------
        KeyError, TypeError, AttributeError, RuleError
            If the data is none.
        """
        sources = {source["key"]: _typed(Source(**source), "sources") for source in data["sources"]}
        if not all(source.url.startswith(("https://", "http://")) for source in sources.values()):
            raise TypeError("a source has no web address")
        rules = {}
        for raw in data["rules"]:
            values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in raw.items()}
            values["sources"] = tuple(sources[key] for key in raw["sources"])
            values["ignores"] = frozenset(raw["ignores"])
            values["spread"] = Spread(**raw["spread"]) if raw["spread"] else None
            if page := raw["page"]:
                values["page"] = PageCondition(page["min_words"], *(tuple(page[key]) for key in ("names", "present", "absent")))
            rules[raw["id"]] = _typed(Rule(**values), "rules")
            if rules[raw["id"]].role not in ROLES or values["severity"] not in (*SEVERITY_POINTS, None):
                raise TypeError(f"role or severity of {raw['id']!r} is unknown")
        return cls(
            rules,
            tuple(_typed(Cue(**{**cue, "patterns": tuple(cue["patterns"])}), "cues") for cue in data["cues"]),
            {name: tuple(patterns) for name, patterns in data["frames"].items()},
            {name: tuple(entries) for name, entries in data["lexicons"].items()},
            {name: tuple(lists) for name, lists in data["includes"].items()},
            sources,
            data["sha256"],
        )

    def _check_labels(self) -> None:
        known = {*self.lexicons, *SHAPE_NAMES}
        for where, pattern in self.all_patterns():
            for chain in chains(pattern, where):
                for segment in chain.segments:
                    for element in segment:
                        if isinstance(element, Label) and element.name not in known:
                            raise RuleError(f"{where}: there is no lexicon {element.name!r} (pattern {pattern!r})")
        for rule in self.rules.values():
            if rule.spread and rule.spread.lexicon not in self.includes:
                raise RuleError(f"{rule.id}: spread.lexicon {rule.spread.lexicon!r} includes no other list")
            for name in rule.page.names if rule.page else ():
                if name not in self.lexicons:
                    raise RuleError(f"{rule.id}: page.names: there is no lexicon {name!r}")

    def all_patterns(self) -> list[tuple[str, str | RawPattern]]:
        """Every pattern of rules and cues, with the place it stands in."""
        found = [(rule.id, p) for rule in self.rules.values() for p in (*rule.patterns, *rule.on_offer, *rule.unless)]
        found += [(r.id, p) for r in self.rules.values() if r.page for p in (*r.page.present, *r.page.absent)]
        found += [(f"stance.yaml: {cue.id}", p) for cue in self.cues for p in cue.patterns]
        return found + [(f"stance.yaml: {name}", p) for name, patterns in self.frames.items() for p in patterns]

    @cached_property
    def families(self) -> tuple[str, ...]:
        """Families of the red flags, sorted."""
        return tuple(sorted({rule.family for rule in self.rules.values() if rule.role == "red_flag"}))


def chains(pattern: str | RawPattern, where: str) -> tuple[Chain, ...]:
    """Chains of a compact pattern (none for a spaCy token pattern)."""
    if not isinstance(pattern, str):
        return ()
    try:
        return parse(pattern)
    except RuleError as error:
        raise RuleError(f"{where}: {error}") from None
    except RecursionError:
        raise RuleError(f"{where}: a pattern has too many brackets inside each other") from None


def digest(root: Path = RULES) -> str:
    """Hash of all files of a rule folder."""
    found = hashlib.sha256()
    for file in sorted([*root.rglob("*.yaml"), *root.rglob("*.txt")]):
        found.update(file.relative_to(root).as_posix().encode() + b"\0" + file.read_bytes() + b"\0")
    return found.hexdigest()


_MOST_BYTES = 1_000_000  # of one file; the largest that is shipped has 15 kB
_MOST_FILES = 5_000
_MOST_NESTED = 50

# libyaml's parser where it is there: ten times faster
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _read_text(file: Path) -> str:
    try:
        if file.stat().st_size > _MOST_BYTES:
            raise RuleError(f"{file}: is larger than {_MOST_BYTES // 1000} kB; divide it")
        return file.read_text("utf-8")
    except OSError as error:
        raise RuleError(f"{file}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        raise RuleError(f"{file}: is no valid YAML or list of words: not UTF-8 (byte {error.start})") from None


def _read_yaml(file: Path) -> Any:
    text = _read_text(file)
    try:
        depth = 0
        for event in yaml.parse(text, Loader=_LOADER):  # not recursive, as building the values is, in C without a limit
            if isinstance(event, yaml.AliasEvent):
                raise RuleError(f"{file}: uses a YAML alias (*name); write the value out")
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > _MOST_NESTED:
                raise RuleError(
                    f"{file}: is no valid YAML of a rule: more than {_MOST_NESTED} lists or mappings inside each other"
                )
        return yaml.load(text, Loader=_LOADER)  # noqa: S506, a safe loader
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise RuleError(f"{file}: is no valid YAML: {error}") from None


@contextmanager
def _explained(file: Path) -> Iterator[None]:
    """Name the file whatever a value of the wrong kind breaks."""
    try:
        yield
    except (TypeError, ValueError, AttributeError, KeyError, OverflowError, RecursionError) as error:
        raise RuleError(f"{file}: a value is of the wrong kind ({error})") from None


_hints: Callable[[Any], dict[str, Any]] = cache(get_type_hints)


_T = TypeVar("_T")


def _typed(value: _T, where: str) -> _T:
    """``value``, a dataclass whose fields are of the declared types."""
    for name, hint in _hints(type(value)).items():
        if not _fits(getattr(value, name), hint):
            raise RuleError(f"{where}: {name}: {str(getattr(value, name))[:80]!r} is of the wrong kind")
    return value


def _fits(value: Any, hint: Any) -> bool:
    if isinstance(hint, UnionType):
        return any(_fits(value, option) for option in get_args(hint))
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (tuple, frozenset):
        return isinstance(value, origin) and all(_fits(item, arguments[0]) for item in value)
    if origin is list:
        return is_token_pattern(value)
    if not isinstance(value, hint) or (hint is int and isinstance(value, bool)):
        return False
    return not is_dataclass(hint) or all(_fits(getattr(value, name), of) for name, of in _hints(hint).items())


def is_token_pattern(pattern: Any) -> bool:
    """Whether this has the shape of a spaCy token pattern, without the regular expressions that one could hold."""
    return isinstance(pattern, list) and bool(pattern) and all(isinstance(t, dict) for t in pattern) and not _has_regex(pattern)


def _has_regex(value: Any) -> bool:
    if isinstance(value, dict):
        return "REGEX" in value or any(map(_has_regex, value.values()))
    return isinstance(value, list) and any(map(_has_regex, value))


_RULE_KEYS = frozenset(
    "id role title severity why sources patterns on_offer unless spread page needs_offer credential ignores tests".split()
)
_PAGE_KEYS = {"min_words", "names", "present", "absent"}


def _load_rule(file: Path, sources: dict[str, Source]) -> Rule:
    raw = _read_yaml(file)
    if not isinstance(raw, dict):
        raise RuleError(f"{file}: expected a mapping with the keys of a rule")

    def fail(key: str, problem: str) -> RuleError:
        return RuleError(f"{file}: {key}: {problem}")

    for key in raw:
        if key not in _RULE_KEYS:
            raise fail(key, f"unknown key; a rule has {', '.join(sorted(_RULE_KEYS))}")
    for key in ("id", "role", "title", "why"):
        if not isinstance(raw.get(key), str) or not raw[key].strip():
            raise fail(key, "a text is required")
    if raw["id"] != file.stem:
        raise fail("id", f"{raw['id']!r} differs from the file name")
    if raw["role"] not in ROLES:
        raise fail("role", f"{raw['role']!r} is none of {', '.join(ROLES)}")
    severity = raw.get("severity")
    if (severity in SEVERITY_POINTS) != (raw["role"] == "red_flag"):
        raise fail("severity", "high, medium or low for a red flag, absent for other roles")
    for key in raw.get("sources", []):
        if key not in sources:
            raise fail("sources", f"{key!r} is not listed in sources.yaml")
    spread = raw.get("spread")
    if spread is not None and (not isinstance(spread, dict) or set(spread) != {"lexicon", "terms", "groups"}):
        raise fail("spread", "has the keys lexicon, terms and groups")
    page = raw.get("page")
    if page is not None and (not isinstance(page, dict) or not set(page) <= _PAGE_KEYS or "min_words" not in page):
        raise fail("page", f"has min_words and any of {', '.join(sorted(_PAGE_KEYS - {'min_words'}))}")
    patterns = _patterns(raw.get("patterns", []), f"{file}: patterns")
    on_offer = _patterns(raw.get("on_offer", []), f"{file}: on_offer")
    if not patterns and not on_offer and spread is None and page is None:
        raise fail("patterns", "at least one pattern is required")
    ignores = raw.get("ignores", [])
    if not set(ignores) <= set(STANCES):
        raise fail("ignores", f"stances are {', '.join(STANCES)}")
    tests = raw.get("tests", {})
    for key in ("fires", "silent"):
        if not isinstance(tests.get(key), list) or not all(isinstance(t, str) for t in tests[key]):
            raise fail(f"tests.{key}", "a list of texts is required")
    base = tests.get("page", "")
    if not isinstance(base, str) or not set(tests) <= {"page", "fires", "silent"}:
        raise fail("tests", "has fires, silent and, for conditions on a page, the text page that every example continues")
    for key in ("needs_offer", "credential"):
        if not isinstance(raw.get(key, False), bool):
            raise fail(key, "true or false")
    rule = Rule(
        id=raw["id"],
        role=raw["role"],
        family=file.parent.name,
        title=raw["title"].strip(),
        why=" ".join(raw["why"].split()),
        severity=severity,
        sources=tuple(sources[key] for key in raw.get("sources", [])),
        patterns=patterns,
        on_offer=on_offer,
        unless=_patterns(raw.get("unless", []), f"{file}: unless"),
        spread=Spread(**spread) if spread else None,
        page=PageCondition(
            page["min_words"],
            tuple(page.get("names", [])),
            _patterns(page.get("present", []), f"{file}: page.present"),
            _patterns(page.get("absent", []), f"{file}: page.absent"),
        )
        if page
        else None,
        needs_offer=bool(raw.get("needs_offer", False)),
        credential=bool(raw.get("credential", False)),
        ignores=frozenset(ignores),
        fires=tuple(f"{base}\n\n{text}".strip() for text in tests["fires"]),
        silent=tuple(f"{base}\n\n{text}".strip() for text in tests["silent"]),
    )
    return _typed(rule, str(file))


def _patterns(raw: Any, where: str) -> tuple[str | RawPattern, ...]:
    if not isinstance(raw, list):
        raise RuleError(f"{where}: expected a list")
    for pattern in raw:
        if _has_regex(pattern):
            raise RuleError(f"{where}: REGEX is not allowed: a regular expression can take any time to match")
        if not isinstance(pattern, str) and not is_token_pattern(pattern):
            raise RuleError(f"{where}: {str(pattern)[:80]!r} is neither compact notation nor a spaCy token pattern")
        chains(pattern, where)
    return tuple(raw)


def _load_sources(file: Path) -> dict[str, Source]:
    raw = _read_yaml(file)
    try:
        sources = {key: Source(key, **{name: str(text) for name, text in value.items()}) for key, value in raw.items()}
    except (AttributeError, TypeError):
        raise RuleError(f"{file}: every source has organisation, title, year and url") from None
    for source in sources.values():
        # it becomes a link in a report
        if not _typed(source, str(file)).url.startswith(("https://", "http://")):
            raise RuleError(f"{file}: {source.key}: the url {source.url[:80]!r} is no web address")
    return sources


def load_lexicons(folder: Path) -> tuple[dict[str, tuple[str, ...]], dict[str, tuple[str, ...]]]:
    """Entries of every list with its includes resolved, and which lists it includes directly.

    A line holds one or more entries divided by commas; ``@name`` includes another list, ``#`` begins a comment.
    An entry in capitals ("MS") matches in capitals only.
    """
    own: dict[str, list[str]] = {}
    includes: dict[str, tuple[str, ...]] = {}
    for file in sorted(folder.glob("*.txt")):
        lines = (line.split("#", 1)[0] for line in _read_text(file).splitlines())
        entries = [entry.strip() for line in lines for entry in line.split(",") if entry.strip()]
        own[file.stem] = [entry for entry in entries if entry[0] != "@"]
        includes[file.stem] = tuple(entry[1:] for entry in entries if entry[0] == "@")

    def resolve(name: str, seen: tuple[str, ...]) -> list[str]:
        if name not in own:
            raise RuleError(f"{folder / seen[-1]}.txt: there is no list {name!r} to include")
        if name in seen:
            raise RuleError(f"{folder / name}.txt: includes itself through {' -> '.join(seen)}")
        return own[name] + [entry for child in includes[name] for entry in resolve(child, (*seen, name))]

    resolved = {name: tuple(dict.fromkeys(resolve(name, ()))) for name in own}
    for name, resolved_entries in resolved.items():
        if not resolved_entries:
            raise RuleError(f"{folder / name}.txt: is empty")
    return resolved, {name: children for name, children in includes.items() if children}


_CUE_KEYS = {"id", "stance", "scope", "reach", "sellers_too", "patterns"}


def _load_cues(file: Path) -> tuple[tuple[Cue, ...], dict[str, tuple[str | RawPattern, ...]]]:
    raw = _read_yaml(file)
    if not isinstance(raw, dict) or set(raw) != {"cues", "frames"} or set(raw["frames"]) != set(FRAMES):
        raise RuleError(f"{file}: expected the keys cues and frames, and in frames {', '.join(FRAMES)}")
    cues = []
    for entry in raw["cues"]:
        where = f"{file}: {entry.get('id') if isinstance(entry, dict) else entry!r}"
        if not isinstance(entry, dict) or not set(entry) <= _CUE_KEYS or not {"id", "stance", "patterns"} <= set(entry):
            raise RuleError(f"{where}: a cue has the keys {', '.join(sorted(_CUE_KEYS))}")
        if entry["stance"] not in (*STANCES, "none"):
            raise RuleError(f"{where}: stance {entry['stance']!r} is none of {', '.join(STANCES)}, none")
        if entry.get("scope", "before") not in ("before", "after", "sentence", "heading"):
            raise RuleError(f"{where}: scope is before, after, sentence or heading")
        cues.append(
            _typed(
                Cue(
                    entry["id"],
                    entry["stance"],
                    entry.get("scope", "before"),
                    entry.get("reach", 12),
                    entry.get("sellers_too", True),
                    _patterns(entry["patterns"], where),
                ),
                where,
            )
        )
    return tuple(cues), {name: _patterns(raw["frames"][name], f"{file}: {name}") for name in FRAMES}
