"""`python -m cts`."""

import sys

from cts.cli import main

if __name__ == "__main__":
    sys.exit(main())
