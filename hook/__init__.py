"""Register LlamaStack vector stores from the configuration that declares them, and prove that they are there.

A run loads, waits, registers, verifies and reports. `app` connects the packages, `registration/run.py` has the story,
and docs/maintainers/development.md says what each package is for.
"""

__version__ = "0.1.0"
