"""`lgnb serve` on a free port, which at its end writes the names of all modules it has loaded."""

from __future__ import annotations

import sys

from lgnb.cli import main

code = main(["serve", "--port", "0"])
sys.stdout.write("\n".join(sorted(sys.modules)))
sys.exit(code)
