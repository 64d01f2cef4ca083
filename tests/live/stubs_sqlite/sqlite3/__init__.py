"""SQLite that can load extensions, which sqlite-vec is one of, for a Python whose own cannot."""

from pysqlite3 import *  # noqa: F403
from pysqlite3.dbapi2 import sqlite_version, sqlite_version_info, version_info  # noqa: F401
