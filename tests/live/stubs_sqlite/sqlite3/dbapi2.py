"""The same under the other name."""

from pysqlite3.dbapi2 import *  # noqa: F403
