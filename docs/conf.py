"""How the documentation is built."""

from importlib.metadata import version as _version

project = "voxflow"
author = "The voxflow developers"
copyright = f"2026, {author}"
release = _version("voxflow")
version = release

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
]
exclude_patterns = ["_build", "figures"]  # figures are parts of pages
source_suffix = {".md": "markdown"}

html_theme = "furo"
html_title = "voxflow"
templates_path: list[str] = []
copybutton_exclude = ".linenos, .gp"

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_default_options = {"members": True, "show-inheritance": True}
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
napoleon_google_docstring = True
napoleon_use_rtype = False
napoleon_use_ivar = True
