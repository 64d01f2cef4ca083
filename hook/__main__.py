"""The program's entry, also as `python -m hook`."""

import gc
import os
import sys

from hook import signals, streams


def main() -> None:
    """Run the hook and end the process with its exit code.

    A signal that comes during the imports is noted, and the run ends with its report before it has asked anything.
    """
    signals.listen()
    streams.install()
    try:
        code = _run()
    except SystemExit as end:
        # After --help and --version.
        code = int(end.code or 0)
    except BaseException:  # noqa: BLE001  such as an installation that is broken
        sys.excepthook(*sys.exc_info())
        code = 1
    streams.finish()
    # At once, since what was told has to stand: the interpreter's own end would give the signals their default actions
    # back, and try anew to write what a stream has not taken; both make another exit code.
    os._exit(code)


def _run() -> int:
    # Nothing of the imports is garbage: not looking for it saves a tenth of them.
    gc.disable()
    from hook import app

    gc.freeze()
    gc.enable()
    return app.main()


if __name__ == "__main__":
    main()
