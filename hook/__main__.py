"""The program's entry, also as `python -m hook`."""

import gc
import os
import signal


def main() -> int:
    """Run the hook and return its exit code.

    As PID 1 a signal that comes during the imports would be ignored, and the run would go on without it; until then
    nothing was done, so there is nothing to report.
    """
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, lambda number, _: os._exit(128 + number))
    # Nothing of the imports is garbage: not looking for it saves a tenth of them.
    gc.disable()
    from hook import app

    gc.freeze()
    gc.enable()
    return app.main()


if __name__ == "__main__":
    raise SystemExit(main())
