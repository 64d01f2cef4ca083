"""The program's entry, also as `python -m hook`."""

import os
import sys

from hook import signals, streams


def main() -> None:
    """Run the hook and end the process with its exit code.

    A signal during the imports is noted. The run then ends with its report before it has sent anything.
    """
    signals.listen()
    streams.install()
    try:
        from hook import app

        code = app.main()
    except SystemExit as end:
        # After --help and --version.
        code = int(end.code or 0)
    except BaseException:  # noqa: BLE001  such as a broken installation
        sys.excepthook(*sys.exc_info())
        code = 1
    streams.finish()
    # At once: the interpreter's own end would give signals their default actions back and write the streams again.
    # Both change the exit code.
    os._exit(code)


if __name__ == "__main__":
    main()
