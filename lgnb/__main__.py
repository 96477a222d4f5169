"""`python -m lgnb` is the command `lgnb`."""

from __future__ import annotations

import sys

from .cli import main

sys.exit(main())
