"""botocore reads each of its files once in this process: moto has EC2's model read five times, for
half a second of a core. ``moto_server.py`` imports this before it imports moto.

Not in ``patching``: nothing of AWS is restored here.
"""

from __future__ import annotations

import importlib
from functools import cache
from typing import Any

_loaders: Any = importlib.import_module("botocore.loaders")
_read = cache(_loaders.JSONFileLoader().load_file)
_loaders.JSONFileLoader.load_file = lambda _loader, file_path: _read(file_path)
