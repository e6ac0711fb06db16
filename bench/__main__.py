"""
All benchmarks, one after another: ``python -m bench``.
"""

from __future__ import annotations

import sys

from bench import accept, pipeline

accept.main(sys.argv[1:])
print()
pipeline.main(sys.argv[1:])
