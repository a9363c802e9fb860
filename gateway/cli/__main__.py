"""``python -m gateway.cli``: the same as ``meshgate``."""

import sys

from gateway.cli import main

sys.exit(main())
