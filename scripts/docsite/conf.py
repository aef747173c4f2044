# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sphinx' settings for the site. What is known only when it is built comes from site.json in the folder of its sources."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

SITE = json.loads(Path(os.environ["OPENMLOPS_SITE"]).read_text(encoding="utf-8"))

project = "OpenMLOps platform"
author = "Contributors to openmlops.platform"
project_copyright = author
version = release = SITE["version"]

extensions = ["myst_parser", "sphinx_antsibull_ext", "docsite.extension"]
exclude_patterns = ["site.json"]
myst_heading_anchors = 4
myst_enable_extensions = ["deflist"]
# Most blocks without a language are commands or YAML; guessing would colour them wrongly.
highlight_language = "text"
default_role = "any"
smartquotes = False

html_theme = "furo"
html_title = "OpenMLOps platform"
html_static_path = [str(HERE / "static")]
html_css_files = ["site.css"]
html_favicon = str(HERE / "static" / "icon.svg")
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False
html_show_copyright = False
html_use_index = False
pygments_style = "friendly"
pygments_dark_style = "github-dark"
html_theme_options = {
    "light_logo": "icon.svg",
    "dark_logo": "icon.svg",
    "light_css_variables": {"color-brand-primary": "#0b6a7d", "color-brand-content": "#0b6a7d", "color-brand-visited": "#5a4a9c"},
    "dark_css_variables": {"color-brand-primary": "#5cc8dc", "color-brand-content": "#5cc8dc", "color-brand-visited": "#b3a6f2"},
    "top_of_page_buttons": [],
    "footer_icons": [{"name": "Repository", "url": SITE["repository"], "html": "Repository", "class": ""}],
}
# The colours of antsibull-docs' tables are set in site.css, by the theme's own, so that they follow its switch.
antsibull_ext_color_scheme = "none"
