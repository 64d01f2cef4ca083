"""Install all servers that the tests boot, and the backends', so that no step has to wait for it."""

from backends import tools
from identities import oauth_python
from openshift_ai import RELEASE
from servers import RELEASES, install

if __name__ == "__main__":
    for release in (*RELEASES, RELEASE):
        install(release)
    tools()
    oauth_python()
