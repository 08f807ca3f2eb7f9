"""The errors a caller can meet. Each message says what happened and what to do next."""


class RedFlagsError(Exception):
    """Base of every error that als_redflags raises on purpose."""


class InputError(RedFlagsError):
    """Text, a file or a table could not be read."""


class RuleError(RedFlagsError):
    """A rule file, lexicon or cue file is wrong; the message names file, key and value."""


class ModelError(RedFlagsError):
    """The trained artefact is missing, damaged, or does not belong to this rule book."""


class BatchError(RedFlagsError):
    """A run over a table could not begin, go on or be finished; what was done is kept unless the message says otherwise."""


class CorpusError(RedFlagsError):
    """A labelled JSON Lines file breaks its format; the message names file, line and field."""
