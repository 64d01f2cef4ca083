"""The program's entry, also as `python -m hook`."""

import gc
import os

from hook import signals


def main() -> None:
    """Run the hook and end the process with its exit code.

    A signal that comes during the imports is noted, and the run ends with its report before it has asked anything.
    """
    signals.listen()
    # Nothing of the imports is garbage: not looking for it saves a tenth of them.
    gc.disable()
    from hook import app

    gc.freeze()
    gc.enable()
    code = app.main()
    # At once, since what was told has to stand: the interpreter's own end would give the signals their default actions
    # back, and try anew to write what a stream has not taken; both make another exit code.
    os._exit(code)


if __name__ == "__main__":
    main()
