from __future__ import annotations

import sys

from .drive import main

sys.exit(main())
