"""Lets tests of the spatial machine import what it must agree with."""

import importlib.util
import sys
from pathlib import Path

# The reference implementation lies beside the tests, which are no package.
_path = Path(__file__).with_name("reference.py")
_spec = importlib.util.spec_from_file_location("spatial_reference", _path)
_module = importlib.util.module_from_spec(_spec)
sys.modules["spatial_reference"] = _module
_spec.loader.exec_module(_module)
