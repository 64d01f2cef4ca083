"""SQLite that can load extensions, which sqlite-vec is one of, for a Python whose own cannot.

pysqlite3-binary 0.5.4 has SQLite 3.46.1. The next one has 3.51.1, where opening and closing a file in two threads can
stop the whole server for ever: each waits for the other's lock.
"""

from pysqlite3 import *  # noqa: F403
from pysqlite3.dbapi2 import sqlite_version, sqlite_version_info, version_info  # noqa: F401
