"""Run the hook as `python -m hook`."""

from hook.app import main

if __name__ == "__main__":
    raise SystemExit(main())
