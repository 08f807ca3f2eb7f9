"""``python -m als_redflags`` is the command ``als-redflags``."""

from als_redflags.cli import main

main()
